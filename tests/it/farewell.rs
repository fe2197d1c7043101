//! SIGTERM at the real binary: who is being served is answered, streams end, what was begun goes
//! on at the next start, and nothing can hold the program for ever.
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{home::Home, world::Browser};

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bot {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    base: String,
}

impl Bot {
    /// Starts it; the provider takes its time for every call.
    fn start(dir: &Path, latency_ms: u32) -> Self {
        let config = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n[providers.sandbox.faults]\n\
             latency_ms = {latency_ms}\n[templates.mug]\ntitle = \"Fern Mug\"\n\
             price = \"18.00\"\nstock = 3\nwarm = 0\n"
        );
        std::fs::write(dir.join("config.toml"), config).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_livetill"))
            .current_dir(dir)
            .env("LIVETILL_LOG", "warn")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut bot = Self { child, out, base: String::new() };
        let first = bot.until("Type ");
        let base = first.split("open ").nth(1).and_then(|rest| rest.split("/live").next());
        bot.base = base.expect("a link").to_owned();
        bot
    }

    fn types(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("piped"), "{line}").expect("written");
    }

    fn until(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.out.read_line(&mut line).expect("a line"), 0, "never: {part}");
            if line.contains(part) {
                return line;
            }
        }
    }

    async fn sale(&self) -> serde_json::Value {
        let sales = Browser::new().get(&format!("{}/api/sales", self.base)).await.text;
        let sales: serde_json::Value = serde_json::from_str(&sales).expect("JSON");
        sales[0].clone()
    }

    fn is_told_to_stop(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    }

    /// Waits for its end; answers exit code and log.
    async fn ends(mut self) -> (Option<i32>, String) {
        let wait = tokio::task::spawn_blocking(move || {
            let mut log = String::new();
            let mut from = self.child.stderr.take().expect("piped");
            from.read_to_string(&mut log).expect("text");
            (self.child.wait().expect("ends").code(), log)
        });
        tokio::time::timeout(PATIENCE, wait).await.expect("it ends").expect("no panic")
    }

    async fn connects(&self) -> TcpStream {
        let address = self.base.strip_prefix("http://").expect("an address");
        TcpStream::connect(address).await.expect("connects")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_buyer_in_the_middle_of_a_claim_is_answered_and_streams_end() {
    let dir = Home::new("");
    let mut bot = Bot::start(dir.path(), 0);
    bot.types("!sale start mug 10m");
    bot.until("SALE OPEN");
    // The page that proved payable at the start is somebody's.
    let first = bot.sale().await["id"].as_str().expect("an id").to_owned();
    Browser::new().post(&format!("{}/sales/{first}/holds", bot.base), &[]).await;
    bot.is_told_to_stop();
    assert_eq!(bot.ends().await.0, Some(0), "with nobody there");

    // Now every call to the provider takes far longer than anybody waits.
    let mut bot = Bot::start(dir.path(), 600_000);
    bot.types("!sale status");
    bot.until("#1 Fern Mug · open");
    let id = bot.sale().await["id"].as_str().expect("an id").to_owned();
    let mut stream = bot.connects().await;
    let ask = format!("GET /sales/{id}/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.expect("sent");
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200");
    let url = format!("{}/sales/{id}/holds", bot.base);
    let claim = tokio::spawn(async move { Browser::new().post(&url, &[]).await });
    while bot.sale().await["held"] != 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bot.is_told_to_stop();
    let answer = tokio::time::timeout(PATIENCE, claim).await.expect("answered").expect("no panic");
    let to = answer.location.expect("sent on");
    assert!(answer.status == 303 && to.contains("/holds/"), "{} {to}", answer.status);
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    end.expect("the stream ends").expect("as it should");
    let (code, log) = bot.ends().await;
    assert_eq!(code, Some(0), "{log}");
    // The call that hangs is not waited for.
    assert!(log.contains("some tasks did not end in time"), "{log}");

    // The units are still theirs.
    let bot = Bot::start(dir.path(), 0);
    assert_eq!(bot.sale().await["held"], 2);
    bot.is_told_to_stop();
    assert_eq!(bot.ends().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_half_a_request_holds_nobody_up() {
    let dir = Home::new("");
    let bot = Bot::start(dir.path(), 0);
    let mut half = bot.connects().await;
    half.write_all(b"POST /sales/x/holds HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-le")
        .await
        .expect("sent");
    let mut idle = bot.connects().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.expect("sent");
    let mut head = [0; 12];
    idle.read_exact(&mut head).await.expect("an answer");
    bot.is_told_to_stop();
    let (code, log) = bot.ends().await;
    assert_eq!(code, Some(0), "{log}");
}
