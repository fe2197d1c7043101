//! What strangers send to the real program leaves nothing behind in its memory or its log.
//!
//! `LIVETILL_TEST_FLOOD` is how many requests they send.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncBufReader},
    net::TcpStream,
};

use crate::home::Home;

const CONFIG: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[templates.mug]\ntitle = \"Fern Mug\"\n\
                      price = \"18.00\"\nstock = 3\nwarm = 0\n";

/// What memory may grow by, however much is sent.
const GROWS_BY: u64 = 30 * 1024;

/// What the log may grow by, in bytes.
const LOG_GROWS_BY: u64 = 64 * 1024;

/// Requests that are sent before memory is measured: caches fill, threads start.
const WARM_UP: usize = 1500;

fn many() -> usize {
    std::env::var("LIVETILL_TEST_FLOOD").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000)
}

/// The real program with a sale that runs.
pub struct Real {
    pub child: Child,
    pub home: Home,
    /// Where it listens.
    pub at: String,
    /// The running sale.
    pub sale: String,
}

impl Real {
    pub fn start(config: &str) -> Self {
        let home = Home::new(config);
        let log = std::fs::File::create(home.path().join("log")).expect("a log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_livetill"))
            .current_dir(home.path())
            .env_remove("LIVETILL_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        writeln!(child.stdin.as_mut().expect("piped"), "!sale start mug 30m").expect("typed");
        let mut next = || lines.next().expect("a line").expect("text");
        let line = std::iter::repeat_with(&mut next)
            .find(|line| line.contains("SALE OPEN"))
            .expect("it opens");
        let at = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        let at = at.expect("a link").to_owned();
        // What it says from now on nobody needs, but a full pipe would hold it up.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, home, at, sale: String::new() }
    }

    /// The running sale's id.
    pub async fn finds_its_sale(&mut self) {
        let answer = asks(&self.at, "GET /api/sales/1 HTTP/1.1\r\nhost: 127.0.0.1\r\n").await;
        let id = answer.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next());
        self.sale = id.unwrap_or_else(|| panic!("{answer}")).to_owned();
    }

    /// Memory in use, in KiB.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).expect("a log")
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks over a connection of its own, which ends with the answer; `head` is without its last line.
pub async fn asks(at: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(at).await.expect("connects");
    let ask = format!("{head}connection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // A connection that is cut is an answer, too.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// One request after the other over one connection, each answered before the next is sent.
async fn sends(at: String, requests: Vec<String>) {
    let mut stream = AsyncBufReader::new(TcpStream::connect(&at).await.expect("connects"));
    for request in requests {
        stream.get_mut().write_all(request.as_bytes()).await.expect("sent");
        let (mut line, mut length, mut status) = (String::new(), 0, 0);
        loop {
            line.clear();
            assert_ne!(stream.read_line(&mut line).await.expect("answers"), 0, "{request}");
            let lower = line.to_ascii_lowercase();
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().expect("a status");
            }
            if let Some(rest) = lower.strip_prefix("content-length:") {
                length = rest.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        assert!(status < 500, "{status}: {request}");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.expect("a body");
    }
}

/// The `n`-th request that means nothing.
fn stranger(n: usize, sale: &str) -> String {
    let get = |path: String| format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    let post = |path: String, body: String| {
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    // Like ours, and of none.
    let id = format!("{}{n:08x}", &sale[..sale.len() - 8]);
    match n % 10 {
        0 | 1 => get(format!("/api/sales/{id}")),
        2 => get(format!("/sales/{id}")),
        3 => get(format!("/sales/{id}/events")),
        4 => post(format!("/sales/{id}/holds"), "delivery=pickup".into()),
        5 => get(format!("/holds/{id}-{n}-{n:032x}")),
        6 => get(format!("/{n:x}/{n:x}")),
        7 => get(format!("/api/sales/{}", 100 + n)),
        8 => post(format!("/webhooks/sandbox?{n}"), format!("{{\"n\":{n}}}")),
        _ => post(
            format!("/sales/{sale}/holds"),
            format!("upsell.{n}-{}=on&option.{n}=x&units=0", "x".repeat(30_000)),
        ),
    }
}

async fn flood(real: &Real, from: usize, many: usize) {
    let mut all = tokio::task::JoinSet::new();
    for part in 0..4 {
        let numbers = (from..from + many).filter(|n| n % 4 == part);
        let requests = numbers.map(|n| stranger(n / 4 + 1_000_000 * part, &real.sale)).collect();
        all.spawn(sends(real.at.clone(), requests));
    }
    all.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_strangers_ask_for_leaves_nothing_behind() {
    let mut real = Real::start(CONFIG);
    real.finds_its_sale().await;
    flood(&real, 0, WARM_UP).await;
    let (before, log) = (real.memory(), real.log().len() as u64);
    flood(&real, WARM_UP, many()).await;
    let (after, more) = (real.memory(), real.log().len() as u64 - log);
    println!("{before} KiB before, {after} KiB after, {more} bytes of log");
    assert!(after <= before + GROWS_BY, "{before} KiB before, {after} KiB after");
    assert!(more <= LOG_GROWS_BY, "{more} bytes of log: {:.2000}", real.log());
    let answer = asks(&real.at, "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
