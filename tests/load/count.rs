//! Processor instructions of one request, counted by valgrind: a figure that a busy machine does
//! not change.
//!
//! A server of its own runs under valgrind; what it does before the requests is not counted. Its
//! clock stands still and it talks to no chat, so that only requests give it something to do: rooms
//! are looked after by the clock, however many requests there are.

use std::{net::SocketAddr, path::Path, pin::Pin, process::Command, sync::Arc, time::Duration};

use livetill::{
    clock::{Clock, SystemClock, Timestamp},
    view::State,
};

use tempfile::TempDir;

use crate::{
    child::{Child, itself, until_told},
    claims, client,
    pages::{LIVE, SHARED},
    reference,
    row::Row,
    shop::{Plan, Shop, claim_on, file, runtime},
};

/// Requests that are counted: enough that what happens now and then evens out.
const REQUESTS: usize = 300;

/// Requests before: what is done once is done by then.
const WARM_UP: usize = 50;

/// Before each request, so that the server always sleeps until it comes: whether it does would
/// otherwise be chance, and waking up counts.
const PAUSE: Duration = Duration::from_millis(5);

/// A process that did nothing for this long is at rest.
const REST: Duration = Duration::from_secs(2);

/// What is counted.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Redirect,
    Claim,
    Webhook,
}

/// One and a thousand sales, and the bare reference.
pub fn instructions() -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, name, others, goal) in [
        (What::Redirect, "redirect", "armed", "≤ 1.05"),
        (What::Claim, "claim", "open", "≤ 1.3"),
        (What::Webhook, "webhook", "open", "≤ 1.3"),
    ] {
        let mut beside_bare = Row::new(format!("instructions of a {name}"), "", "");
        let among = format!("instructions of a {name}, 999 more sales {others}, beside one sale");
        let mut among = Row::new(among, "", goal);
        if has_valgrind() {
            eprintln!("  {name}, 1 sale");
            let one = ours(what, 1);
            eprintln!("  {name}, 1,000 sales");
            let many = ours(what, 1_000);
            eprintln!("  {name}, bare");
            match bare(what) {
                Some(bare) => {
                    beside_bare.ours.push(one);
                    beside_bare.reference.push(bare);
                }
                None => beside_bare = Row::single(beside_bare.what, one, "", ""),
            }
            among.ours.push(many);
            among.reference.push(one);
        } else {
            let note = "valgrind is not installed (Debian package valgrind)";
            (beside_bare.note, among.note) = (note.to_owned(), note.to_owned());
        }
        rows.extend([beside_bare, among]);
    }
    rows
}

fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|out| out.status.success())
}

/// Instructions of one request to a shop with that many sales.
fn ours(what: What, sales: usize) -> f64 {
    let full = folder();
    let requests = runtime().block_on(fill(what, sales, full.path()));
    count(&requests, |dir| {
        let db = rusqlite::Connection::open(full.path().join("livetill.db")).expect("opens");
        let copy = dir.join("livetill.db").display().to_string();
        db.execute("vacuum into ?1", [copy]).expect("copied");
        itself(&["--serve", what.word(), &file(dir)])
    })
}

/// Instructions of one request to the bare reference; there is none for webhooks, which would
/// have to know the shop's key.
fn bare(what: What) -> Option<f64> {
    let request = match what {
        What::Redirect => LIVE.to_vec(),
        What::Claim => claims::bare_claim(0),
        What::Webhook => return None,
    };
    Some(count(&again_and_again(request), |dir| {
        let path = dir.join("bare.db");
        itself(&["--serve-bare", what.word(), &path.display().to_string()])
    }))
}

/// All requests of one run.
fn again_and_again(request: Vec<u8>) -> Vec<Vec<u8>> {
    vec![request; WARM_UP + REQUESTS]
}

/// Makes a database with one sale to be asked for, and more beside it; without valgrind, since
/// only what comes later is counted. Returns what is sent.
async fn fill(what: What, sales: usize, dir: &Path) -> Vec<Vec<u8>> {
    let plan = Plan { url: file(dir), ..what.plan() };
    let warm = plan.warm;
    let mut shop = Shop::closed(plan).await;
    // The link leads straight to a shared page only while one sale is open.
    let (verb, state) = match what {
        What::Redirect => ("arm", State::Armed),
        What::Claim | What::Webhook => ("start", State::Open),
    };
    shop.start_many(sales - 1, &format!("!sale {verb} mug 30m stock=1"), state).await;
    shop.start("!sale start mug 30m", warm).await;
    let requests = match what {
        What::Redirect => again_and_again(LIVE.to_vec()),
        What::Claim => again_and_again(claim_on(shop.sale)),
        What::Webhook => {
            shop.claims(8, WARM_UP + REQUESTS).await;
            shop.payments().await
        }
    };
    shop.close().await;
    requests
}

/// A folder in memory where there is one: a disk is waited for, and waiting is not counted.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// Instructions of one request to a server that is made from an empty folder.
fn count(requests: &[Vec<u8>], server: impl Fn(&Path) -> Command) -> f64 {
    let dir = folder();
    let server = server(dir.path());
    let counts = dir.path().join("counts");
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(server.get_program())
        .args(server.get_args());
    let mut child = Child::start(&mut command);
    let address: SocketAddr = child.line().parse().expect("an address");
    let (warm_up, counted) = requests.split_at(WARM_UP);
    send(address, warm_up);
    at_rest(child.id());
    control("--zero", child.id());
    send(address, counted);
    at_rest(child.id());
    control("--dump", child.id());
    child.end();
    let text = std::fs::read_to_string(dir.path().join("counts.1")).expect("counts");
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: f64 = totals.and_then(|text| text.trim().parse().ok()).expect("a number");
    total / REQUESTS as f64
}

fn send(address: SocketAddr, requests: &[Vec<u8>]) {
    let (many, requests) = (requests.len(), requests.to_vec());
    let after_pause = move |n: usize| {
        std::thread::sleep(PAUSE);
        requests[n].clone()
    };
    let run = runtime().block_on(client::run(address, 1, many, after_pause));
    // Webhooks are taken, the others sent on.
    assert_eq!(run.classes[2] + run.classes[3], many, "every request is answered well");
}

/// Has valgrind do something about a process under it.
fn control(what: &str, process: u32) {
    let mut command = Command::new("callgrind_control");
    let out = command.args([what, &process.to_string()]).output().expect("it is part of valgrind");
    assert!(out.status.success(), "callgrind_control {what}: {out:?}");
}

/// Waits until the process has nothing left to do of its start: what runs on beside the requests
/// would be counted as theirs.
fn at_rest(process: u32) {
    let mut before = Duration::MAX;
    loop {
        let now = client::cpu_time(&process.to_string());
        if now == before {
            return;
        }
        before = now;
        std::thread::sleep(REST);
    }
}

/// The server that is counted, until its input ends.
pub fn serve(args: &[String]) {
    let [what, url] = args else { panic!("--serve redirects|claims URL") };
    let plan = What::read(what).plan();
    one_thread().block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(Still(SystemClock.now()));
        let shop =
            Shop::closed(Plan { url: url.clone(), clock: Some(clock), mute: true, ..plan }).await;
        println!("{}", shop.address());
        until_told().await;
        shop.close().await;
    });
}

/// The bare reference that is counted, until its input ends.
pub fn serve_bare(args: &[String]) {
    let [what, path] = args else { panic!("--serve-bare redirects|claims FILE") };
    one_thread().block_on(async {
        let address = match What::read(what) {
            What::Redirect => reference::redirect().await,
            What::Claim | What::Webhook => {
                reference::sqlite(Path::new(path), 1024, Vec::new()).await
            }
        };
        println!("{address}");
        until_told().await;
    });
}

/// Which thread does what is no matter of chance then.
fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A clock that stands.
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
    fn sleep_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        if until <= self.0 {
            return Box::pin(std::future::ready(()));
        }
        Box::pin(std::future::pending())
    }
}

impl What {
    fn word(self) -> &'static str {
        match self {
            Self::Redirect => "redirects",
            Self::Claim => "claims",
            Self::Webhook => "webhooks",
        }
    }
    fn read(word: &str) -> Self {
        match word {
            "claims" => Self::Claim,
            "webhooks" => Self::Webhook,
            _ => Self::Redirect,
        }
    }
    fn plan(self) -> Plan {
        match self {
            Self::Redirect => Plan { stock: 100, warm: 1, template: SHARED, ..Plan::default() },
            Self::Claim | Self::Webhook => {
                // One more than is claimed: not the last unit, which is told in the rooms.
                let stock = WARM_UP + REQUESTS + 1;
                Plan { stock, warm: stock, ..Plan::default() }
            }
        }
    }
}
