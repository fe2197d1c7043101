//! The program itself, as it is shipped: how fast it starts, what it holds, how large it is.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use livetill::clock::SystemClock;
use tempfile::TempDir;

use crate::{
    child::Child,
    discord,
    listeners::resident,
    row::{self, Row},
    shop::runtime,
    stock, twitch,
};

const BINARY: &str = env!("CARGO_BIN_EXE_livetill");

/// How long a start may take until it counts as failed.
const AT_MOST: Duration = Duration::from_secs(60);

/// What is idle stays so: first work is done by then.
const IDLE_AFTER: Duration = Duration::from_secs(10);

/// From the start of the process until it says that it can work.
pub fn cold_start(pairs: usize) -> Vec<Row> {
    let what = "process start to /readyz 200, 100,000 journal rows, beside none";
    let mut row = Row::new(what, "ms", "≤ 50 ms");
    let mut first = Row::new("process start to /readyz 200, database made anew", "ms", "");
    let full = folder("");
    stock::fill(full.path(), 100_000);
    let empty = folder("");
    Program::start(empty.path(), &[]).stop();
    for _ in row::pairs(what, pairs) {
        row.ours.push(started(full.path()));
        row.reference.push(started(empty.path()));
        first.ours.push(started(folder("").path()));
    }
    vec![row, first]
}

/// Milliseconds from the start of the process until it is ready.
fn started(dir: &Path) -> f64 {
    let program = Program::start(dir, &[]);
    let took = program.took;
    program.stop();
    took.as_secs_f64() * 1000.0
}

/// Memory of the program with nothing to do: with the console alone, and with both chats.
pub fn idle_memory() -> Vec<Row> {
    let megabytes = |program: &Program| {
        eprintln!("  idle for {} s", IDLE_AFTER.as_secs());
        std::thread::sleep(IDLE_AFTER);
        resident(&program.child.id().to_string()) as f64 / 1e6
    };
    let dir = folder("");
    let program = Program::start(dir.path(), &[]);
    let console = megabytes(&program);
    program.stop();
    let chats = runtime();
    let (dir, environment, fakes) = chats.block_on(with_chats());
    let environment: Vec<_> = environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let program = Program::start(dir.path(), &environment);
    chats.block_on(fakes.connected());
    let both = megabytes(&program);
    assert!(fakes.twitch.joined(), "it is still in its channel");
    program.stop();
    vec![
        Row::single("memory when idle, console, Discord and Twitch", both, "MB", "≤ 25"),
        Row::single("memory when idle, console alone", console, "MB", ""),
    ]
}

/// Both chat services.
struct Fakes {
    discord: Arc<discord::fake::Fake>,
    twitch: twitch::fake::Chat,
}

impl Fakes {
    /// Waits until the program is in both.
    async fn connected(&self) {
        self.discord.until("commands", |all| !all.registered.is_empty()).await;
        crate::shop::until("in the channel", async || self.twitch.joined().then_some(())).await;
    }
}

/// A folder whose program talks to both, its secrets, and both.
async fn with_chats() -> (TempDir, [(&'static str, String); 2], Fakes) {
    use twitch::{
        fake::{BOT, Chat, ROOM},
        id::{CLIENT, Id},
    };
    let id = Id::start().await;
    let twitch = Chat::start(&id, Arc::new(SystemClock)).await;
    let discord = discord::fake::Fake::start().await;
    let dir = folder(&format!(
        "[shop]\nrooms = [\"console\", \"discord:{}\", \"twitch:{ROOM}\"]\n\
         [discord]\nenabled = true\napi_url = \"{}\"\n\
         [twitch]\nenabled = true\nlogin = \"{BOT}\"\nserver = \"tcp://{}\"\n\
         client_id = \"{CLIENT}\"\nauth_url = \"{}\"\n",
        discord::fixtures::SHOP,
        discord.url,
        twitch.address,
        id.url()
    ));
    let environment = [
        ("LIVETILL_DISCORD__TOKEN", discord::fixtures::TOKEN.to_owned()),
        ("LIVETILL_TWITCH__TOKEN", "access-1".to_owned()),
    ];
    (dir, environment, Fakes { discord, twitch })
}

/// The size of what is shipped, if it was built.
pub fn size() -> Row {
    let mut row = Row::new("size of the shipped binary", "MB", "≤ 25");
    let target = Path::new(BINARY).parent().and_then(Path::parent).expect("the build folder");
    match std::fs::metadata(target.join("dist/livetill")) {
        Ok(file) => row.ours.push(file.len() as f64 / 1e6),
        Err(_) => row.note = "not built: cargo build --profile dist".to_owned(),
    }
    row
}

/// A folder with a configuration, on a port of its own.
fn folder(more: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    let text = format!(
        "[http]\nlisten = \"{address}\"\n{more}\n[templates.mug]\ntitle = \"Fern Mug\"\n\
         price = \"18.00\"\nstock = 3\n"
    );
    std::fs::write(dir.path().join("config.toml"), text).expect("written");
    std::fs::write(dir.path().join("address"), address.to_string()).expect("written");
    dir
}

/// A running program.
struct Program {
    child: Child,
    took: Duration,
}

impl Program {
    /// Starts it and waits until it is ready.
    fn start(dir: &Path, environment: &[(&str, &str)]) -> Self {
        let address = std::fs::read_to_string(dir.join("address")).expect("an address");
        let address = address.parse().expect("an address");
        let mut command = Command::new(BINARY);
        command.arg("run").current_dir(dir).env_remove("LIVETILL_LOG");
        command.envs(environment.iter().copied());
        let began = Instant::now();
        let child = Child::start(&mut command);
        while !is_ready(address) {
            assert!(began.elapsed() < AT_MOST, "the program is ready within {AT_MOST:?}");
            std::thread::sleep(Duration::from_micros(200));
        }
        Self { child, took: began.elapsed() }
    }

    /// Ends it at once: a polite end is not what is measured.
    fn stop(self) {
        drop(self.child);
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut socket) = TcpStream::connect(address) else { return false };
    let ask = b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    socket.write_all(ask).is_ok()
        && socket.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
