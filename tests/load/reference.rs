//! What is measured against: the least that would still be honest.

use std::{net::SocketAddr, path::Path};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::sync::{mpsc, oneshot};

type Job = (i64, oneshot::Sender<()>);

/// A bare listener over a group-commit writer of one row per claim, `synchronous = full`.
pub async fn claims(path: &Path) -> SocketAddr {
    let (jobs, queue) = mpsc::channel::<Job>(65_536);
    let path = path.to_owned();
    std::thread::spawn(move || write(&path, queue));
    let app = Router::new().route("/holds", post(claim)).with_state(jobs);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn claim(State(jobs): State<mpsc::Sender<Job>>) -> Response {
    use std::sync::atomic::{AtomicI64, Ordering};
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let (done, committed) = oneshot::channel();
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    if jobs.send((id, done)).await.is_err() || committed.await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    (StatusCode::SEE_OTHER, [(header::LOCATION, "https://pay.example/x")]).into_response()
}

fn write(path: &Path, mut queue: mpsc::Receiver<Job>) {
    let mut db = rusqlite::Connection::open(path).expect("opens");
    db.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 10000;
         create table hold (sale text not null, n integer not null, buyer text not null,
             state text not null, at integer not null, primary key (sale, n));",
    )
    .expect("a table");
    let mut group: Vec<Job> = Vec::new();
    while queue.blocking_recv_many(&mut group, 1024) > 0 {
        let transaction = db.transaction().expect("begins");
        {
            let mut insert = transaction
                .prepare_cached("insert into hold values (?1, ?2, ?3, 'open', ?4)")
                .expect("prepares");
            for (n, _) in &group {
                insert
                    .execute(rusqlite::params![
                        "019b7000000070008000000000000000",
                        n,
                        format!("web:{n:032x}"),
                        n
                    ])
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
