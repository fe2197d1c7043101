//! The proxies that our documents show, read out of them and tried with the real programs. Only
//! addresses, ports and certificates are replaced.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{IpAddr, SocketAddr, TcpListener as Socket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use livetill::{clock::Clock, mac::derive, provider::signature::sign_standard};
use reqwest::{Client, redirect::Policy};
use sqlx::{Row, query};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    desk::{TOKEN, desk_setup},
    home::Home,
    world::{Browser, MUG, PATIENCE, World, crypto, eventually, mins},
};

/// Buyers come from addresses of this machine that begin so …
const NEAR: &[u8] = b"127.113.0.";
/// … and the shop hears of public ones, since nobody counts this machine's own.
const PUBLIC: &[u8] = b"203.113.0.";

/// The network between a proxy and one replica: what the proxy says of near addresses is said of
/// public ones.
struct Wire {
    listener: Option<TcpListener>,
    port: u16,
    connections: Arc<AtomicUsize>,
    task: Option<JoinHandle<()>>,
}

impl Wire {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        Self { listener: Some(listener), port, connections: Arc::default(), task: None }
    }

    fn leads_to(&mut self, shop: SocketAddr) {
        let listener = self.listener.take().expect("leads nowhere so far");
        let connections = self.connections.clone();
        self.task = Some(tokio::spawn(async move {
            let mut all = tokio::task::JoinSet::new();
            while let Ok((proxy, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                all.spawn(passes(proxy, shop));
            }
        }));
    }

    /// The replica is gone, with all of its connections.
    async fn is_cut(&mut self) {
        let task = self.task.take().expect("was there");
        task.abort();
        assert!(task.await.is_err(), "aborted");
    }
}

async fn passes(proxy: TcpStream, shop: SocketAddr) {
    let Ok(shop) = TcpStream::connect(shop).await else { return };
    let (mut from_proxy, mut to_proxy) = proxy.into_split();
    let (mut from_shop, mut to_shop) = shop.into_split();
    let asks = async {
        let (mut kept, mut read) = (Vec::new(), [0; 4096]);
        while let Ok(n @ 1..) = from_proxy.read(&mut read).await {
            kept.extend_from_slice(&read[..n]);
            while let Some(at) = kept.windows(NEAR.len()).position(|part| part == NEAR) {
                kept[at..at + NEAR.len()].copy_from_slice(PUBLIC);
            }
            // What may be the beginning of an address waits for the rest of it.
            let begins = (1..NEAR.len()).rev().find(|n| kept.ends_with(&NEAR[..*n]));
            let rest = kept.split_off(kept.len() - begins.unwrap_or(0));
            if to_shop.write_all(&kept).await.is_err() {
                return;
            }
            kept = rest;
        }
    };
    let answers = tokio::io::copy(&mut from_shop, &mut to_proxy);
    tokio::select! {
        () = asks => {}
        _ = answers => {}
    }
}

/// A running proxy, ended with the test.
struct Proxy {
    child: Child,
    public_url: String,
    port: u16,
    _dir: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts one on a free port; `makes` writes what it needs into a folder.
    async fn starts(scheme: &str, makes: impl Fn(&Path, u16) -> Command) -> Self {
        // Somebody else may be faster at the port.
        for _ in 0..5 {
            let socket = Socket::bind("127.0.0.1:0").expect("a port");
            let port = socket.local_addr().expect("an address").port();
            drop(socket);
            let dir = tempfile::tempdir().expect("a folder");
            let said = fs::File::create(dir.path().join("said")).expect("a file");
            let mut command = makes(dir.path(), port);
            for home in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
                command.env(home, dir.path());
            }
            command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
            let child = command.stderr(said).spawn().expect("installed by tests/run");
            let public_url = format!("{scheme}://shop.example:{port}");
            let mut proxy = Self { child, public_url, port, _dir: dir };
            let mut ended = false;
            let listens = async || {
                ended = proxy.child.try_wait().expect("is known").is_some();
                ended || TcpStream::connect(("127.0.0.1", port)).await.is_ok()
            };
            eventually("the proxy listens", listens).await;
            if !ended {
                return proxy;
            }
            let said = fs::read_to_string(proxy._dir.path().join("said")).expect("reads");
            assert!(said.contains("in use"), "{said}");
        }
        panic!("no port is to be had");
    }

    /// What comes from that address.
    fn client(&self, from: &str) -> Client {
        crypto();
        let from: IpAddr = from.parse().expect("an address");
        Client::builder()
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .no_proxy()
            .local_address(from)
            .resolve("shop.example", SocketAddr::from(([127, 0, 0, 1], self.port)))
            .tls_danger_accept_invalid_certs(true)
            .build()
            .expect("a client")
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }
}

fn document(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("reads")
}

/// The one part of a document that begins after `from` and ends before `to`.
fn example(file: &str, from: &str, to: &str) -> String {
    let text = document(file);
    let mut parts = text.split(from).skip(1);
    let part = parts.next().unwrap_or_else(|| panic!("{file} has no {from:?}"));
    assert!(parts.next().is_none(), "{file} has several {from:?}");
    part.split(to).next().expect("the first").to_owned()
}

/// `trusted_proxies` as the documents say, of this machine's addresses.
fn trusted(list: &str) -> String {
    let near = list.replace("10.0.0.10", "127.0.0.1").replace("172.16.0.0", "127.0.0.0");
    format!("trusted_proxies = {near}")
}

/// Caddy with a Caddyfile of ours, and certificates of its own.
fn caddy(dir: &Path, port: u16, text: &str) -> Command {
    assert!(text.contains("shop.example {"), "{text}");
    let site = format!("https://shop.example:{port} {{\n\ttls internal");
    let text = format!(
        "{{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n\t\
         default_bind 127.0.0.1\n}}\n{}",
        text.replace("shop.example {", &site)
    );
    fs::write(dir.join("Caddyfile"), text).expect("written");
    let mut command = Command::new("caddy");
    command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
    command
}

/// nginx with a configuration of ours inside `http`, and a certificate made for it.
fn nginx(dir: &Path, port: u16, text: &str) -> Command {
    assert!(text.contains("listen 443 ssl"), "{text}");
    let at = |name: &str| dir.join(name).display().to_string();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "30", "-subj", "/CN=shop.example"])
        .args(["-keyout", &at("key"), "-out", &at("cert")])
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{made:?}");
    let text = text
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
        .replace("/etc/ssl/shop.example.pem", &at("cert"))
        .replace("/etc/ssl/shop.example.key", &at("key"));
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
        .concat();
    let whole = format!(
        "daemon off; master_process off; pid {}; error_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\n{folders}{text}\n}}\n",
        at("pid")
    );
    fs::write(dir.join("nginx.conf"), whole).expect("written");
    // Debian keeps servers where a user's PATH does not look.
    let usual = Path::new("/usr/sbin/nginx");
    let mut command = Command::new(if usual.exists() { usual } else { Path::new("nginx") });
    command.args(["-e", "stderr", "-p", &at(""), "-c", &at("nginx.conf")]);
    command
}

/// A sale's stream, as far as it has come.
struct Stream(reqwest::Response, String);

impl Stream {
    async fn until(&mut self, world: &World, part: &str) {
        let wait = async {
            while !self.1.contains(part) {
                world.settle().await;
                let more = self.0.chunk().await.expect("goes on").expect("does not end");
                self.1.push_str(&String::from_utf8_lossy(&more));
            }
        };
        let come = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(come, "{part} does not come: {}", self.1);
    }
}

async fn posts(world: &World, who: &Browser, url: &str, form: &[(&str, &str)]) -> (Browser, u16) {
    let (mut who, url) = (who.clone(), url.to_owned());
    let form: Vec<(String, String)> =
        form.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    world
        .during(async move {
            let form: Vec<(&str, &str)> =
                form.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let status = who.post(&url, &form).await.status;
            (who, status)
        })
        .await
}

/// What a provider signs arrives to the letter; what nobody signed is turned away by the shop.
async fn a_webhook_passes(world: &World, proxy: &Proxy, client: &Client) {
    let mut db = world.database.raw().await;
    let row = query("select secret from shop").fetch_one(&mut db).await.expect("reads");
    let secret: [u8; 32] =
        hex::decode(row.get::<String, _>(0)).expect("hex").try_into().expect("32");
    let key = derive(&secret, "sandbox webhook");
    let (body, now) = (r#"{"id":"e1","type":"something.else","data":{}}"#, world.clock.now());
    for (signed, status) in [(body, 200), ("something else", 401)] {
        let sent = client
            .post(proxy.url("/webhooks/sandbox"))
            .header("webhook-id", "e1")
            .header("webhook-timestamp", now.seconds().to_string())
            .header("webhook-signature", sign_standard(&key, "e1", now, signed.as_bytes()))
            .body(body)
            .send();
        assert_eq!(sent.await.expect("answers").status(), status);
    }
}

async fn the_desk_works(world: &World, proxy: &Proxy, client: &Client) {
    let owner = Browser::of(client);
    let (mut owner, status) =
        posts(world, &owner, &proxy.url("/desk/login"), &[("token", TOKEN)]).await;
    assert_eq!(status, 303);
    assert_eq!(owner.get(&proxy.url("/desk")).await.status, 200);
    // The last digit alone could begin an address, and the wire would wait for the rest of it.
    let line = [("line", "restock 1 ")];
    let (_, status) = posts(world, &owner, &proxy.url("/desk/say"), &line).await;
    assert_eq!(status, 303);
}

/// Everything that visitors, providers and the owner do, through that proxy.
async fn works(proxy: Proxy, mut wires: Vec<Wire>, trusted: &str) {
    let template = MUG.replace("stock = 3", "stock = 2");
    let mut world = World::build(&desk_setup(&format!(
        "[shop]\npublic_url = \"{}\"\n[http]\nholds_per_address = 1\n{trusted}\n\
         [providers.sandbox]\nallow_public = true\ncalls_per_second = 100000\n{template}",
        proxy.public_url
    )))
    .await;
    for wire in &mut wires {
        wire.leads_to(world.app.address);
    }
    let (ana, ben) = (proxy.client("127.113.0.7"), proxy.client("127.113.0.8"));
    // A proxy that found nobody there looks again after a while.
    let live = proxy.url("/live");
    let is_there = async || ana.get(&live).send().await.is_ok_and(|answer| answer.status() == 200);
    eventually("the page is there", is_there).await;
    world.says("!sale start mug 10m").await;
    let page = ana.get(&live).send().await.expect("answers").text().await.expect("text");
    assert!(page.contains("Fern Mug"), "{page}");
    if proxy.public_url.starts_with("https") {
        speaks_http_2(&proxy);
    }

    let sale = format!("/sales/{}", world.newest().id);
    let stream = ana.get(proxy.url(&format!("{sale}/events"))).send().await.expect("answers");
    assert_eq!(stream.status(), 200);
    let mut stream = Stream(stream, String::new());
    stream.until(&world, "\"left\":2").await;

    // Each address has its one, whatever it says of itself.
    let claim = proxy.url(&format!("{sale}/holds"));
    let (buyer, status) = posts(&world, &Browser::of(&ana), &claim, &[]).await;
    assert_eq!(status, 303);
    let pretends = ana.post(&claim).header("x-forwarded-for", "198.51.100.9");
    let pretends = world.during(pretends.send()).await.expect("answers");
    assert_eq!(pretends.status(), 409, "{}", pretends.text().await.expect("text"));
    let (_, status) = posts(&world, &Browser::of(&ben), &claim, &[]).await;
    assert_eq!(status, 303, "another address");
    stream.until(&world, "\"held\":2").await;

    let to_pay = buyer.at.clone().expect("was sent somewhere");
    assert!(to_pay.starts_with(&proxy.url("/sandbox/pay/")), "{to_pay}");
    assert_eq!(posts(&world, &buyer, &to_pay, &[("do", "pay")]).await.1, 303);
    stream.until(&world, "\"paid\":1").await;
    a_webhook_passes(&world, &proxy, &ana).await;
    the_desk_works(&world, &proxy, &ana).await;
    stream.until(&world, "\"stock\":3").await;

    // Connections to the shop are kept.
    let connections = || wires.iter().map(|wire| wire.connections.load(Ordering::SeqCst)).sum();
    let before: usize = connections();
    let asks = async |n: usize| {
        let health = proxy.url("/healthz");
        for _ in 0..n {
            assert_eq!(ben.get(&health).send().await.expect("answers").status(), 200);
        }
    };
    asks(60).await;
    let made = connections() - before;
    assert!(made < 30, "{made} connections for 60 requests");

    // Of several replicas one may go.
    if wires.len() > 1 {
        drop(stream);
        wires[0].is_cut().await;
        let served = async || {
            let asked = ben.get(proxy.url("/healthz")).send().await;
            asked.is_ok_and(|answer| answer.status() == 200)
        };
        eventually("the other one serves", served).await;
        asks(10).await;
        let (_, status) = posts(&world, &Browser::of(&ben), &proxy.url("/desk/logout"), &[]).await;
        assert_eq!(status, 303, "what is sent once goes to the other");
    }
    world.says("!sale stop").await;
    world.says("!sale yes").await;
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

fn speaks_http_2(proxy: &Proxy) {
    let resolve = format!("shop.example:{}:127.0.0.1", proxy.port);
    let asked = Command::new("curl")
        .args(["-sk", "--http2", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_version}"])
        .args(["--resolve", &resolve, &proxy.url("/healthz")])
        .output()
        .expect("curl");
    assert_eq!(String::from_utf8_lossy(&asked.stdout), "2", "pages share one connection");
}

/// The one-liner, in plain HTTP: its certificates are public ones, and Caddy asks for them wherever a
/// name is given.
async fn one_line(line: &str, trusted: &str) {
    let wire = Wire::new().await;
    let there = format!("127.0.0.1:{}", wire.port);
    let proxy = Proxy::starts("http", |_, port| {
        let line =
            line.replace("shop.example", &format!(":{port}")).replace("127.0.0.1:8080", &there);
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words);
        command
    });
    works(proxy.await, vec![wire], trusted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_s_proxy_works() {
    let line = example("README.md", "1. `caddy ", "`");
    let list = example("README.md", "`http.trusted_proxies = ", "`");
    one_line(&format!("caddy {line}"), &trusted(&list)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_container_s_proxy_works() {
    let line = example(".ship/Dockerfile", "#   caddy ", "\n");
    let list = example(".ship/Dockerfile", "LIVETILL_HTTP__TRUSTED_PROXIES=", " ");
    one_line(&format!("caddy {line}"), &trusted(&format!("[\"{list}\"]"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn square_s_proxy_works() {
    let wire = Wire::new().await;
    let text = example("docs/square.md", "```caddyfile\n", "```");
    let text = text.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", wire.port));
    let list = example("docs/square.md", "trusted_proxies = ", "\n");
    let proxy = Proxy::starts("https", |dir, port| caddy(dir, port, &text)).await;
    works(proxy, vec![wire], &trusted(&list)).await;
}

async fn balanced(text: String, makes: fn(&Path, u16, &str) -> Command) {
    let wires = vec![Wire::new().await, Wire::new().await];
    let text = text
        .replace("10.0.0.11:8080", &format!("127.0.0.1:{}", wires[0].port))
        .replace("10.0.0.12:8080", &format!("127.0.0.1:{}", wires[1].port));
    let list = example("docs/postgres.md", "trusted_proxies = ", " ");
    let proxy = Proxy::starts("https", |dir, port| makes(dir, port, &text)).await;
    works(proxy, wires, &trusted(&list)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_before_two_replicas_works() {
    balanced(example("docs/postgres.md", "```caddyfile\n", "```"), caddy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_before_two_replicas_works() {
    balanced(example("docs/postgres.md", "```nginx\n", "```"), nginx).await;
}

/// A program, ended with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_proxy_is_told_once_and_by_check() {
    const CONFIG: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[templates.mug]\ntitle = \"Mug\"\n\
                          price = \"18.00\"\nstock = 3\n";
    let home = Home::new(CONFIG);
    let livetill = |verb: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livetill"));
        command.arg(verb).current_dir(home.path()).env_remove("LIVETILL_LOG");
        command
    };
    let mut program = Program(
        livetill("run")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts"),
    );
    let mut first = String::new();
    let mut lines = BufReader::new(program.0.stdout.take().expect("piped"));
    lines.read_line(&mut first).expect("reads");
    let at = first.find("http://").expect("a link");
    let base = first[at..].split(['/', ' ', '\n']).take(3).collect::<Vec<_>>().join("/");
    crypto();
    for from in ["127.0.0.1", "127.0.0.5", "127.0.0.1", "127.0.0.5"] {
        let from: IpAddr = from.parse().expect("an address");
        let client = Client::builder().no_proxy().local_address(from).build().expect("a client");
        let ask = client.get(format!("{base}/sales/none/events"));
        ask.header("x-forwarded-for", "203.0.113.7").send().await.expect("answers");
    }
    let check = || {
        let out = livetill("check").output().expect("runs");
        String::from_utf8(out.stdout).expect("text")
    };
    let says = async || check().matches("to http.trusted_proxies").count() == 2;
    eventually("check says it", says).await;
    let said = check();
    assert!(said.contains("add \"127.0.0.1\"") && said.contains("add \"127.0.0.5\""), "{said}");
    // The end of input ends the program.
    drop(program.0.stdin.take());
    let mut log = String::new();
    let mut stderr = program.0.stderr.take().expect("piped");
    stderr.read_to_string(&mut log).expect("reads");
    assert_eq!(log.matches("not listed").count(), 2, "one line for each: {log}");
    assert!(log.contains("127.0.0.5"), "{log}");
    // Once they are listed there is nothing to say.
    let listed = CONFIG.replace("[templates", "trusted_proxies = [\"127.0.0.0/8\"]\n[templates");
    fs::write(home.path().join("config.toml"), listed).expect("written");
    assert!(!check().contains("X-Forwarded-For"));
}
