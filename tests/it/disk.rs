//! The database's file: a disk that fills up, a log that is lost, whoever may read it.

mod gone;
mod older;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use livetill::{
    clock::Clock,
    store::{Access, OpenError, Seen, SqlStore, Store, open},
};
use sqlx::{AnyConnection, Connection, Executor, any::install_default_drivers, query};

use crate::world::{Browser, ManualClock, eventually};

const CONFIG: &str = "[http]\nlisten = \"127.0.0.1:0\"\nholds_per_address = 1000\n\
                      [templates.mug]\ntitle = \"Fern Mug\"\nprice = \"18.00\"\nstock = 400\n\
                      max_stock = 400\nduration = \"2h\"\nwarm = 8\nhold = \"30m\"\nmax_duration = \"2h\"\n\
                      [providers.sandbox]\ncalls_per_second = 100000\n";

fn seen(id: &str) -> Seen {
    Seen { source: "chat:twitch".into(), id: id.into() }
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

async fn raw(path: &Path) -> AnyConnection {
    install_default_drivers();
    AnyConnection::connect(&format!("{}?mode=rw", url(path))).await.expect("opens")
}

async fn opened(path: &Path) -> SqlStore {
    let mut store = None;
    let open = async || {
        store = match open(&url(path), Access::Write).await {
            Err(OpenError::Busy(_)) => None,
            opened => Some(opened.expect("opens")),
        };
        store.is_some()
    };
    eventually("the file is let go", open).await;
    store.expect("opened")
}

/// What is on disk, for whoever else looks.
async fn heard(path: &Path) -> i64 {
    let mut db = raw(path).await;
    let row = query("select count(*) as n from seen").fetch_one(&mut db).await.expect("reads");
    db.close().await.expect("closes");
    sqlx::Row::get(&row, "n")
}

/// The program in a folder, its database elsewhere if wanted.
struct Running {
    child: Child,
    lines: Receiver<String>,
    base: String,
}

fn livetill(dir: &Path, database: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_livetill"));
    command
        .args(args)
        .current_dir(dir)
        .env_remove("LIVETILL_LOG")
        .env("RUST_BACKTRACE", "0")
        .env("LIVETILL_STORE__URL", url(database));
    command
}

impl Running {
    fn start(dir: &Path, database: &Path) -> Self {
        let mut child = livetill(dir, database, &[])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut running = Self { child, lines, base: String::new() };
        let greeting = running.until("open http://");
        let at = greeting.find("http://").expect("a link");
        running.base = greeting[at..].split(['/', ' ']).take(3).collect::<Vec<_>>().join("/");
        running
    }

    fn types(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("piped"), "{line}").expect("written");
    }

    fn until(&self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(120)).expect(part);
            if line.contains(part) {
                return line;
            }
        }
    }

    fn signal(&mut self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().expect("kill runs");
        assert!(sent.success());
        self.child.wait().expect("ends");
    }

    async fn ready(&self) -> u16 {
        Browser::new().get(&format!("{}/readyz", self.base)).await.status
    }

    /// Whether nothing is left to do, so that nothing is written unasked.
    async fn at_rest(&self) -> bool {
        let ready = Browser::new().get(&format!("{}/readyz", self.base)).await.text;
        ready.contains("\"waiting\":0")
    }

    /// A claim of somebody new; where it led, if it was taken.
    async fn claim(&self) -> Option<String> {
        let mut browser = Browser::new();
        let sale = browser.get(&format!("{}/api/sales/1", self.base)).await.text;
        let sale: serde_json::Value = serde_json::from_str(&sale).expect("JSON");
        let id = sale["id"].as_str().expect("an id");
        let answer = browser.post(&format!("{}/sales/{id}/holds", self.base), &[]).await;
        match answer.status {
            303 => Some(answer.location.expect("sent on")),
            503 => None,
            other => panic!("{other}: {}", answer.text),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A small disk of its own, where this user may have one.
struct Disk(PathBuf);

impl Disk {
    fn mounted(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).expect("made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "livetill-test"]).arg(at);
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then(|| Self(at.to_owned()))
    }

    /// Nothing can be written on it any more.
    fn only_for_reading(&self) {
        let done = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(&self.0)
            .status()
            .expect("mount runs");
        assert!(done.success());
    }

    fn resize(&self, size: &str) {
        let grown = Command::new("mount")
            .args(["-o", &format!("remount,size={size}")])
            .arg(&self.0)
            .status()
            .expect("mount runs");
        assert!(grown.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whatever is still open goes with its program.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn what_was_promised_while_the_disk_filled_up_is_there_and_it_goes_on_once_there_is_room() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("config.toml"), CONFIG).expect("written");
    let Some(disk) = Disk::mounted(&dir.path().join("disk"), "3m") else {
        // Not everybody may mount one; the test below has SQLite take back what a full disk would.
        return;
    };
    let database = disk.0.join("x.db");
    let mut running = Running::start(dir.path(), &database);
    running.types("!sale start mug 2h");
    running.until("SALE OPEN");
    let mut promised = Vec::new();
    let mut refused = 0;
    while refused < 5 {
        match running.claim().await {
            Some(page) => promised.push(page),
            None => refused += 1,
        }
        assert!(promised.len() < 400, "the disk is not that large");
    }
    assert_eq!(running.ready().await, 503, "it cannot write");
    running.until("Nothing can be stored: the disk is full");
    let shown = Browser::new().get(&format!("{}/api/sales/1", running.base)).await.text;
    assert!(shown.contains("\"state\":\"paused\""), "{shown}");

    disk.resize("60m");
    eventually("it goes on", async || running.ready().await == 200).await;
    running.until("stored again");
    for _ in 0..10 {
        promised.push(running.claim().await.expect("taken: there is room"));
    }
    running.signal("-TERM");
    let again = Running::start(dir.path(), &database);
    for page in &promised {
        let path = &page[page.find("/sandbox").or(page.find("/holds")).expect("a page")..];
        let answer = Browser::new().get(&format!("{}{path}", again.base)).await;
        assert_eq!(answer.status, 200, "{path} was promised");
    }
}

#[tokio::test]
async fn what_sqlite_takes_back_by_itself_is_not_acknowledged_and_the_next_is_on_disk() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x.db");
    let store = opened(&path).await;
    let now = ManualClock::new().now();
    let mut db = raw(&path).await;
    // As with a full disk: the whole transaction is gone, and the driver is not told.
    let trap = "create trigger trap before insert on seen when new.id = 'bad' \
                begin select raise(rollback, 'gone'); end";
    db.execute(trap).await.expect("set");
    db.close().await.expect("closes");
    for round in 0..3 {
        let before = heard(&path).await;
        assert!(store.hear(seen("bad"), now).await.is_err());
        let writes = (0..5).map(|n| store.hear(seen(&format!("{round} {n}")), now));
        for done in futures_util::future::join_all(writes).await {
            assert!(done.expect("writes"));
        }
        assert_eq!(heard(&path).await, before + 5, "what was acknowledged, others can read");
    }
    eventually("it is ready again", async || store.ready().await.is_ok()).await;
}

#[tokio::test]
async fn one_table_that_refuses_is_enough_not_to_be_ready() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x.db");
    let store = opened(&path).await;
    store.ready().await.expect("all is well");
    let now = ManualClock::new().now();
    for table in ["hold", "payment", "journal", "outbox", "checkout", "seen", "sale", "lease"] {
        let mut db = raw(&path).await;
        let trap = format!(
            "create trigger trap before insert on {table} begin select raise(abort, 'no'); end"
        );
        db.execute(sqlx::AssertSqlSafe(trap)).await.expect("set");
        eventually(table, async || store.ready().await.is_err()).await;
        // What does not need that table is stored, and says nothing of the rest.
        let heard = store.hear(seen(table), now).await;
        assert_eq!(heard.is_ok(), table != "seen", "{table}");
        assert!(store.trouble().is_some(), "{table}");
        db.execute("drop trigger trap").await.expect("dropped");
        db.close().await.expect("closes");
        eventually(table, async || store.ready().await.is_ok()).await;
        assert!(store.trouble().is_none(), "{table}");
    }
    let mut db = raw(&path).await;
    for table in ["sale", "hold", "payment", "outbox", "journal", "checkout"] {
        let count = format!("select count(*) as n from {table}");
        let row = query(sqlx::AssertSqlSafe(count)).fetch_one(&mut db).await.expect("reads");
        assert_eq!(sqlx::Row::get::<i64, _>(&row, "n"), 0, "trying {table} left nothing");
    }
}

#[tokio::test]
async fn a_locked_file_is_not_ready_until_it_is_let_go() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x.db");
    let store = opened(&path).await;
    let now = ManualClock::new().now();
    let mut db = raw(&path).await;
    db.execute("begin immediate").await.expect("locked");
    let (hear, _) = tokio::join!(
        store.hear(seen("a"), now),
        eventually("it is late", async || store.trouble().is_some()),
    );
    assert!(matches!(hear, Err(livetill::store::StoreError::Away(_))), "{hear:?}");
    // Nobody waits again for what is known by now.
    let refused = tokio::time::timeout(Duration::from_secs(2), store.hear(seen("a"), now)).await;
    assert!(refused.expect("at once").is_err());
    db.execute("rollback").await.expect("let go");
    eventually("it is ready again", async || store.ready().await.is_ok()).await;
    assert!(store.hear(seen("a"), now).await.expect("writes"));
}

fn sales(dir: &Path, database: &Path) -> Output {
    livetill(dir, database, &["sales"]).output().expect("runs")
}

#[tokio::test]
async fn after_a_polite_end_everything_is_in_one_file() {
    for end in ["-TERM", "-INT", "input"] {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("config.toml"), CONFIG).expect("written");
        let database = dir.path().join("x.db");
        let mut running = Running::start(dir.path(), &database);
        running.types("!sale start mug 2h");
        running.until("SALE OPEN");
        if end == "input" {
            running.types("!sale stop");
            running.until("CANCELLED");
            drop(running.child.stdin.take());
            running.child.wait().expect("ends");
        } else {
            running.claim().await.expect("taken");
            running.signal(end);
        }
        let copy = dir.path().join("copy.db");
        fs::copy(&database, &copy).expect("copied");
        let out = sales(dir.path(), &copy);
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(said.contains("#1") && said.contains("Fern Mug"), "{end}: {said} {out:?}");
        let again = Running::start(dir.path(), &copy);
        let shown = Browser::new().get(&format!("{}/api/sales/1", again.base)).await;
        assert_eq!(shown.status, 200, "{end}");
    }
}

#[tokio::test]
async fn a_file_that_lost_its_log_is_refused_in_words_and_works_with_it() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("config.toml"), CONFIG).expect("written");
    let database = dir.path().join("x.db");
    let mut running = Running::start(dir.path(), &database);
    running.types("!sale start mug 2h");
    running.until("SALE OPEN");
    running.claim().await.expect("taken");
    running.signal("-KILL");
    let (log, aside) = (dir.path().join("x.db-wal"), dir.path().join("aside"));
    fs::rename(&log, &aside).expect("there is one");
    for verb in ["run", "sales", "check"] {
        let out = livetill(dir.path(), &database, &[verb]).output().expect("runs");
        let said = format!("{out:?}");
        assert_eq!(out.status.code(), Some(1), "{verb}: {said}");
        assert!(said.contains("is not whole") && said.contains("x.db-wal"), "{verb}: {said}");
    }
    fs::rename(&aside, &log).expect("put back");
    let again = Running::start(dir.path(), &database);
    let shown = Browser::new().get(&format!("{}/api/sales/1", again.base)).await.text;
    assert!(shown.contains("\"held\":1"), "{shown}");
}

#[tokio::test]
async fn a_file_without_tables_that_had_a_log_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x.db");
    // As earlier versions left it: nothing but the mark was in the file itself.
    install_default_drivers();
    let mut db = AnyConnection::connect(&format!("{}?mode=rwc", url(&path))).await.expect("made");
    db.execute("pragma application_id = 1280592204").await.expect("ours");
    db.close().await.expect("closes");
    // New, and killed before it came to anything: it goes on from there.
    let begun = dir.path().join("begun.db");
    fs::copy(&path, &begun).expect("copied");
    drop(opened(&begun).await);
    let mut db = raw(&path).await;
    db.execute("pragma journal_mode = wal").await.expect("has a log");
    db.close().await.expect("closes");
    for access in [Access::Write, Access::Read] {
        let error = open(&url(&path), access).await.expect_err("lost");
        assert!(matches!(error, OpenError::LogLost(_)), "{error}");
        assert!(error.to_string().contains("x.db-wal"), "{error}");
    }
}

/// Every file of a folder, as all of them were at one moment: what is forgotten may still be busy.
fn at_one_moment(dir: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let all = || -> Vec<_> {
        let files = fs::read_dir(dir).expect("a folder").map(|file| file.expect("a file"));
        files.filter_map(|file| Some((file.file_name(), fs::read(file.path()).ok()?))).collect()
    };
    let mut before = all();
    loop {
        let now = all();
        if now == before {
            return now;
        }
        before = now;
    }
}

/// However a life ends, only a log that was taken away is missed.
#[test]
fn a_life_that_breaks_off_is_never_taken_for_a_lost_log() {
    let mut dir = tempfile::tempdir().expect("a folder");
    let mut path = dir.path().join("x.db");
    let mut known = 0;
    for life in 0..24_u64 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let written = runtime.block_on(async {
            let store = opened(&path).await;
            let now = ManualClock::new().now();
            let mut written = 0;
            for n in 0..life % 5 {
                written +=
                    i64::from(store.hear(seen(&format!("{life} {n}")), now).await.expect("writes"));
            }
            if life % 3 == 0 {
                // Dropped in the middle of opening, too.
                drop(store);
                let url = url(&path);
                let begun = open(&url, Access::Write);
                let _ = tokio::time::timeout(Duration::from_millis(life), begun).await;
            } else if life % 3 == 1 {
                std::mem::forget(store);
            } else {
                store.close().await;
            }
            written
        });
        known += written;
        runtime.shutdown_timeout(Duration::from_secs(5));
        if life % 3 == 1 {
            // What was forgotten holds the locks of that life: the next one has a copy of all.
            let next = tempfile::tempdir().expect("a folder");
            for (name, bytes) in at_one_moment(dir.path()) {
                fs::write(next.path().join(name), bytes).expect("copied");
            }
            (path, dir) = (next.path().join("x.db"), next);
        }
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        drop(opened(&path).await);
        assert_eq!(heard(&path).await, known, "and nothing was lost");
    });
}

#[cfg(unix)]
#[test]
fn only_its_owner_reads_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("config.toml"), CONFIG).expect("written");
    let database = dir.path().join("x.db");
    let mode = |name: &str| {
        let meta = fs::metadata(dir.path().join(name)).expect(name);
        meta.permissions().mode() & 0o777
    };
    let names = ["x.db", "x.db-wal", "x.db-shm", "x.db-lock"];
    let mut running = Running::start(dir.path(), &database);
    for name in names {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    running.signal("-KILL");
    // What an earlier version left open to anybody is closed; a group that was let in stays.
    for name in names {
        let wide = if name == "x.db-lock" { 0o640 } else { 0o644 };
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(wide)).expect("set");
    }
    let running = Running::start(dir.path(), &database);
    for name in names {
        assert_eq!(mode(name), if name == "x.db-lock" { 0o640 } else { 0o600 }, "{name}");
    }
    drop(running);
}
