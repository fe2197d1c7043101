//! The real program when nobody reads what it says: a sale opens, sells and ends all the same, and
//! SIGTERM is a polite end. What repeats itself does not fill the log.
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::{home::Home, world::Browser};

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

const LOOK_EVERY: Duration = Duration::from_millis(50);

struct Bot {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    base: String,
}

fn home() -> Home {
    let mut config = "[http]\nlisten = \"127.0.0.1:0\"\n[templates.mug]\ntitle = \"Fern Mug\"\n\
                      price = \"18.00\"\nstock = 3\nhold = \"5m\"\n"
        .to_owned();
    for n in 0..40 {
        config.push_str(&format!("[templates.something-else-{n}]\nprice = \"5\"\n"));
    }
    Home::new(&config)
}

impl Bot {
    fn start(home: &Home, log: &str, stderr: Stdio) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_livetill"))
            .current_dir(home.path())
            .env("LIVETILL_LOG", log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("starts");
        let stdin = child.stdin.take().expect("piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut first = String::new();
        while !first.contains("open http") {
            first.clear();
            assert_ne!(stdout.read_line(&mut first).expect("a line"), 0, "it ended");
        }
        let base = first.split("open ").nth(1).and_then(|rest| rest.split("/live").next());
        let base = base.expect("a link").to_owned();
        Self { child, stdin, stdout, base }
    }

    fn types(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").expect("written");
    }

    /// Waits until the newest sale is in that state.
    async fn until(&self, state: &str) -> serde_json::Value {
        let looking = async {
            loop {
                let sales = Browser::new().get(&format!("{}/api/sales", self.base)).await.text;
                let sales: serde_json::Value = serde_json::from_str(&sales).expect("JSON");
                if sales[0]["state"] == state {
                    return sales[0].clone();
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.expect(state)
    }

    fn is_told_to_stop(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    }

    /// Waits for its end without reading anything.
    async fn ends(&mut self) -> ExitStatus {
        let waiting = async {
            loop {
                if let Some(status) = self.child.try_wait().expect("a child") {
                    return status;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it ends")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_opens_sells_and_ends_though_nobody_reads_the_log_or_the_console() {
    let home = home();
    let (unread, mut full) = std::io::pipe().expect("a pipe");
    let stderr = full.try_clone().expect("a second end");
    // Takes all the room there is, and waits for more until the test is over.
    let filler = std::thread::spawn(move || while full.write_all(&[b'x'; 1024]).is_ok() {});
    let mut bot = Bot::start(&home, "trace", stderr.into());
    // Answers of 200 bytes: more than a pipe holds, and nobody reads them.
    for n in 0..400 {
        bot.types(&format!("!sale start zzz{n}"));
    }
    bot.types("!sale start mug 10m stock=1");
    let sale = bot.until("open").await;
    let claim = format!("{}/sales/{}/holds", bot.base, sale["id"].as_str().expect("an id"));
    let mut browser = Browser::new();
    let sold = async {
        loop {
            let page = browser.post(&claim, &[]).await.location.expect("sent on");
            if page.contains("/sandbox/pay/") {
                return browser.post(&page, &[("do", "pay")]).await.status;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, sold).await.expect("sold"), 303);
    for _ in 0..100 {
        let answer = Browser::new().post(&format!("{}/webhooks/sandbox", bot.base), &[]).await;
        assert!(answer.status == 401 || answer.status == 403, "{}", answer.status);
    }
    assert_eq!(bot.until("sold_out").await["paid"], 1);
    // The clock ends one, too.
    bot.types("!sale start mug 2s stock=2");
    assert_eq!(bot.until("ended").await["stock"], 2);
    bot.is_told_to_stop();
    assert_eq!(bot.ends().await.code(), Some(0), "a polite end");
    drop(unread);
    filler.join().expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_is_told_where_it_is_missing() {
    let home = home();
    let (mut late, full) = std::io::pipe().expect("a pipe");
    let mut bot = Bot::start(&home, "trace", full.into());
    let mut browser = Browser::new();
    let lost = async {
        loop {
            let page = browser.get(&format!("{}/metrics", bot.base)).await.text;
            let lines = page.lines();
            let lost = lines.filter_map(|line| {
                line.strip_prefix("livetill_lines_lost{stream=\"stderr\"} ")?.parse::<f64>().ok()
            });
            if lost.sum::<f64>() > 0.0 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, lost).await.expect("more than anybody keeps");
    // Somebody reads after all.
    let read = tokio::task::spawn_blocking(move || {
        let mut log = Vec::new();
        late.read_to_end(&mut log).map(|_| String::from_utf8_lossy(&log).into_owned())
    });
    bot.is_told_to_stop();
    assert_eq!(bot.ends().await.code(), Some(0));
    let log = read.await.expect("no panic").expect("read");
    assert!(log.contains(" lines were lost here: nobody read in time\n"), "{}", log.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_warning_is_counted_instead_of_repeated() {
    let home = home();
    let mut bot = Bot::start(&home, "warn", Stdio::piped());
    for _ in 0..515 {
        Browser::new().post(&format!("{}/webhooks/sandbox", bot.base), &[]).await;
    }
    bot.is_told_to_stop();
    let mut log = String::new();
    let stderr = bot.child.stderr.as_mut().expect("piped");
    stderr.read_to_string(&mut log).expect("text");
    assert_eq!(bot.ends().await.code(), Some(0));
    assert!(log.contains("more like it: "), "{log}");
    assert!(log.lines().count() < 30, "{log}");
    let _ = bot.stdout;
}
