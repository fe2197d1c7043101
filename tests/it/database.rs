//! Databases for tests: a SQLite file, or a fresh PostgreSQL database that is dropped at the end.
//!
//! `LIVETILL_TEST_STORE=postgres` runs every world on PostgreSQL. The server is the one of
//! `LIVETILL_TEST_POSTGRES`, else a private one that is started from the installed programs, with
//! room for as many connections as tests side by side take; where none are installed, the one on
//! 127.0.0.1:5432. Without any of them the tests fail; they never skip.

use std::{
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{AnyConnection, Connection, Executor, any::install_default_drivers, query};
use tempfile::TempDir;

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// The engine that worlds run on.
    pub fn of_worlds() -> Self {
        match std::env::var("LIVETILL_TEST_STORE").as_deref() {
            Ok("postgres") => Self::Postgres,
            Ok("sqlite") | Err(_) => Self::Sqlite,
            Ok(other) => panic!("LIVETILL_TEST_STORE={other}: write sqlite or postgres"),
        }
    }
}

/// A database of its own for one test.
pub struct Database {
    url: String,
    /// What is dropped at the end: the server's address, the database's name.
    server: Option<(String, String)>,
}

impl Database {
    pub fn new(engine: Engine, dir: &Path) -> Self {
        match engine {
            Engine::Sqlite => {
                let url = format!("sqlite:{}", dir.join("livetill.db").display());
                Self { url, server: None }
            }
            Engine::Postgres => Self::on(&server()),
        }
    }

    /// A fresh database on a server.
    pub fn on(server: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("livetill_test_{}_{n}", std::process::id());
        administer(server, &format!("create database {name}"));
        Self { url: format!("{server}/{name}"), server: Some((server.to_owned(), name)) }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection past the program.
    pub async fn raw(&self) -> AnyConnection {
        install_default_drivers();
        let end = if self.server.is_some() { "" } else { "?mode=rw" };
        AnyConnection::connect(&format!("{}{end}", self.url)).await.expect("opens")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = &self.server else { return };
        // A panic on the way out of a panic would hide the first one.
        if !std::thread::panicking() || reachable(server) {
            administer(server, &format!("drop database if exists {name} with (force)"));
        }
    }
}

/// Runs one statement on a server, outside of whatever runtime is there.
fn administer(server: &str, statement: &str) {
    let (url, text) = (format!("{server}/postgres"), statement.to_owned());
    let done = std::thread::spawn(move || {
        install_default_drivers();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut db = AnyConnection::connect(&url).await?;
            db.execute(sqlx::AssertSqlSafe(text)).await?;
            db.close().await
        })
    });
    if let Err(error) = done.join().expect("no panic") {
        assert!(std::thread::panicking(), "{statement}: {error}");
    }
}

fn reachable(server: &str) -> bool {
    let place = server.rsplit('@').next().unwrap_or_default();
    let address = place.parse().expect("an address with a port");
    std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// The server for tests, without a database's name.
pub fn server() -> String {
    static SERVER: OnceLock<(String, Option<Cluster>)> = OnceLock::new();
    let (url, _) = SERVER.get_or_init(|| {
        if let Ok(url) = std::env::var("LIVETILL_TEST_POSTGRES") {
            return (url.trim_end_matches('/').to_owned(), None);
        }
        let usual = "postgres://postgres@127.0.0.1:5432";
        if !program("initdb").exists() && reachable(usual) {
            return (usual.to_owned(), None);
        }
        let cluster = Cluster::start();
        (cluster.url(), Some(cluster))
    });
    url.clone()
}

/// Every world takes up to ten, and the crash matrix alone has sixteen of them at a time.
const CONNECTIONS: &str = "max_connections=500";

/// A PostgreSQL server of our own, gone with the test program.
pub struct Cluster {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Cluster {
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("livetill-pg").tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut cluster = Self { dir, port, child: None };
        let data = cluster.dir.path().join("data");
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(cluster.dir.path()).status();
            assert!(owned.expect("chown").success(), "the user postgres owns the folder");
        }
        let made = as_user(&program("initdb"))
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("initdb runs").success(), "a cluster is made");
        cluster.run();
        cluster
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }

    /// Starts the server; a shell beside it stops it and clears up when this program is gone,
    /// however that ends, since then its input ends.
    fn run(&mut self) {
        let script = "\"$@\" & server=$!; read -r _; gone=$?; kill -INT $server; wait $server; \
                      [ $gone = 0 ] || rm -rf \"$PLACE\"";
        let child = as_user(Path::new("sh"))
            .env("PLACE", self.dir.path())
            .args(["-c", script, "sh"])
            .arg(program("postgres"))
            .args(["-c", "listen_addresses=127.0.0.1", "-c", CONNECTIONS, "-p"])
            .arg(self.port.to_string())
            .arg("-k")
            .arg(self.dir.path())
            .arg("-D")
            .arg(self.dir.path().join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("the server starts"));
        for _ in 0..300 {
            if answers(&self.url()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not answer");
    }

    /// Stops the server at once, open connections and all.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let mut input = child.stdin.take().expect("piped");
            // It may be gone already.
            let _ = input.write_all(b"\n");
            drop(input);
            child.wait().expect("ends");
        }
    }

    pub fn restart(&mut self) {
        self.stop();
        self.run();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

fn answers(server: &str) -> bool {
    let url = format!("{server}/postgres");
    let asked = std::thread::spawn(move || {
        install_default_drivers();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut db = AnyConnection::connect(&url).await?;
            query("select 1").execute(&mut db).await?;
            db.close().await
        })
    });
    asked.join().expect("no panic").is_ok()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.starts_with(b"0\n")
}

/// PostgreSQL refuses to run as root.
pub fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command.current_dir("/");
    command
}

/// One of PostgreSQL's programs: Debian keeps them apart, by version.
fn program(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.map_while(Result::ok).map(|entry| entry.path()).collect())
        .unwrap_or_default();
    versions.sort();
    let found = versions.iter().rev().map(|version| version.join("bin").join(name));
    found.into_iter().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name))
}

#[test]
fn a_private_server_starts_and_restarts() {
    let mut cluster = Cluster::start();
    let base = Database::on(&cluster.url());
    cluster.restart();
    assert!(answers(&cluster.url()));
    drop(base);
    cluster.stop();
    assert!(!answers(&cluster.url()));
}
