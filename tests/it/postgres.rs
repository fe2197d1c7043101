//! What only a database server brings: being away, breaking off, being shared.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use livetill::{
    clock::{Clock, Span, SystemClock, Timestamp},
    platform::console::message,
    shop::Shop,
    store::{
        Access, Change, Commit, Committed, DocChange, Holding, OpenError, Seen, SqlStore, Store,
        StoreError, Turn, open,
    },
};
use sqlx::{Executor, query};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    database::{Cluster, Database, Engine, server},
    world::{MUG, ManualClock, Setup, World, client, eventually, mins},
};

fn database() -> Database {
    Database::on(&server())
}

fn seen(id: &str) -> Seen {
    Seen { source: "chat:twitch".into(), id: id.into() }
}

async fn opened(base: &Database) -> SqlStore {
    open(base.url(), Access::Write).await.expect("opens")
}

/// Cuts every connection to a database but our own.
async fn cut(base: &Database) {
    let mut db = base.raw().await;
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
               where datname = current_database() and pid <> pg_backend_pid()";
    query(cut).execute(&mut db).await.expect("cut");
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_with_its_mend_and_without_a_password() {
    let closed = "postgres://ana:secret@127.0.0.1:1/x";
    let error = open(closed, Access::Write).await.expect_err("away");
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    let says = format!("{error} {error:?}");
    assert!(says.contains("cannot reach postgres://ana@127.0.0.1:1/x") && !says.contains("secret"));

    let none = format!("{}/no_such_livetill", server());
    for access in [Access::Write, Access::Read] {
        let error = open(&none, access).await.expect_err("no database");
        assert!(matches!(error, OpenError::NoDatabase(_)), "{error}");
    }
    let base = database();
    let place = base.url().split_once('@').expect("a user").1;
    let stranger = format!("postgres://no_such_role_of_ours@{place}");
    let error = open(&stranger, Access::Write).await.expect_err("a stranger");
    assert!(matches!(error, OpenError::Denied { .. }), "{error}");

    let error = open(base.url(), Access::Read).await.expect_err("empty");
    assert!(matches!(error, OpenError::Missing(_)), "{error}");
    let mut db = base.raw().await;
    db.execute("create table sale (theirs bigint)").await.expect("made");
    let error = open(base.url(), Access::Write).await.expect_err("foreign");
    assert!(matches!(error, OpenError::Foreign(_)), "{error}");
    let row = query("select count(*) as n from pg_tables where tablename = 'shop'");
    let row = row.fetch_one(&mut db).await.expect("reads");
    assert_eq!(sqlx::Row::get::<i64, _>(&row, "n"), 0, "nothing of ours was left in it");
    db.execute("drop table sale").await.expect("dropped");

    drop(opened(&base).await);
    let later = "insert into _sqlx_migrations (version, description, success, checksum, \
                 execution_time) select 9999, 'later', success, checksum, 0 from _sqlx_migrations \
                 limit 1";
    db.execute(later).await.expect("written");
    for access in [Access::Write, Access::Read] {
        let error = open(base.url(), access).await.expect_err("newer");
        assert!(matches!(error, OpenError::Newer(_)), "{error}");
    }
}

#[tokio::test]
async fn looking_works_beside_and_changes_nothing() {
    let base = database();
    let writes = opened(&base).await;
    let looks = open(base.url(), Access::Read).await.expect("opens");
    assert!(looks.sales(10).await.expect("reads").is_empty());
    let now = ManualClock::new().now();
    assert!(matches!(looks.hear(seen("a"), now).await, Err(StoreError::Away(_))));
    assert!(writes.hear(seen("a"), now).await.expect("writes"));
}

#[tokio::test]
async fn a_broken_connection_is_replaced() {
    let base = database();
    let store = opened(&base).await;
    let now = ManualClock::new().now();
    assert!(store.hear(seen("a"), now).await.expect("writes"));
    for round in 0..3 {
        cut(&base).await;
        assert!(store.hear(seen(&format!("b{round}")), now).await.expect("writes again"));
        assert!(!store.hear(seen("a"), now).await.expect("writes again"));
        assert_eq!(store.outbox().await.expect("reads again").waiting, 0);
    }
}

/// What a break does to a commit that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Never = 0,
    /// It never gets there.
    Before = 1,
    /// It gets there, and its answer does not come back.
    After = 2,
}

/// A line to the database that breaks once, at the next commit.
async fn breakable(base: &Database) -> (String, Arc<AtomicU8>) {
    let (head, name) = base.url().rsplit_once('/').expect("a name");
    let place = head.rsplit('@').next().expect("a place").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let how = Arc::new(AtomicU8::new(Break::Never as u8));
    let broken = how.clone();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(&place).await.expect("the server");
            tokio::spawn(relay(near, far, broken.clone()));
        }
    });
    (format!("postgres://postgres@{address}/{name}?sslmode=disable"), how)
}

async fn relay(near: TcpStream, far: TcpStream, how: Arc<AtomicU8>) {
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut far_in, &mut near_out).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = near_in.read(&mut buffer).await {
        let commits = buffer[..n].windows(7).any(|word| word == b"COMMIT\0");
        let now = if commits { how.swap(0, Ordering::SeqCst) } else { 0 };
        if now == Break::After as u8 {
            back.abort();
        }
        if now != Break::Before as u8 && far_out.write_all(&buffer[..n]).await.is_err() {
            break;
        }
        if now != 0 {
            // Long enough for the server to have done it.
            tokio::time::sleep(Duration::from_millis(300)).await;
            break;
        }
    }
    back.abort();
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_not_acknowledged_and_can_be_repeated() {
    let base = database();
    let (url, how) = breakable(&base).await;
    let store = open(&url, Access::Write).await.expect("opens");
    let now = ManualClock::new().now();
    for (id, moment) in [("a", Break::Before), ("b", Break::After)] {
        how.store(moment as u8, Ordering::SeqCst);
        let lost = store.hear(seen(id), now).await;
        assert!(matches!(lost, Err(StoreError::Unsure(_))), "{moment:?}: {lost:?}");
        let first = store.hear(seen(id), now).await.expect("writes again");
        assert_eq!(first, moment == Break::Before, "{moment:?}: told the truth afterwards");
        assert!(!store.hear(seen(id), now).await.expect("writes"));
    }
}

#[tokio::test]
async fn what_the_database_cannot_take_is_refused_and_takes_nothing_else_with_it() {
    let base = database();
    let store = Arc::new(opened(&base).await);
    let now = ManualClock::new().now();
    let writes: Vec<_> = (0..20)
        .map(|n| {
            let store = store.clone();
            // A NUL is the one character that PostgreSQL's texts have no room for.
            let id = if n == 7 { "a\0b".to_owned() } else { format!("{n}") };
            tokio::spawn(async move { store.hear(seen(&id), now).await })
        })
        .collect();
    for (n, write) in writes.into_iter().enumerate() {
        let answer = write.await.expect("no panic");
        match n {
            7 => assert!(matches!(answer, Err(StoreError::Refused(_))), "{answer:?}"),
            _ => assert!(answer.expect("writes"), "{n}"),
        }
    }
}

#[tokio::test]
async fn two_programs_that_write_crosswise_both_get_through() {
    let base = database();
    let stores = [Arc::new(opened(&base).await), Arc::new(opened(&base).await)];
    let change = |id: &str, expected| DocChange {
        kind: "thing",
        id: id.to_owned(),
        parent: String::new(),
        expected,
        body: Some(serde_json::json!({})),
    };
    let made = stores[0].put_docs(vec![change("a", 0), change("b", 0)]).await;
    assert!(made.expect("written"));
    let mut tasks = Vec::new();
    for (store, order) in stores.iter().zip([["a", "b"], ["b", "a"]]) {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut done = 0;
            while done < 20 {
                let mut docs = Vec::new();
                for id in order {
                    let doc = store.doc("thing", id).await?.expect("is there");
                    docs.push(change(id, doc.version));
                }
                done += u32::from(store.put_docs(docs).await?);
            }
            Ok::<_, StoreError>(())
        }));
    }
    for task in tasks {
        task.await.expect("no panic").expect("nobody is turned away");
    }
    let doc = stores[0].doc("thing", "a").await.expect("reads").expect("is there");
    assert_eq!(doc.version, 41, "every change counted once");
}

#[tokio::test]
async fn a_turn_is_one_programs_at_a_time() {
    let base = database();
    let store = opened(&base).await;
    let peers = store.peers().expect("is shared");
    let at = |secs: i64| Timestamp::from_millis(1_000_000 + secs * 1000);
    let turn = |owner: &str, now, until| Turn {
        name: "say:twitch".into(),
        owner: owner.into(),
        now: at(now),
        until: at(until),
    };
    for (owner, now, until, expected) in [
        ("a", 0, 5, Holding::Taken),
        ("b", 1, 6, Holding::Others),
        ("a", 2, 7, Holding::Kept),
        ("b", 6, 11, Holding::Others),
        ("b", 7, 12, Holding::Taken),
        ("a", 8, 13, Holding::Others),
        // Given back.
        ("b", 9, 0, Holding::Kept),
        ("a", 9, 14, Holding::Taken),
    ] {
        let holding = peers.take_turn(turn(owner, now, until)).await.expect("answers");
        assert_eq!(holding, expected, "{owner} at {now}");
    }
}

#[tokio::test]
async fn what_another_program_commits_is_heard_and_what_was_missed_is_known_to_be() {
    let base = database();
    let (here, there) = (opened(&base).await, opened(&base).await);
    let mut changes = here.peers().expect("is shared").changes();
    let mut next = async || {
        let heard = tokio::time::timeout(Duration::from_secs(20), changes.recv()).await;
        heard.expect("in time").expect("goes on")
    };
    assert_eq!(next().await, Change::Anything, "what came before is anybody's guess");
    let shop = |n: u64| {
        let shop = Shop { version: n, ..Default::default() };
        Commit { shop: Some(shop), ..Default::default() }
    };
    there.secret([1; 32]).await.expect("made");
    assert_eq!(here.commit(shop(1)).await.expect("writes"), Committed::Applied);
    assert_eq!(there.commit(shop(2)).await.expect("writes"), Committed::Applied);
    // Our own is not told; what was not committed is not, either.
    assert_eq!(there.commit(shop(9)).await.expect("writes"), Committed::Stale);
    assert_eq!(next().await, Change::Known { sales: vec![], work: false, shop: true });
    cut(&base).await;
    assert_eq!(next().await, Change::Anything);
    assert_eq!(there.commit(shop(3)).await.expect("writes"), Committed::Applied);
    assert_eq!(next().await, Change::Known { sales: vec![], work: false, shop: true });
}

#[tokio::test]
async fn a_clock_that_goes_wrong_stops_the_program_and_says_so() {
    // The world's clock stands in the past.
    let mut world = World::build(&Setup::on(Engine::Postgres, MUG)).await;
    assert_eq!(world.looks("ana", "/readyz").await.status, 200, "alone it is nobody's business");
    world.app.engine.share();
    let replica = world.app.replica.clone().expect("there may be others");
    replica.beat().await.expect("the store");
    let answer = world.looks("ana", "/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("ms behind the database's: set both by NTP"), "{}", answer.text);
    assert!(!world.app.engine.may_act() && !world.app.engine.acts_for("sandbox"));
    // The clock set right; it stands still, so on a busy machine more than once.
    let (engine, clock) = (world.app.engine.clone(), world.clock.clone());
    let set_to = async |ahead: Span| {
        let by = SystemClock.now().millis() - clock.now().millis();
        clock.advance(Span::from_millis(by) + ahead);
        replica.beat().await.expect("the store");
        engine.may_act()
    };
    eventually("it is right", async || set_to(Span::default()).await).await;
    let answer = world.looks("ana", "/readyz").await;
    assert_eq!((answer.status, world.app.engine.acts_for("sandbox")), (200, true));
    // A little apart is fine, until nothing was heard for long.
    eventually("it acts", async || set_to(Span::from_millis(300)).await).await;
    world.clock.advance(mins(1));
    let answer = world.looks("ana", "/readyz").await;
    assert!(answer.text.contains("the database has not answered for 1 min"), "{}", answer.text);
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_nothing_is_promised_and_no_sale_outlives_its_end() {
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.expect("starts");
    let mut setup = Setup::on(Engine::Sqlite, MUG);
    setup.database = Arc::new(Database::on(&cluster.url()));
    let mut world = World::build(&setup).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let id = world.newest().id;
    let get = async |url: String| client().get(url).send().await.expect("answers");
    assert_eq!(get(world.url("/readyz")).await.status(), 200);

    tokio::task::block_in_place(|| cluster.stop());
    let ready = get(world.url("/readyz")).await;
    assert_eq!(ready.status(), 503);
    let says: serde_json::Value = ready.json().await.expect("JSON");
    assert_eq!((&says["ready"], &says["stopping"]), (&false.into(), &false.into()), "{says}");
    let store = says["store"].as_str().expect("text");
    assert!(store.starts_with("the database is out of reach"), "{says}");
    let claim = client().post(world.url(&format!("/sales/{id}/holds"))).send();
    assert_eq!(claim.await.expect("answers").status(), 503, "a claim is not taken");
    let stop = message("m".into(), "!sale stop");
    let said = world.app.chat.hear(&stop).await.expect("an answer").lines.join(" ");
    assert!(said.contains("Nothing was changed"), "{said}");
    // The clock goes on.
    world.clock.advance(mins(11));
    let api = get(world.url("/api/sales")).await.text().await.expect("text");
    assert!(api.contains("\"state\":\"ended\"") && !api.contains("\"open\""), "{api}");
    let claim = client().post(world.url(&format!("/sales/{id}/holds"))).send();
    assert_eq!(claim.await.expect("answers").status(), 409);
    let live = get(world.url("/live")).await.text().await.expect("text");
    assert!(live.contains("Nothing is on right now"), "{live}");

    tokio::task::block_in_place(|| cluster.restart());
    let ready = get(world.url("/readyz")).await;
    assert_eq!(ready.status(), 200, "it comes back by itself");
    let says: serde_json::Value = ready.json().await.expect("JSON");
    assert_eq!((&says["ready"], &says["store"]), (&true.into(), &"ok".into()), "{says}");
    world.advance(mins(5)).await;
    let said = world.heard();
    assert_eq!(said.iter().filter(|line| line.starts_with("ENDED")).count(), 1, "{said:?}");
    world.done().await;
    drop(setup);
    tokio::task::spawn_blocking(|| drop(cluster)).await.expect("stops");
}
