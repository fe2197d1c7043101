//! The database: every statement, every refusal, every way it cannot be opened.

use std::{fs, path::Path};

use livetill::{
    clock::{Clock, Timestamp},
    store::{Access, MIGRATIONS, OpenError, Seen, Store, bulk::Bulk, open, sql},
};
use sqlx::{
    AnyConnection, Connection, Executor,
    any::install_default_drivers,
    migrate::{Migration, MigrationType, Migrator},
    query,
};

use crate::{
    database::{Database, Engine},
    world::{MUG, ManualClock, Setup, World, mins},
};

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

async fn raw(path: &Path) -> AnyConnection {
    install_default_drivers();
    AnyConnection::connect(&format!("sqlite:{}?mode=rw", path.display())).await.expect("opens")
}

#[test]
fn the_list_of_migrations_is_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    files.sort();
    let listed: Vec<String> =
        MIGRATIONS.iter().map(|(version, name, _)| format!("{version:04}_{name}.sql")).collect();
    let names: Vec<_> = files
        .iter()
        .map(|f| f.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(listed, names);
    for (file, (.., text)) in files.iter().zip(MIGRATIONS) {
        assert_eq!(fs::read_to_string(file).expect("text"), *text);
    }
}

/// Rows as programs left them, by the version of the tables they stand in. A new migration comes
/// with rows of its own.
const ROWS: &[(i64, &str)] =
    &[(1, include_str!("rows/0001.sql")), (2, include_str!("rows/0002.sql"))];

#[tokio::test]
async fn rows_of_every_version_are_taken_over_and_their_sale_goes_on() {
    let versions: Vec<_> = ROWS.iter().map(|(version, _)| *version).collect();
    let all: Vec<_> = MIGRATIONS.iter().map(|(version, ..)| *version).collect();
    assert_eq!(versions, all, "rows for each version of the tables");
    for engine in Engine::ALL {
        for (version, rows) in ROWS {
            goes_on(engine, *version, rows).await;
        }
    }
}

async fn goes_on(engine: Engine, version: i64, rows: &'static str) {
    let setup = Setup::on(engine, MUG);
    make_tables(&setup.database, engine, version, rows).await;
    // Shortly after the last thing that happened.
    let then = Timestamp::from_millis(1_795_328_720_000);
    setup.clock.advance(then.since(setup.clock.now()));
    let mut world = World::build(&setup).await;
    world.settle().await;
    let views = world.app.engine.views().all();
    let stands: Vec<_> = views
        .iter()
        .map(|view| (view.number, view.state.word(), view.paid, view.held, view.left))
        .collect();
    assert_eq!(stands, [(2, "cancelled", 0, 0, 2), (1, "open", 2, 1, 2)], "{engine:?} {version}");
    // Whoever held a page can still pay it, and somebody else can claim.
    let page = world.url("/sandbox/pay/page_5f80e50dc3e4845d2547d338");
    assert_eq!(world.posts("cleo", &page, &[("do", "pay")]).await.status, 303);
    let claim = world.url(&format!("/sales/{}/holds", views[1].id));
    assert_eq!(world.posts("dora", &claim, &[("delivery", "pickup")]).await.status, 303);
    assert!(world.pay_now("dora").await);
    world.advance(mins(15)).await;
    let said = world.heard();
    assert_eq!(said.iter().filter(|line| line.starts_with("ENDED")).count(), 1, "{said:?}");
    assert_eq!(world.app.engine.views().all()[1].paid, 4);
    world.done().await;
}

/// Tables of a version, with rows in them.
async fn make_tables(base: &Database, engine: Engine, version: i64, rows: &'static str) {
    install_default_drivers();
    let mut db = match engine {
        Engine::Sqlite => {
            let url = format!("{}?mode=rwc", base.url());
            let mut db = AnyConnection::connect(&url).await.expect("made");
            db.execute("pragma application_id = 1280592204").await.expect("ours");
            db
        }
        Engine::Postgres => base.raw().await,
    };
    let then = MIGRATIONS.iter().filter(|(number, ..)| *number <= version);
    let then = then.map(|(number, name, text)| {
        let text = sqlx::SqlStr::from_static(text);
        Migration::new(*number, (*name).into(), MigrationType::Simple, text, false)
    });
    Migrator::with_migrations(then.collect()).run(&mut db).await.expect("made");
    db.execute(rows).await.expect("written");
    db.close().await.expect("closed");
}

#[tokio::test]
async fn every_statement_prepares() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a b%c.db");
    drop(open(&url(&path), Access::Write).await.expect("opens"));
    install_default_drivers();
    let mut db = AnyConnection::connect(&format!(
        "sqlite:{}?mode=rw",
        path.display().to_string().replace('%', "%25").replace(' ', "%20")
    ))
    .await
    .expect("opens");
    prepare(&mut db, sql::ALL).await;
    prepare_bulk(&mut db).await;

    let base = Database::new(Engine::Postgres, dir.path());
    drop(open(base.url(), Access::Write).await.expect("opens"));
    let mut db = base.raw().await;
    prepare(&mut db, sql::ALL).await;
    prepare_bulk(&mut db).await;
    prepare(&mut db, sql::POSTGRES).await;
}

async fn prepare_bulk(db: &mut AnyConnection) {
    let engine = db.backend_name().to_owned();
    let texts = |bulk: &&'static Bulk| Bulk::SIZES.map(|n| (bulk.name, bulk.text(n, &engine)));
    let texts: Vec<_> = sql::BULK.iter().flat_map(texts).collect();
    prepare(db, &texts).await;
}

async fn prepare(db: &mut AnyConnection, statements: &[(&str, &'static str)]) {
    for (name, text) in statements {
        if let Err(error) = db.prepare(sqlx::SqlStr::from_static(text)).await {
            panic!("{name} on {}: {error}", db.backend_name());
        }
    }
}

#[tokio::test]
async fn the_schema_refuses_to_oversell() {
    for engine in Engine::ALL {
        refuses_to_oversell(World::build(&Setup::on(engine, MUG)).await).await;
    }
}

async fn refuses_to_oversell(mut world: World) {
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let mut db = world.database.raw().await;
    for wrong in [
        "update sale set taken = stock + 1",
        "update sale set paid = taken + 1",
        "update sale set phase = 'dancing'",
        "update hold set units = 0",
        "update hold set state = 'lost'",
        "update payment set fate = 'gone'",
        "insert into hold (sale, n, buyer, state, units, body) select sale, 99, buyer, 'open', 1, body from hold where state = 'open'",
    ] {
        let refused = db.execute(wrong).await;
        let rows = refused.as_ref().map(sqlx::any::AnyQueryResult::rows_affected).unwrap_or(0);
        // Nothing to update is as good as refused.
        assert!(refused.is_err() || rows == 0, "{wrong}");
    }
    db.close().await.expect("closes");
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_second_program_is_told_to_use_another_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x.db");
    let first = open(&url(&path), Access::Write).await.expect("opens");
    let error = open(&url(&path), Access::Write).await.expect_err("busy");
    assert!(matches!(error, OpenError::Busy(_)), "{error}");
    assert!(error.to_string().contains("in use by another livetill"));
    open(&url(&path), Access::Read).await.expect("looking is fine");
    drop(first);
}

#[tokio::test]
async fn foreign_newer_damaged_and_missing_files_are_named_and_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let foreign = dir.path().join("notes.txt");
    fs::write(&foreign, "my notes\n".repeat(100)).expect("written");
    let error = open(&url(&foreign), Access::Write).await.expect_err("foreign");
    assert!(matches!(error, OpenError::Foreign(_)), "{error}");
    assert_eq!(fs::read_to_string(&foreign).expect("read").len(), 900);

    let other = dir.path().join("other.db");
    install_default_drivers();
    let mut db = AnyConnection::connect(&format!("sqlite:{}?mode=rwc", other.display()))
        .await
        .expect("opens");
    db.execute("create table theirs (x bigint)").await.expect("made");
    db.close().await.expect("closes");
    let error = open(&url(&other), Access::Write).await.expect_err("foreign");
    assert!(matches!(error, OpenError::Foreign(_)), "{error}");

    let newer = dir.path().join("newer.db");
    drop(open(&url(&newer), Access::Write).await.expect("opens"));
    let mut db = raw(&newer).await;
    query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         select 9999, 'later', success, checksum, 0 from _sqlx_migrations limit 1",
    )
    .execute(&mut db)
    .await
    .expect("written");
    db.close().await.expect("closes");
    for access in [Access::Write, Access::Read] {
        let error = open(&url(&newer), access).await.expect_err("newer");
        assert!(matches!(error, OpenError::Newer(_)), "{error}");
    }

    let missing = dir.path().join("none.db");
    let error = open(&url(&missing), Access::Read).await.expect_err("missing");
    assert!(matches!(error, OpenError::Missing(_)), "{error}");
    assert!(!missing.exists());
    for bad in ["", "sqlite:", "mysql://x", "livetill.db"] {
        assert!(matches!(open(bad, Access::Write).await, Err(OpenError::Url(_))), "{bad}");
    }
    let nowhere = dir.path().join("no/such/folder/x.db");
    let error = open(&url(&nowhere), Access::Write).await.expect_err("nowhere");
    assert!(matches!(error, OpenError::NoFolder { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_row_is_named() {
    for engine in Engine::ALL {
        names_damage(World::build(&Setup::on(engine, MUG)).await).await;
    }
}

async fn names_damage(mut world: World) {
    world.says("!sale start mug 30s").await;
    world.advance(mins(1)).await;
    world.heard();
    let id = world.newest().id;
    let mut db = world.database.raw().await;
    db.execute("update hold set body = 'nonsense'").await.expect("damaged");
    db.close().await.expect("closes");
    let error = world.app.engine.store().load(id).await.expect_err("damaged");
    let text = error.to_string();
    assert!(text.contains("damaged row in hold") && text.contains(&id.to_string()), "{text}");
    world.app.stop().await;
}

#[tokio::test]
async fn a_shop_keeps_its_id_and_shares_it_with_nobody() {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().expect("a folder");
        let base = Database::new(engine, dir.path());
        let store = open(base.url(), Access::Write).await.expect("opens");
        assert_eq!(store.shop_id().await.expect("reads"), None, "nothing was started yet");
        let secret = store.secret([7; 32]).await.expect("made");
        let id = store.shop_id().await.expect("reads").expect("made");
        store.secret([8; 32]).await.expect("kept");
        let looks = open(base.url(), Access::Read).await.expect("opens");
        assert_eq!(looks.shop_id().await.expect("reads").as_ref(), Some(&id));
        assert_eq!(id, livetill::shop::id_of(&secret));
        assert_ne!(id, livetill::shop::id_of(&[8; 32]));
        assert!(id.len() == 12 && !hex::encode(secret).contains(&id), "{id}");
    }
}

#[tokio::test]
async fn a_message_is_heard_once() {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().expect("a folder");
        let base = Database::new(engine, dir.path());
        let store = open(base.url(), Access::Write).await.expect("opens");
        let now = ManualClock::new().now();
        let seen = |id: &str| Seen { source: "chat:twitch".into(), id: id.into() };
        assert!(store.hear(seen("a"), now).await.expect("writes"));
        assert!(!store.hear(seen("a"), now).await.expect("writes"));
        assert!(store.hear(seen("b"), now).await.expect("writes"));
    }
}

#[tokio::test]
async fn the_database_survives_as_left_before_its_log_was_folded_in() {
    // A crash right after the first start: everything is still in the write-ahead log.
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x.db");
    let store = open(&url(&path), Access::Write).await.expect("opens");
    let copy = dir.path().join("copy.db");
    for end in ["", "-wal"] {
        let from = format!("{}{end}", path.display());
        if Path::new(&from).exists() {
            fs::copy(&from, format!("{}{end}", copy.display())).expect("copied");
        }
    }
    open(&url(&copy), Access::Write).await.expect("it is ours, and opens");
    drop(store);
}
