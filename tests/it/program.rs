//! The binary itself: what it reads, prints and exits with, and that it survives being killed.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use crate::{
    books,
    database::Engine,
    home::Home,
    world::{Browser, Seeded},
};
use livetill::{
    clock::{Clock, SystemClock},
    id::Entropy,
    store::{self, Access, DocChange, Store},
};

const CONFIG: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[templates.mug]\ntitle = \"Fern Mug\"\n\
                      price = \"18.00\"\nstock = 3\nwarm = 1\nhold = \"4s\"\ngrace = \"2s\"\n";

fn livetill(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_livetill"));
    command.args(args).current_dir(dir).env_remove("LIVETILL_LOG").env("RUST_BACKTRACE", "0");
    command
}

fn run(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut child = livetill(dir, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A running program whose lines arrive in a channel.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let mut child = livetill(dir, &[])
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
        Self { child, lines }
    }

    fn types(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("piped"), "{line}").expect("written");
    }

    /// The next line with that text in it.
    fn until(&self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60)).expect(part);
            if line.contains(part) {
                return line;
            }
        }
    }

    fn link(line: &str) -> String {
        let at = line.find("http://").expect("a link");
        line[at..].split(['/', ' ']).take(3).collect::<Vec<_>>().join("/")
    }
}

#[test]
fn a_sale_from_a_pipe_ends_by_itself() {
    let dir = Home::new(CONFIG);
    let out = run(dir.path(), &[], "!sale start mug 2s stock=3\n");
    let said = text(&out.stdout);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("Type !sale start mug 2m · open http://127.0.0.1:"), "{said}");
    assert!(said.contains("SALE OPEN · Fern Mug · $18 · 3 left · 2 s · http"), "{said}");
    assert!(said.contains("ENDED · Fern Mug · 0 of 3 sold"), "{said}");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let out = run(dir.path(), &["verify"], "");
    assert!(text(&out.stdout).ends_with("oversold 0\n"));
    assert_eq!(out.status.code(), Some(0));
    let out = run(dir.path(), &["sales"], "");
    assert!(text(&out.stdout).contains("time up") && text(&out.stdout).contains("Fern Mug"));
}

#[tokio::test]
async fn three_buyers_and_a_packing_list() {
    let dir = Home::new(CONFIG);
    let mut running = Running::start(dir.path());
    running.types("!sale start mug 60s");
    let base = Running::link(&running.until("SALE OPEN"));
    for _ in 0..3 {
        let mut browser = Browser::new();
        let sale = browser.get(&format!("{base}/api/sales/1")).await.text;
        let sale: serde_json::Value = serde_json::from_str(&sale).expect("JSON");
        let claim = format!("{base}/sales/{}/holds", sale["id"].as_str().expect("an id"));
        let mut page = browser.post(&claim, &[]).await.location.expect("sent on");
        while !page.contains("/sandbox/pay/") {
            tokio::time::sleep(Duration::from_millis(50)).await;
            page = browser.post(&claim, &[]).await.location.expect("sent on");
        }
        let paid = browser.post(&page, &[("do", "pay")]).await;
        assert_eq!(paid.status, 303);
    }
    running.until("SOLD OUT · Fern Mug · 3 in");
    let mut browser = Browser::new();
    let sale = browser.get(&format!("{base}/api/sales/1")).await.text;
    assert!(sale.contains("\"paid\":3") && sale.contains("\"state\":\"sold_out\""), "{sale}");
    drop(running.child.stdin.take());
    assert_eq!(running.child.wait().expect("ends").code(), Some(0));
    let csv = text(&run(dir.path(), &["report", "1", "--csv"], "").stdout);
    assert!(csv.starts_with("\u{FEFF}sale,payment,"), "{csv}");
    assert_eq!(csv.matches("\r\n").count(), 4, "a heading and three rows: {csv}");
    let json = text(&run(dir.path(), &["report", "1", "--json"], "").stdout);
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&report["sold"], &report["net"]["amount"]), (&3.into(), &5400.into()));
}

#[tokio::test]
async fn wrong_usage_and_wrong_configuration_exit_with_two() {
    let dir = Home::new(CONFIG);
    for args in [&["dance"][..], &["report"], &["report", "x"], &["report", "1", "--json", "--csv"]]
    {
        let out = run(dir.path(), args, "");
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", text(&out.stderr));
    }
    let out = run(dir.path(), &["--help"], "");
    assert_eq!(out.status.code(), Some(0));
    assert!(text(&out.stdout).contains("demo"));
    let out = run(dir.path(), &["--config", "nosuch.toml"], "");
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("there is no nosuch.toml"), "{}", text(&out.stderr));
    let bad = Home::new("[http]\nlisen = \"x\"\n");
    let out = run(bad.path(), &[], "");
    assert_eq!(out.status.code(), Some(2));
    let says = text(&out.stderr);
    assert!(says.contains("line 2") && says.contains("Did you mean listen?"), "{says}");
    assert!(bad.is_empty().await, "nothing was touched");
}

#[cfg(unix)]
#[test]
fn what_is_not_utf8_is_named_or_ignored() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let dir = Home::new(CONFIG);
    let odd = OsStr::from_bytes(b"\xff\xfe");
    let with = |key: &OsStr, argument: Option<&OsStr>| {
        let mut command = livetill(dir.path(), &["verify"]);
        command.env(key, odd).args(argument).stdin(Stdio::null());
        command.output().expect("runs")
    };
    let out = with(OsStr::new("SOMETHING"), None);
    assert_eq!(out.status.code(), Some(1), "as without it: {}", text(&out.stderr));
    let out = with(OsStr::new("LIVETILL_SHOP__NAME"), None);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("LIVETILL_SHOP__NAME is not UTF-8"));
    let out = with(OsStr::new("SOMETHING"), Some(odd));
    assert_eq!(out.status.code(), Some(2), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn what_cannot_be_exits_with_one_and_says_why() {
    let dir = Home::new(CONFIG);
    let out = run(dir.path(), &["report", "9"], "");
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("does not exist. Start livetill once"));
    run(dir.path(), &[], "");
    let out = run(dir.path(), &["report", "9"], "");
    assert!(text(&out.stderr).contains("there is no sale 9"), "{}", text(&out.stderr));

    // A file is one program's; a server is for several.
    let dir = Home::on(Engine::Sqlite, CONFIG);
    let mut first = Running::start(dir.path());
    first.until("Type ");
    let out = run(dir.path(), &[], "");
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("in use by another livetill"), "{}", text(&out.stderr));
    let looking = run(dir.path(), &["sales"], "");
    assert_eq!(looking.status.code(), Some(0), "looking beside it is fine");
    first.child.kill().expect("killed");
    first.child.wait().expect("ends");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    let busy = Home::new(&CONFIG.replace("127.0.0.1:0", &listen));
    let out = run(busy.path(), &[], "");
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("Set http.listen"), "{}", text(&out.stderr));
}

#[test]
fn mistakes_from_a_pipe_start_nothing_and_viewers_meet_silence() {
    let dir = Home::new(CONFIG);
    let typed = "!sale strat mug\n!sale start mgu 10m\n!sale start mug 10\n!sale start mug 10x\n\
                 !sale start mug 99h\nana> !sale stop\n\u{fffd}\n";
    let out = run(dir.path(), &[], typed);
    let said = text(&out.stdout);
    let answers: Vec<&str> = said.lines().skip(1).collect();
    assert_eq!(answers.len(), 5, "{said}");
    assert!(answers[0].contains("Did you mean: !sale start mug?"));
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(text(&run(dir.path(), &["sales"], "").stdout), "No sale so far.\n");
}

#[test]
fn templates_are_read_anew_while_it_runs() {
    let dir = Home::new(CONFIG);
    let mut running = Running::start(dir.path());
    running.until("Type ");
    running.types("!sale start mug 60s");
    running.until("SALE OPEN · Fern Mug · $18");
    let changed = CONFIG.replace("18.00", "20.00") + "[templates.pot]\nprice = \"5\"\n";
    std::fs::write(dir.path().join("config.toml"), changed).expect("written");
    running.until("Templates reloaded: mug, pot");
    running.types("!sale status");
    running.until("#1 Fern Mug · open");
    running.types("!sale list");
    running.until("mug · Fern Mug · 3 × $20");
    std::fs::write(dir.path().join("config.toml"), "[templates.pot]\nprise = \"5\"\n")
        .expect("written");
    running.until("The templates stay as they were.");
    running.child.kill().expect("killed");
    running.child.wait().expect("ends");
}

/// Kills the program at a random moment of a sale again and again; whatever is running goes on.
#[tokio::test]
async fn killed_at_random_moments_a_sale_still_ends_once_and_clean() {
    let rounds =
        std::env::var("LIVETILL_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let dir = Home::new(CONFIG);
    let random = Seeded::new(42);
    let mut running = Running::start(dir.path());
    running.types("!sale start mug 8s");
    let mut said: Vec<String> = Vec::new();
    let mut round = 0;
    let mut sales = 1;
    while round < rounds {
        let wait = u64::from(u16::from_be_bytes([random.bytes()[0], random.bytes()[1]])) % 900;
        let shop = shop(&running, &mut said, wait);
        tokio::time::timeout(Duration::from_millis(wait), shop).await.ok();
        running.child.kill().expect("killed");
        running.child.wait().expect("ends");
        said.extend(running.lines.try_iter());
        round += 1;
        running = Running::start(dir.path());
        said.push(running.until("Type "));
        if round % 5 == 0 {
            sales += 1;
            running.types("!sale start mug 8s");
        }
    }
    drop(running.child.stdin.take());
    assert_eq!(running.child.wait().expect("ends").code(), Some(0), "{said:#?}");
    said.extend(running.lines.iter());
    let out = run(dir.path(), &["verify", "--json"], "");
    let proof: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((&proof["oversold"], &proof["ok"]), (&0.into(), &true.into()), "{proof:#}");
    let all = run(dir.path(), &["sales", "--json"], "");
    let all: serde_json::Value = serde_json::from_slice(&all.stdout).expect("JSON");
    let all = all.as_array().expect("a list");
    assert!(!all.is_empty() && all.len() <= sales, "{} of {sales}", all.len());
    for sale in all {
        assert_eq!(sale["phase"], "closed", "{sale}");
        let number = sale["number"].to_string();
        let out = run(dir.path(), &["report", &number, "--json"], "");
        let report: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        for payment in report["payments"].as_array().expect("a list") {
            let fate = payment["fate"].as_str().expect("a fate");
            assert!(["kept", "refunded"].contains(&fate), "{payment}");
        }
    }
    let store = store::open(dir.url(), Access::Read).await.expect("a store");
    books::agree_with_sandbox(&store).await;
    let endings = said.iter().filter(|l| l.starts_with("ENDED") || l.starts_with("SOLD OUT"));
    let opened = all.iter().filter(|sale| sale["reason"] != "failed").count();
    let endings = endings.count();
    assert!(endings >= opened && endings <= opened + rounds / 4 + 1, "{endings}: {said:#?}");
}

/// Somebody claims and pays while the program may be killed under their hands.
async fn shop(running: &Running, said: &mut Vec<String>, seed: u64) {
    let mut base = None;
    for line in said.iter().rev() {
        if line.contains("http://") {
            base = Some(Running::link(line));
            break;
        }
    }
    loop {
        said.extend(running.lines.try_iter());
        if let Some(line) = said.iter().rev().find(|line| line.contains("http://")) {
            base = Some(Running::link(line));
        }
        if let Some(base) = &base {
            let client = crate::world::client();
            let Ok(answer) = client.get(format!("{base}/api/sales")).send().await else { return };
            let Ok(sales) = answer.json::<serde_json::Value>().await else { return };
            if let Some(id) = sales[0]["id"].as_str().filter(|_| sales[0]["state"] == "open") {
                let claim = client.post(format!("{base}/sales/{id}/holds")).send().await;
                let Ok(answer) = claim else { return };
                let to = answer.headers().get("location").and_then(|v| v.to_str().ok());
                if let Some(page) = to.filter(|to| to.contains("/pay/") && !seed.is_multiple_of(3))
                {
                    let pay = client.post(page).form(&[("do", "pay")]);
                    if pay.send().await.is_err() {
                        return;
                    }
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

#[tokio::test]
async fn a_rehearsal_ends_well_and_its_plan_depends_on_the_seed_alone() {
    let dir = Home::new(CONFIG);
    let score = |seed: &str| {
        let args = [
            "demo",
            "--buyers",
            "40",
            "--stock",
            "6",
            "--duration",
            "6s",
            "--seed",
            seed,
            "--json",
        ];
        let out = run(dir.path(), &args, "");
        assert_eq!(out.status.code(), Some(0), "{} {}", text(&out.stdout), text(&out.stderr));
        serde_json::from_slice::<serde_json::Value>(&out.stdout).expect("JSON")
    };
    let (one, other) = (score("7"), score("7"));
    assert_eq!((&one["oversold"], &one["settled"]), (&0.into(), &true.into()));
    assert_eq!(one["plan"], other["plan"]);
    assert_ne!(one["plan"], score("8")["plan"]);
    assert!(dir.is_empty().await, "the shop's own database is not touched");
}

#[test]
fn what_a_probe_measured_is_kept_and_shown_by_hour_beside_a_running_bot() {
    let dir = Home::new(CONFIG);
    let said = run(dir.path(), &["probe", "--history"], "");
    assert!(text(&said.stdout).starts_with("Nothing was measured so far."));
    assert_eq!(run(dir.path(), &["probe"], "").status.code(), Some(2), "of what?");
    let mut bot = Running::start(dir.path());
    bot.types("!sale status");
    let probe = run(dir.path(), &["probe", "mug", "--rounds", "2"], "");
    assert!(probe.status.success(), "{}", text(&probe.stderr));
    let said = run(dir.path(), &["probe", "--history", "--json"], "");
    let hours: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let rows = hours.as_array().expect("hours");
    // The two rounds may have an hour's turn between them.
    assert_eq!(rows.iter().map(|row| row["count"].as_u64().expect("it")).sum::<u64>(), 2);
    for row in rows {
        let ms = ["p50", "p95", "max"].map(|of| row["ms"][of].as_i64().expect("a number"));
        assert!(ms.is_sorted() && row["failed"] == 0, "{row}");
    }
    let none = run(dir.path(), &["probe", "other", "--history", "--json"], "");
    assert_eq!(text(&none.stdout).trim(), "[]");
    bot.child.kill().expect("killed");
    bot.child.wait().expect("gone");
}

#[test]
fn a_list_without_codes_is_warned_about_once_at_the_start_and_in_check() {
    let more = "condition = { codes = \"vip\" }\n[templates.pot]\nprice = \"5\"\ncondition = { \
                codes = \"vip\" }\n";
    let dir = Home::new(&format!("{CONFIG}{more}"));
    let says = "no code is loaded, so nobody can give one for mug, pot: livetill codes vip add";
    let all = |args: &[&str]| {
        let out = run(dir.path(), args, "");
        assert_eq!(out.status.code(), Some(0), "a warning fails nothing");
        text(&out.stdout) + &text(&out.stderr)
    };
    // Without a store yet, at the start, and with a store.
    for args in [&["check"][..], &[], &["check"]] {
        let said = all(args);
        assert_eq!(said.matches(says).count(), 1, "{args:?}: {said}");
    }
    assert!(all(&["check"]).contains("warn  codes vip: no code is loaded"));
    run(dir.path(), &["codes", "vip", "add", "-"], "A-1\n");
    let said = all(&["check"]) + &all(&[]);
    assert!(!said.contains("no code is loaded"), "{said}");
}

#[tokio::test]
async fn a_twin_on_the_bots_account_fails_check_for_a_day() {
    let dir = Home::on(Engine::Sqlite, CONFIG);
    run(dir.path(), &[], "");
    let check = async |hours_ago: i64| {
        let store = store::open(dir.url(), Access::Write).await.expect("a store");
        let at = SystemClock.now().millis() - hours_ago * 3_600_000;
        let known = store.doc("double", "twitch").await.expect("reads");
        let change = DocChange {
            kind: "double",
            id: "twitch".to_owned(),
            parent: "twitch:shop".to_owned(),
            expected: known.map_or(0, |doc| doc.version),
            body: Some(serde_json::json!({ "at": at })),
        };
        assert!(store.put_docs(vec![change]).await.expect("writes"));
        store.close().await;
        run(dir.path(), &["check"], "")
    };
    let out = check(1).await;
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(
        said.contains("FAIL  twitch: Another program speaks with this bot's account"),
        "{said}"
    );
    let out = check(25).await;
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stdout));
}

#[cfg(unix)]
#[test]
fn whoever_ends_it_and_starts_it_again_reads_what_becomes_of_the_sale() {
    let dir = Home::new(CONFIG);
    let out = run(dir.path(), &[], "");
    assert_eq!(out.status.code(), Some(0));
    let said = text(&out.stderr);
    assert!(said.contains("standard input has ended and no sale is on"), "{said}");
    let out = run(dir.path(), &[], "!sale start mug 2s\n");
    let said = text(&out.stderr);
    assert!(said.contains("livetill ends when #1 Fern Mug is over"), "{said}");
    // A signal in mid-sale.
    let mut child = livetill(dir.path(), &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    writeln!(child.stdin.as_mut().expect("piped"), "!sale start mug 10m").expect("written");
    let opens = lines.any(|line| line.is_ok_and(|line| line.starts_with("SALE OPEN")));
    assert!(opens, "the sale opens");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let out = child.wait_with_output().expect("ends");
    assert_eq!(out.status.code(), Some(0));
    let said = text(&out.stderr);
    assert!(said.contains("#2 Fern Mug is not over: its time runs on"), "{said}");
    let mut running = Running::start(dir.path());
    running.until("Goes on: #2 Fern Mug · open");
    running.types("!sale stop");
    running.until("CANCELLED");
    drop(running.child.stdin.take());
    assert_eq!(running.child.wait().expect("ends").code(), Some(0));
}

#[test]
fn codes_are_loaded_before_and_while_it_runs() {
    let dir = Home::new(&format!("{CONFIG}condition = {{ label = \"Code\", codes = \"vip\" }}\n"));
    let add = |input: &str| {
        let out = run(dir.path(), &["codes", "vip", "add", "-"], input);
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout)
    };
    assert_eq!(add("A-1\nB-2\n\n"), "vip: 2 added, 0 there already\n");
    let mut running = Running::start(dir.path());
    running.until("Type !sale");
    std::fs::write(dir.path().join("more.txt"), "b2\nC-3\n").expect("written");
    let out = run(dir.path(), &["codes", "vip", "add", "more.txt"], "");
    assert_eq!(text(&out.stdout), "vip: 1 added, 1 there already\n");
    let out = run(dir.path(), &["codes", "vip", "count"], "");
    assert_eq!(text(&out.stdout), "vip: 3 in all\n");
    // As a spreadsheet writes it: a mark, quotes, a long dash, an empty column, CRLF.
    let sheet = "\u{FEFF}D-4;\r\n\"E-5\";\r\nF–6;\r\nG7;\r\n";
    std::fs::write(dir.path().join("sheet.csv"), sheet).expect("written");
    let out = run(dir.path(), &["codes", "vip", "add", "sheet.csv"], "");
    assert_eq!(text(&out.stdout), "vip: 4 added, 0 there already\n");
    let out = run(dir.path(), &["codes", "vip", "add", "-"], "d4\ne5\nf-6\ng-7\n");
    assert_eq!(text(&out.stdout), "vip: 0 added, 4 there already\n", "all four work");
    let out = run(dir.path(), &["codes", "vip", "add", "-"], "h8\ni9;Ana\n");
    assert!(text(&out.stderr).contains("line 2 is no code: it has several columns"));
    // A file that is not there, and a line that is no code.
    let out = run(dir.path(), &["codes", "vip", "add", "none.txt"], "");
    assert!(!out.status.success() && text(&out.stderr).contains("cannot read none.txt"));
    let out = run(dir.path(), &["codes", "vip", "add", "-"], &"x".repeat(200));
    assert!(!out.status.success() && text(&out.stderr).contains("line 1 is no code"));
    let out = run(dir.path(), &["codes", "other", "count"], "");
    assert!(text(&out.stderr).contains("no template asks for a code of other"));
    running.child.kill().expect("killed");
    running.child.wait().expect("ends");
}

#[test]
fn a_variable_that_sets_nothing_is_named_before_anything_is_started() {
    let dir = Home::new(CONFIG);
    let out = dir.path().join("livetill.env");
    for (text, says) in [
        ("LIVETILL_DESK_TOKEN=abcdefghijklmnop\n", "LIVETILL_HTTP__DESK_TOKEN"),
        ("LIVETILL_FOO__BAR=1\n", "LIVETILL_FOO__BAR sets nothing"),
        (
            "LIVETILL_SHOP__NAME=a\nLIVETILL_SHOP__NAME=b\n",
            "line 2: LIVETILL_SHOP__NAME is set in line 1",
        ),
    ] {
        std::fs::write(&out, text).expect("written");
        std::process::Command::new("chmod").arg("600").arg(&out).status().expect("chmod runs");
        let program = run(dir.path(), &["check"], "");
        assert_eq!(program.status.code(), Some(2), "{text}");
        assert!(text_of(&program).contains(says), "{text}: {}", text_of(&program));
    }
}

fn text_of(program: &std::process::Output) -> String {
    text(&[program.stdout.as_slice(), program.stderr.as_slice()].concat())
}
