//! PostgreSQL as operators have it: behind a pooler, read only, short of rights, shared by mistake.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use livetill::store::{Access, OpenError, Seen, Store, StoreError, could_write, open};
use sqlx::{Connection, Executor, PgConnection, Row, query};

use crate::{
    database::{Database, Engine, as_user, server},
    world::{MUG, ManualClock, PATIENCE, Setup, World, client, eventually, mins, secs},
};
use livetill::clock::Clock;

/// A pooler in front of the server.
struct Pooler {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Pooler {
    async fn start(mode: &str) -> Self {
        let place = server();
        let place = place.rsplit('@').next().expect("a place");
        let (host, port) = place.split_once(':').expect("a port");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = free.local_addr().expect("an address").port();
        drop(free);
        let dir = tempfile::Builder::new().prefix("livetill-pool").tempdir().expect("a folder");
        let users = dir.path().join("users.txt");
        std::fs::write(&users, "\"postgres\" \"\"\n").expect("written");
        let config = dir.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={host} port={port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {here}\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n\
             unix_socket_dir =\nignore_startup_parameters = extra_float_digits\n",
            users.display()
        );
        std::fs::write(&config, text).expect("written");
        open_up(dir.path());
        let child = as_user(Path::new("pgbouncer"))
            .arg("-q")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer runs");
        let pooler = Self { child, port: here, _dir: dir };
        let there = async || std::net::TcpStream::connect(("127.0.0.1", here)).is_ok();
        eventually("the pooler listens", there).await;
        pooler
    }

    fn url(&self, base: &Database) -> String {
        let name = base.url().rsplit('/').next().expect("a name");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets the user that runs the pooler read a folder.
fn open_up(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for path in [dir.to_owned(), dir.join("users.txt"), dir.join("pgbouncer.ini")] {
        let mode = if path == dir { 0o755 } else { 0o644 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    }
}

fn livetill(dir: &Path, url: &str, args: &[&str]) -> Output {
    let config = format!("[http]\nlisten = \"127.0.0.1:0\"\n{MUG}");
    std::fs::write(dir.join("config.toml"), config).expect("written");
    Command::new(env!("CARGO_BIN_EXE_livetill"))
        .args(args)
        .current_dir(dir)
        .env_remove("LIVETILL_LOG")
        .env("LIVETILL_STORE__URL", url)
        .stdin(Stdio::null())
        .output()
        .expect("runs")
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_refused_by_name_and_nothing_is_left_on_it() {
    let base = Database::new(Engine::Postgres, Path::new(""));
    drop(open(base.url(), Access::Write).await.expect("opens"));
    let pooler = Pooler::start("transaction").await;
    let url = pooler.url(&base);
    for access in [Access::Write, Access::Read, Access::Beside] {
        let error = open(&url, access).await.expect_err("a pooler");
        assert!(matches!(error, OpenError::Pooler(_)), "{access:?}: {error}");
    }
    let dir = tempfile::tempdir().expect("a folder");
    for verb in ["check", "run"] {
        let out = livetill(dir.path(), &url, &[verb]);
        let said = format!("{out:?}");
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains("a pooler in transaction mode, which cannot carry LISTEN"), "{said}");
    }
    // Another program that gets the same connections.
    for _ in 0..4 {
        let mut db = PgConnection::connect(&url).await.expect("opens");
        let row = sqlx::raw_sql(
            "select current_setting('default_transaction_read_only') as ro, \
             current_setting('lock_timeout') as locks, current_setting('application_name') as name",
        );
        let row = row.fetch_one(&mut db).await.expect("reads");
        let of = |name: &str| row.get::<String, _>(name);
        assert_eq!((of("ro"), of("locks")), ("off".to_owned(), "0".to_owned()));
        assert!(!of("name").contains("livetill"), "{}", of("name"));
        db.execute("create temporary table theirs (x bigint) on commit drop")
            .await
            .expect("writes");
    }
}

#[tokio::test]
async fn a_pooler_that_keeps_sessions_works() {
    let base = Database::new(Engine::Postgres, Path::new(""));
    let pooler = Pooler::start("session").await;
    let store = open(&pooler.url(&base), Access::Write).await.expect("opens");
    let now = ManualClock::new().now();
    let seen = Seen { source: "chat:twitch".into(), id: "a".into() };
    assert!(store.hear(seen, now).await.expect("writes"));
    store.close().await;
}

#[tokio::test]
async fn an_ipv6_address_in_brackets_is_an_address() {
    let base = Database::new(Engine::Postgres, Path::new(""));
    let place = base.url().rsplit('@').next().expect("a place").to_owned();
    let (server, name) = place.split_once('/').expect("a database");
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.expect("IPv6 on this machine");
    let port = listener.local_addr().expect("an address").port();
    let server = server.to_owned();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let server = server.clone();
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(&server).await.expect("the server");
                // However it ends.
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    let url = format!("postgres://postgres@[::1]:{port}/{name}");
    let store = open(&url, Access::Write).await.expect("opens");
    let mut changes = store.peers().expect("is shared").changes();
    let first = tokio::time::timeout(PATIENCE, changes.recv()).await.expect("in time");
    assert!(first.is_some(), "the listener gets there, too");
    let error = open("postgres://[::1]:1/x", Access::Read).await.expect_err("nobody is there");
    assert!(error.to_string().contains("[::1]:1/x"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_reads_and_cannot_write_is_not_ready_and_shows_no_sale_as_open() {
    let setup = Setup::on(Engine::Postgres, MUG);
    let mut world = World::build(&setup).await;
    world.says("!sale start mug 20m").await;
    assert_eq!(world.clicks("ana").await.status, 303);
    let id = world.newest().id;
    let get = async |path: String| client().get(path).send().await.expect("answers");
    assert_eq!(get(world.url("/readyz")).await.status(), 200);
    let stop = tokio_util::sync::CancellationToken::new();
    let watch = tokio::spawn(world.app.announcer.clone().watch_store(stop.clone()));

    let name = world.database.url().rsplit('/').next().expect("a name").to_owned();
    let mut admin = world.database.raw().await;
    let switch = async |db: &mut sqlx::AnyConnection, on: &str| {
        let set = format!("alter database {name} set default_transaction_read_only = {on}");
        db.execute("set default_transaction_read_only = off").await.expect("set");
        db.execute(sqlx::AssertSqlSafe(set)).await.expect("switched");
        let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                   where datname = current_database() and pid <> pg_backend_pid()";
        query(cut).execute(db).await.expect("cut");
    };
    switch(&mut admin, "on").await;
    let claim = world.url(&format!("/sales/{id}/holds"));
    let claims = client().post(&claim).send().await.expect("answers");
    assert_eq!(claims.status(), 503, "a claim is not taken");
    let ready = get(world.url("/readyz")).await;
    assert_eq!(ready.status(), 503);
    let says: serde_json::Value = ready.json().await.expect("JSON");
    let store = says["store"].as_str().expect("text");
    assert!(store.contains("read-only transaction"), "{says}");
    let shown = get(world.url("/api/sales")).await.text().await.expect("text");
    assert!(shown.contains("\"state\":\"paused\"") && shown.contains("out_of_touch"), "{shown}");
    let mut said = Vec::new();
    let told = async |said: &mut Vec<String>, world: &mut World, part: &str| {
        for _ in 0..2400 {
            world.clock.advance(secs(1));
            said.extend(world.heard());
            if said.iter().any(|line| line.contains(part)) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("{part} is not said: {said:?}");
    };
    told(&mut said, &mut world, "Nothing can be stored").await;
    // The same verdict, before anything is started.
    let error = could_write(world.database.url()).await.expect_err("read only");
    assert!(matches!(error, OpenError::ReadsOnly { .. }), "{error}");
    let error = open(world.database.url(), Access::Write).await.expect_err("read only");
    assert!(matches!(error, OpenError::ReadsOnly { .. }), "{error}");

    switch(&mut admin, "off").await;
    eventually("it is ready", async || get(world.url("/readyz")).await.status() == 200).await;
    told(&mut said, &mut world, "is stored again").await;
    let times = said.iter().filter(|line| line.contains("Nothing can be stored")).count();
    assert_eq!(times, 1, "told once: {said:?}");
    stop.cancel();
    watch.await.expect("no panic");
    assert_eq!(world.clicks("bo").await.status, 303, "sales go on");
    world.advance(mins(30)).await;
    world.heard();
    world.app.stop().await;
}

#[tokio::test]
async fn a_locked_table_is_not_ready_until_it_is_let_go() {
    let base = Database::new(Engine::Postgres, Path::new(""));
    let store = open(base.url(), Access::Write).await.expect("opens");
    store.ready().await.expect("all is well");
    let now = ManualClock::new().now();
    let mut db = base.raw().await;
    let mut lock = db.begin().await.expect("begins");
    lock.execute("lock table seen in access exclusive mode").await.expect("locked");
    let seen = || Seen { source: "chat:twitch".into(), id: "a".into() };
    let heard = store.hear(seen(), now).await;
    assert!(matches!(heard, Err(StoreError::Away(_))), "{heard:?}");
    assert!(store.ready().await.is_err());
    lock.rollback().await.expect("let go");
    eventually("it is ready", async || store.ready().await.is_ok()).await;
    assert!(store.hear(seen(), now).await.expect("writes"));
}

#[tokio::test]
async fn without_the_right_to_make_tables_check_says_what_run_would() {
    let base = Database::new(Engine::Postgres, Path::new(""));
    let name = base.url().rsplit('/').next().expect("a name").to_owned();
    let role = format!("{name}_poor");
    let mut db = base.raw().await;
    let make = format!("create role {role} login; grant connect on database {name} to {role}");
    db.execute(sqlx::AssertSqlSafe(make)).await.expect("made");
    let poor = base.url().replace("postgres@", &format!("{role}@"));
    for checked in [could_write(&poor).await, open(&poor, Access::Write).await.map(|_| ())] {
        let error = checked.expect_err("no right");
        assert!(matches!(error, OpenError::Denied { .. }), "{error}");
    }
    // Once the tables are there, rights on them are enough.
    drop(open(base.url(), Access::Write).await.expect("opens"));
    let error = open(&poor, Access::Write).await.expect_err("no right");
    assert!(could_write(&poor).await.is_err(), "{error}");
    let grant =
        format!("grant select, insert, update, delete on all tables in schema public to {role}");
    db.execute(sqlx::AssertSqlSafe(grant)).await.expect("granted");
    could_write(&poor).await.expect("could");
    drop(open(&poor, Access::Write).await.expect("opens"));
    let drop = format!("drop owned by {role}; drop role {role}");
    db.execute(sqlx::AssertSqlSafe(drop)).await.expect("dropped");
}

#[tokio::test]
async fn a_database_belongs_to_one_shop() {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().expect("a folder");
        let base = Database::new(engine, dir.path());
        let store = open(base.url(), Access::Write).await.expect("opens");
        store.belongs_to("Ana's", true).await.expect("nobody's so far");
        store.belongs_to("Ana's", true).await.expect("hers");
        store.belongs_to("Bo's", false).await.expect("nothing was sold in it");
        store.belongs_to("Bo's", true).await.expect("renamed before anything was sold");
        let mut db = base.raw().await;
        let sold = "insert into sale (id, number, revision, phase, stock, taken, paid, wake_at, \
                    created_at, body) values ('x', 1, 0, 'closed', 0, 0, 0, null, 0, '{}')";
        db.execute(sold).await.expect("written");
        for take in [true, false] {
            // Whether there are sales is all that counts; this one cannot even be read.
            let refused = store.belongs_to("Ana's", take).await;
            assert!(refused.is_err(), "{engine:?}");
        }
        store.belongs_to("Bo's", true).await.expect("his");
    }
}

#[tokio::test]
async fn another_shops_database_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x.db");
    let url = format!("sqlite:{}", path.display());
    let config = format!("[http]\nlisten = \"127.0.0.1:0\"\n{MUG}");
    std::fs::write(dir.path().join("config.toml"), config).expect("written");
    let run = |name: &str, id: &str, verb: &str, input: &'static [u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_livetill"))
            .arg(verb)
            .current_dir(dir.path())
            .env_remove("LIVETILL_LOG")
            .env("LIVETILL_STORE__URL", &url)
            .env("LIVETILL_SHOP__NAME", name)
            .env("LIVETILL_SHOP__ID", id)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut stdin = child.stdin.take().expect("piped");
        // It may have ended already.
        let _ = std::io::Write::write_all(&mut stdin, input);
        drop(stdin);
        child.wait_with_output().expect("ends")
    };
    let out = run("Ana", "", "run", b"!sale start mug 2s\n");
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    for verb in ["run", "check"] {
        let out = run("Bo", "", verb, b"");
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains("belongs to the shop \"Ana\", and this is \"Bo\""), "{said}");
        assert!(said.contains("set shop.id = \"Ana\""), "{said}");
    }
    let out = run("Bo", "Ana", "run", b"");
    assert_eq!(out.status.code(), Some(0), "renamed: {out:?}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn what_was_heard_long_ago_is_forgotten_and_a_used_code_is_not() {
    for engine in Engine::ALL {
        let mut world = World::build(&Setup::on(engine, MUG)).await;
        let store = world.app.engine.store();
        let seen = |source: &str, n: i32| Seen { source: source.into(), id: n.to_string() };
        let now = world.clock.now();
        for n in 0..700 {
            assert!(store.hear(seen("webhook:square", n), now).await.expect("writes"));
        }
        assert!(store.hear(seen("code:vip", 1), now).await.expect("writes"));
        world.clock.advance(livetill::broom::KNOWN_FOR);
        assert!(store.hear(seen("webhook:square", 9999), world.clock.now()).await.expect("writes"));
        let stop = tokio_util::sync::CancellationToken::new();
        assert!(!store.forget(now).await.expect("asks"), "not yet");
        world.clock.advance(secs(1));
        let engine_of = world.app.engine.clone();
        let sweep = tokio::spawn(async move { livetill::broom::sweep(&engine_of, &stop).await });
        while !sweep.is_finished() {
            world.clock.advance(secs(1));
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(sweep.await.expect("no panic").expect("sweeps") >= 2);
        let at = world.clock.now();
        let store = world.app.engine.store();
        assert!(store.hear(seen("webhook:square", 1), at).await.expect("writes"), "forgotten");
        assert!(!store.hear(seen("webhook:square", 9999), at).await.expect("writes"), "known");
        assert!(!store.hear(seen("code:vip", 1), at).await.expect("writes"), "used for ever");
        world.heard();
        world.app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_of_a_sale_are_as_of_one_moment() {
    for engine in Engine::ALL {
        let setup = Setup::on(engine, &MUG.replace("stock = 3", "stock = 10"));
        let mut world = World::build(&setup).await;
        world.says("!sale start mug 20m").await;
        let id = world.newest().id;
        let reader = open(world.database.url(), Access::Read).await.expect("opens");
        let (done, over) = tokio::sync::watch::channel(false);
        let looks = tokio::spawn(async move {
            let mut looks = 0;
            while !*over.borrow() || looks == 0 {
                let (sale, journal) = reader.books(id).await.expect("reads").expect("is there");
                let proof = livetill::report::prove(&sale, &journal);
                assert_eq!(proof.wrong, Vec::<String>::new(), "look {looks}");
                looks += 1;
            }
            looks
        });
        for n in 0..10 {
            world.clicks(&format!("buyer{n}")).await;
        }
        done.send_replace(true);
        assert!(looks.await.expect("no panic") > 0, "{engine:?}");
        world.advance(mins(30)).await;
        world.heard();
        world.app.stop().await;
    }
}
