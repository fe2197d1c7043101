//! What is measured against: the least that would still be honest.

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use livetill::{
    clock::{Clock, SystemClock},
    provider::{Webhook, signature},
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::sync::{mpsc, oneshot};

type Job = (i64, oneshot::Sender<()>);

const TABLE: &str = "create table bare_hold (sale text not null, n bigint not null, \
    buyer text not null, state text not null, at bigint not null, primary key (sale, n))";

const SALE: &str = "019b7000000070008000000000000000";

/// Where a bare listener puts its rows.
#[derive(Clone)]
enum Rows {
    /// To one writer of a SQLite file.
    Writer(mpsc::Sender<Job>),
    /// Each on its own, in a transaction of its own.
    Server(PgPool),
}

impl Rows {
    async fn put(&self) -> bool {
        static NEXT: AtomicI64 = AtomicI64::new(1);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        match self {
            Self::Writer(jobs) => {
                let (done, committed) = oneshot::channel();
                jobs.send((n, done)).await.is_ok() && committed.await.is_ok()
            }
            Self::Server(pool) => {
                let insert = sqlx::query("insert into bare_hold values ($1, $2, $3, 'open', $2)");
                let insert = insert.bind(SALE).bind(n).bind(format!("web:{n:032x}"));
                let done = insert.execute(pool).await;
                // A server that others use as well may have no connection left.
                done.inspect_err(|error| eprintln!("  the reference: {error}")).is_ok()
            }
        }
    }
}

/// A bare listener over a SQLite writer, `synchronous = full`, that many rows to a commit at most.
pub async fn sqlite(path: &Path, group: usize, key: Vec<u8>) -> SocketAddr {
    let (jobs, queue) = mpsc::channel::<Job>(65_536);
    let path = path.to_owned();
    std::thread::spawn(move || write(&path, queue, group));
    serve(Rows::Writer(jobs), key).await
}

/// A bare listener over PostgreSQL, one row to a commit, over that many connections.
pub async fn postgres(url: &str, connections: u32, key: Vec<u8>) -> SocketAddr {
    let pool = PgPoolOptions::new().max_connections(connections).connect(url).await;
    let pool = pool.expect("the server answers");
    sqlx::query(TABLE).execute(&pool).await.expect("a table");
    serve(Rows::Server(pool), key).await
}

async fn serve(rows: Rows, key: Vec<u8>) -> SocketAddr {
    let app = Router::new()
        .route("/holds", post(claim))
        .route("/webhooks/sandbox", post(webhook))
        .with_state((rows, vec![key]));
    listen(app).await
}

async fn listen(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn claim(State((rows, _)): State<(Rows, Vec<Vec<u8>>)>) -> Response {
    if !rows.put().await {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    (StatusCode::SEE_OTHER, [(header::LOCATION, "https://pay.example/x")]).into_response()
}

async fn webhook(
    State((rows, keys)): State<(Rows, Vec<Vec<u8>>)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = headers.iter().map(|(key, value)| (key.to_string(), text(value))).collect();
    let webhook = Webhook { headers, body: body.to_vec() };
    if signature::standard(&keys, &webhook, SystemClock.now()).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    if rows.put().await { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// A bare listener that always gives one answer.
pub async fn fixed(
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
) -> SocketAddr {
    let headers: HeaderMap = headers
        .into_iter()
        .filter(|(name, _)| !["content-length", "date"].contains(&name.as_str()))
        .map(|(name, value)| {
            let name: HeaderName = name.parse().expect("a name");
            (name, HeaderValue::from_str(&value).expect("a value"))
        })
        .collect();
    let body = Bytes::from(body);
    let answer = move || {
        let answer = (status, headers.clone(), body.clone()).into_response();
        std::future::ready(answer)
    };
    listen(Router::new().fallback(answer)).await
}

/// A bare listener that sends everybody on.
pub async fn redirect() -> SocketAddr {
    let headers = vec![("location".to_owned(), "https://pay.example/x".to_owned())];
    fixed(StatusCode::FOUND, headers, Vec::new()).await
}

fn write(path: &Path, mut queue: mpsc::Receiver<Job>, most: usize) {
    let mut db = rusqlite::Connection::open(path).expect("opens");
    db.execute_batch(&format!(
        "pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 10000;
         {TABLE};"
    ))
    .expect("a table");
    let mut group: Vec<Job> = Vec::new();
    while queue.blocking_recv_many(&mut group, most) > 0 {
        let transaction = db.transaction().expect("begins");
        {
            let mut insert = transaction
                .prepare_cached("insert into bare_hold values (?1, ?2, ?3, 'open', ?4)")
                .expect("prepares");
            for (n, _) in &group {
                insert
                    .execute(rusqlite::params![SALE, n, format!("web:{n:032x}"), n])
                    .expect("inserts");
            }
        }
        transaction.commit().expect("commits");
        for (_, done) in group.drain(..) {
            // Whoever asked may be gone.
            let _ = done.send(());
        }
    }
}
