//! Three real programs on one database behind a round robin, killed and started again all the
//! time, and the database with them: a crowd buys, and nothing is oversold, said twice or lost.
//!
//! `LIVETILL_TEST_CROWD` is how many come; from 500 on it is the long form.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use livetill::{
    clock::{Clock, SystemClock},
    mac::derive,
    provider::signature::sign_standard,
};
use reqwest::{Client, Response, redirect::Policy};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Row, query};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    database::{Cluster, Database},
    world::{crypto, eventually},
};

const REPLICAS: usize = 3;

/// One life of one replica.
struct Life {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    killed: bool,
}

/// The replicas, as a service manager would run them.
struct Fleet {
    dir: tempfile::TempDir,
    database: Database,
    ports: Vec<u16>,
    public_url: String,
    lives: Vec<Life>,
    /// Which life each replica lives at present.
    now: Vec<usize>,
}

impl Fleet {
    fn start(cluster: &Cluster, config: &str, public_url: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("config.toml"), config).expect("written");
        let free: Vec<_> = (0..REPLICAS)
            .map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("one"))
            .collect();
        let ports = free.iter().map(|one| one.local_addr().expect("an address").port()).collect();
        drop(free);
        let mut fleet = Self {
            dir,
            database: Database::on(&cluster.url()),
            ports,
            public_url: public_url.to_owned(),
            lives: Vec::new(),
            now: Vec::new(),
        };
        for replica in 0..REPLICAS {
            fleet.now.push(usize::MAX);
            fleet.live(replica);
        }
        fleet
    }

    fn live(&mut self, replica: usize) {
        let mut child = self
            .command(&[])
            .env("LIVETILL_HTTP__LISTEN", format!("127.0.0.1:{}", self.ports[replica]))
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
        self.now[replica] = self.lives.len();
        self.lives.push(Life { child, lines, said: Vec::new(), killed: false });
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livetill"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("LIVETILL_LOG")
            .env("RUST_BACKTRACE", "0")
            .env("LIVETILL_STORE__URL", self.database.url())
            .env("LIVETILL_SHOP__PUBLIC_URL", &self.public_url);
        command
    }

    fn kill(&mut self, replica: usize) {
        let life = &mut self.lives[self.now[replica]];
        life.killed = true;
        life.child.kill().expect("killed");
        life.child.wait().expect("ends");
        self.live(replica);
    }

    /// Starts again whoever ended by itself, as when the database was away at the start.
    fn revive(&mut self) {
        for replica in 0..REPLICAS {
            if self.lives[self.now[replica]].child.try_wait().expect("is known").is_some() {
                self.live(replica);
            }
        }
    }

    fn types(&mut self, replica: usize, line: &str) {
        let life = &mut self.lives[self.now[replica]];
        writeln!(life.child.stdin.as_mut().expect("piped"), "{line}").expect("written");
    }

    /// Everything said so far: which life said it, and what.
    fn said(&mut self) -> Vec<(usize, String)> {
        for life in &mut self.lives {
            life.said.extend(life.lines.try_iter());
        }
        let all = self.lives.iter().enumerate();
        all.flat_map(|(n, life)| life.said.iter().map(move |line| (n, line.clone()))).collect()
    }

    async fn until_said(&mut self, part: &str) {
        for _ in 0..2400 {
            if self.said().iter().any(|(_, line)| line.contains(part)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{part} is not said: {:#?}", self.said());
    }

    /// Lines that begin with one of `words`, none twice but where a kill came between saying a
    /// line and noting that it was said.
    fn notices(&mut self, words: &[&str]) -> Vec<String> {
        let said = self.said();
        let fits = |line: &str| {
            words.iter().any(|word| line.starts_with(word)) && !line.ends_with("(edited)")
        };
        let mut lines: Vec<String> = Vec::new();
        for (life, line) in said.iter().filter(|(_, line)| fits(line)) {
            let was_last = |n: usize| {
                self.lives[n].killed && self.lives[n].said.last().is_some_and(|last| last == line)
            };
            let first = said.iter().find(|(_, other)| other == line).expect("itself").0;
            if *life != first && (was_last(first) || was_last(*life)) {
                continue;
            }
            lines.push(line.clone());
        }
        lines
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for life in &mut self.lives {
            // Most have ended already.
            let _ = life.child.kill();
            let _ = life.child.wait();
        }
    }
}

/// A load balancer: whoever comes next is led to the next replica that answers.
async fn balance(listener: TcpListener, ports: Vec<u16>) {
    let next = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((mut near, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (ports, next) = (ports.clone(), next.clone());
        tokio::spawn(async move {
            let first = next.fetch_add(1, Ordering::Relaxed);
            for n in 0..ports.len() {
                let port = ports[(first + n) % ports.len()];
                if let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await {
                    // Whoever is killed breaks off in the middle.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    return;
                }
            }
        });
    }
}

/// A shopper who does not take a broken line for an answer.
struct Shopper {
    client: Client,
    base: String,
    cookie: Option<String>,
    over: Arc<AtomicBool>,
    /// Refused, they look again after this long.
    looks_again_after: Duration,
}

impl Shopper {
    async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Option<Response> {
        let request = self.client.post(url).form(form);
        self.send(request).await
    }

    async fn send(&mut self, mut request: reqwest::RequestBuilder) -> Option<Response> {
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let answer = request.send().await.ok()?;
        if let Some(set) = answer.headers().get("set-cookie") {
            let pair = set.to_str().expect("text").split(';').next().expect("a pair");
            self.cookie = Some(pair.to_owned());
        }
        (!answer.status().is_server_error()).then_some(answer)
    }

    /// A payment page, if there is one to be had before the sale is over.
    async fn claims(&mut self, sale: &str) -> Option<String> {
        let claim = format!("{}/sales/{sale}/holds", self.base);
        while !self.over.load(Ordering::Relaxed) {
            let to = match self.post(&claim, &[]).await {
                Some(answer) if answer.status() == 303 => {
                    let to = answer.headers().get("location").expect("sent on");
                    to.to_str().expect("text").to_owned()
                }
                Some(answer) => {
                    assert!([409, 404].contains(&answer.status().as_u16()), "{answer:?}");
                    tokio::time::sleep(self.looks_again_after).await;
                    continue;
                }
                None => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            if to.contains("/sandbox/pay/") {
                return Some(to);
            }
            // In line: asking again leads to the page as soon as it is made.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        None
    }

    /// Presses *Pay* until the page says how it stands; answers whether it is paid.
    async fn pays(&mut self, page: &str) -> bool {
        for _ in 0..100 {
            if let Some(answer) = self.post(page, &[("do", "pay")]).await {
                if answer.status() == 303 {
                    return true;
                }
                return answer.text().await.is_ok_and(|text| text.contains("Thank you"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        false
    }
}

fn client() -> Client {
    crypto();
    Client::builder()
        .redirect(Policy::none())
        .timeout(Duration::from_secs(20))
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .expect("a client")
}

async fn count(db: &mut AnyConnection, text: &'static str) -> i64 {
    let row = query(text).fetch_one(db).await.expect("counts");
    row.get::<i64, _>(0)
}

async fn sale(client: &Client, base: &str) -> Option<Value> {
    client.get(format!("{base}/api/sales/1")).send().await.ok()?.json().await.ok()
}

/// One claims at one replica, and the news that they paid comes to another.
async fn paid_elsewhere(fleet: &Fleet, client: &Client) {
    let at = |n: usize| format!("http://127.0.0.1:{}", fleet.ports[n]);
    let id = sale(client, &at(0)).await.expect("answers")["id"].as_str().expect("an id").to_owned();
    let over = Arc::new(AtomicBool::new(false));
    let mut zoe = Shopper {
        client: client.clone(),
        base: at(0),
        cookie: None,
        over,
        looks_again_after: Duration::from_millis(100),
    };
    let page = zoe.claims(&id).await.expect("a page");
    let page = page.rsplit('/').next().expect("an id");
    let mut db = fleet.database.raw().await;
    let row = query("select secret from shop").fetch_one(&mut db).await.expect("reads");
    let hex = row.get::<String, _>(0);
    let secret: [u8; 32] =
        std::array::from_fn(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).expect("hex"));
    let key = derive(&secret, "sandbox webhook");
    let body = json!({
        "id": "event-zoe", "type": "payment.completed",
        "data": {
            "id": "pay_zoe", "page": page, "refunded": 0, "status": "completed",
            "amount": { "amount": 1800, "currency": "USD" }, "at": "2026-01-01T00:01:00Z",
        },
    });
    let (body, now) = (body.to_string(), SystemClock.now());
    let sent = client
        .post(format!("{}/webhooks/sandbox", at(2)))
        .header("webhook-id", "event-zoe")
        .header("webhook-timestamp", now.seconds().to_string())
        .header("webhook-signature", sign_standard(&key, "event-zoe", now, body.as_bytes()))
        .body(body)
        .send();
    assert_eq!(sent.await.expect("answers").status(), 200);
    for n in 0..REPLICAS {
        let knows = async || sale(client, &at(n)).await.is_some_and(|sale| sale["paid"] == 1);
        eventually(&format!("replica {n} knows"), knows).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_killed_again_and_again_oversell_repeat_and_lose_nothing() {
    let crowd: u32 = std::env::var("LIVETILL_TEST_CROWD").map_or(120, |n| n.parse().expect("one"));
    let long = crowd >= 500;
    // A shopper takes two descriptors, the way through the load balancer two more.
    let limit = rlimit::increase_nofile_limit(u64::from(4 * crowd) + 1000).expect("a limit");
    assert!(limit > u64::from(4 * crowd), "{limit} descriptors are too few for {crowd} shoppers");
    let (stock, secs, kills) = if long { (50, 120, 50) } else { (20, 30, 8) };
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.expect("starts");
    let front = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", front.local_addr().expect("an address"));
    // A larger crowd is served more slowly.
    let hold = if long { 20 } else { 8 };
    let config = format!(
        "[providers.sandbox]\ncalls_per_second = 200\n[templates.mug]\ntitle = \"Fern Mug\"\n\
         price = \"18.00\"\nstock = {stock}\nwarm = 3\nhold = \"{hold}s\"\ngrace = \"4s\"\n"
    );
    let mut fleet = Fleet::start(&cluster, &config, &base);
    tokio::spawn(balance(front, fleet.ports.clone()));
    let client = client();
    for port in fleet.ports.clone() {
        let ready = format!("http://127.0.0.1:{port}/readyz");
        while !client.get(&ready).send().await.is_ok_and(|answer| answer.status() == 200) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    fleet.types(0, &format!("!sale start mug {secs}s"));
    fleet.until_said("SALE OPEN").await;
    paid_elsewhere(&fleet, &client).await;

    let id = sale(&client, &base).await.expect("answers")["id"].as_str().expect("an id").to_owned();
    let (over, paid) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let shoppers: Vec<_> = (0..crowd)
        .map(|n| {
            let (client, base) = (client.clone(), base.clone());
            let (id, over, paid) = (id.clone(), over.clone(), paid.clone());
            tokio::spawn(async move {
                // They come over some seconds, not all in the first one.
                tokio::time::sleep(Duration::from_millis(u64::from(n * 37 % 8000))).await;
                let looks_again_after = Duration::from_millis(u64::from(700 + n % 64 * crowd / 16));
                let mut shopper = Shopper { client, base, cookie: None, over, looks_again_after };
                let Some(page) = shopper.claims(&id).await else { return };
                // Every fifth has second thoughts.
                if n % 5 != 0 && shopper.pays(&page).await {
                    paid.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for n in 0..kills {
        tokio::time::sleep(Duration::from_secs(2)).await;
        if n == kills / 2 {
            tokio::task::block_in_place(|| cluster.restart());
        }
        fleet.revive();
        fleet.kill(n % REPLICAS);
    }
    settles(&mut fleet, &over).await;
    for shopper in shoppers {
        shopper.await.expect("no panic");
    }
    judge(&mut fleet, stock, paid.load(Ordering::Relaxed)).await;
    drop(fleet);
    tokio::task::spawn_blocking(|| drop(cluster)).await.expect("stops");
}

/// Waits until the sale is closed and nothing is left to do.
async fn settles(fleet: &mut Fleet, over: &AtomicBool) {
    let mut db = fleet.database.raw().await;
    for _ in 0..3600 {
        fleet.revive();
        let selling = "select count(*) from sale where phase not in ('closing', 'closed')";
        over.store(count(&mut db, selling).await == 0, Ordering::Relaxed);
        let left = "select (select count(*) from sale where phase <> 'closed') \
                    + (select count(*) from outbox) \
                    + (select count(*) from document where kind = 'sandbox_hook')";
        if count(&mut db, left).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let row = query("select string_agg(target || ' ' || effect || ' ' || why, '; ') from outbox");
    let row = row.fetch_one(&mut db).await.expect("reads");
    panic!("something is left to do: {:?}", row.get::<Option<String>, _>(0));
}

async fn judge(fleet: &mut Fleet, stock: i64, acknowledged: u32) {
    let mut db = fleet.database.raw().await;
    let proof = fleet.command(&["verify", "--json"]).output().expect("runs");
    let proof: Value = serde_json::from_slice(&proof.stdout).expect("JSON");
    assert_eq!((&proof["oversold"], &proof["ok"]), (&0.into(), &true.into()), "{proof:#}");
    let sold = count(&mut db, "select paid from sale").await;
    let holds = "select string_agg(state || ' ' || n, ', ') from \
                 (select state, count(*) as n from hold group by state order by state) as h";
    let holds = query(holds).fetch_one(&mut db).await.expect("reads");
    let holds = holds.get::<Option<String>, _>(0).unwrap_or_default();
    println!("sold {sold} of {stock}, {acknowledged} payments acknowledged; holds: {holds}");
    assert!(sold > 0 && sold <= stock, "{sold} of {stock}");
    // The provider's books and ours hold the same payments, and every one is settled.
    let theirs =
        count(&mut db, "select count(*) from document where kind = 'sandbox_payment'").await;
    let ours = count(&mut db, "select count(*) from payment where id <> 'pay_zoe'").await;
    assert_eq!(theirs, ours, "no webhook is lost");
    assert!(theirs >= i64::from(acknowledged), "{theirs} of {acknowledged}");
    let open = "select count(*) from payment where fate not in ('kept', 'refunded')";
    assert_eq!(count(&mut db, open).await, 0, "money settles");
    let kept = count(&mut db, "select count(*) from payment where fate = 'kept'").await;
    assert_eq!(kept, sold);
    assert_eq!(fleet.notices(&["SALE OPEN"]).len(), 1, "{:#?}", fleet.said());
    let ends = fleet.notices(&["ENDED", "SOLD OUT", "CANCELLED"]);
    assert_eq!(ends.len(), 1, "{ends:?} in {:#?}", fleet.said());
}
