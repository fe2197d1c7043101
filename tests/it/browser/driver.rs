//! People at a Chromium: one driver for all tests, a browser with a fresh profile for each person.
//!
//! Every step lets the world go on working, and waits for what the page shows, never for a time.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    str::FromStr,
    sync::LazyLock,
    time::Duration,
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    error::CmdError,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::world::World;

/// Longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Starts the driver and ends it, its browsers and their profiles with us, however we end.
const UNTIL_WE_END: &str = "set -m
profiles=$(mktemp -d)
TMPDIR=$profiles chromedriver --port=0 &
cat > /dev/null
kill -- -$!
rm -rf \"$profiles\"";

struct Driver {
    url: String,
    _bash: Child,
    _ends_it_when_closed: ChildStdin,
    _says: BufReader<ChildStdout>,
}

static DRIVER: LazyLock<Driver> = LazyLock::new(|| {
    let mut child = Command::new("bash")
        .args(["-c", UNTIL_WE_END])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("bash");
    let stdin = child.stdin.take().expect("piped");
    let mut says = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while says.read_line(&mut line).expect("text") > 0 {
        if let Some((_, port)) = line.trim_end().split_once("successfully on port ") {
            let url = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
            return Driver { url, _bash: child, _ends_it_when_closed: stdin, _says: says };
        }
        line.clear();
    }
    drop(stdin);
    let ended = child.wait();
    panic!(
        "chromedriver does not start ({ended:?}); tests/run installs chromium and chromium-driver"
    );
});

/// How somebody's browser is.
#[derive(Clone, Copy, Default)]
pub struct Wish {
    pub dark: bool,
    pub no_script: bool,
    /// Where `https://photos.example` is.
    pub photos: Option<u16>,
    /// Keeps no cookies.
    pub no_cookies: bool,
    /// A wide screen; else a phone.
    pub wide: bool,
}

/// Somebody with a browser.
pub struct Person {
    client: Client,
}

/// A command of Chromium's own.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Person {
    /// Somebody with a phone.
    pub async fn new(world: &World) -> Self {
        Self::with(world, Wish::default()).await
    }

    pub async fn with(world: &World, wish: Wish) -> Self {
        let person = Self { client: world.during(connect(wish)).await };
        let (width, height) = if wish.wide { (1280, 800) } else { (390, 844) };
        let screen = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": !wish.wide,
        });
        person.devtools(world, "Emulation.setDeviceMetricsOverride", screen).await;
        let scheme = if wish.dark { "dark" } else { "light" };
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        person.devtools(world, "Emulation.setEmulatedMedia", scheme).await;
        if wish.no_script {
            let off = json!({ "value": true });
            person.devtools(world, "Emulation.setScriptExecutionDisabled", off).await;
        }
        person
    }

    async fn does<T, F>(&self, world: &World, step: impl FnOnce(Client) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let step = step(self.client.clone());
        world
            .during(async move { tokio::time::timeout(PATIENCE, step).await })
            .await
            .expect("in time")
    }

    async fn own(&self, world: &World, path: &'static str, body: Value) -> Value {
        let own = Own { path, body };
        let answer = self.does(world, |client| async move { client.issue_cmd(own).await }).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Sends a command of the developer tools.
    pub async fn devtools(&self, world: &World, cmd: &str, params: Value) -> Value {
        self.own(world, "goog/cdp/execute", json!({ "cmd": cmd, "params": params })).await
    }

    pub async fn opens(&self, world: &World, at: &str) {
        let url = if at.starts_with('/') { world.url(at) } else { at.to_owned() };
        let went = self.does(world, |client| async move { client.goto(&url).await }).await;
        went.expect("the page opens");
    }

    pub async fn goes_back(&self, world: &World) {
        let went = self.does(world, |client| async move { client.back().await }).await;
        went.expect("goes back");
    }

    /// Opens another tab; answers both, this one first.
    pub async fn opens_a_tab(&self, world: &World) -> [fantoccini::wd::WindowHandle; 2] {
        let tabs = self.does(world, |client| async move {
            let old = client.window().await?;
            let new = client.new_window(true).await?.handle;
            client.switch_to_window(new.clone()).await?;
            Ok::<_, CmdError>([old, new])
        });
        tabs.await.expect("a tab")
    }

    pub async fn turns_to(&self, world: &World, tab: &fantoccini::wd::WindowHandle) {
        let tab = tab.clone();
        let turned = self.does(world, |client| async move { client.switch_to_window(tab).await });
        turned.await.expect("the tab is there");
    }

    /// Where the browser is, without the shop's address.
    pub async fn at(&self, world: &World) -> String {
        let url = self.does(world, |client| async move { client.current_url().await }).await;
        url.expect("an address").as_str().replace(&world.app.base_url, "")
    }

    /// What stands on the page, once a look at it satisfies `fine`.
    async fn text_when(&self, world: &World, wanted: &str, fine: impl Fn(&str) -> bool) -> String {
        let seen = std::sync::Mutex::new(String::new());
        let wait = async {
            loop {
                let look = |client: Client| async move {
                    client.find(Locator::Css("body")).await?.text().await
                };
                // Between two pages there is none for a moment.
                if let Ok(text) = self.does(world, look).await {
                    if fine(&text) {
                        return text;
                    }
                    *seen.lock().expect("unpoisoned") = text;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, wait).await;
        found.unwrap_or_else(|_| {
            panic!("never: {wanted}; there is:\n{}", seen.lock().expect("unpoisoned"))
        })
    }

    /// Waits until the page says so; answers its whole text.
    pub async fn sees(&self, world: &World, words: &str) -> String {
        self.text_when(world, words, |text| text.contains(words)).await
    }

    /// Waits until the page says one of them.
    pub async fn sees_one_of(&self, world: &World, words: &[&str]) -> String {
        let wanted = words.join(" or ");
        self.text_when(world, &wanted, |text| words.iter().any(|one| text.contains(one))).await
    }

    /// Waits until it is gone from the page.
    pub async fn sees_no(&self, world: &World, words: &str) -> String {
        self.text_when(world, words, |text| !text.contains(words)).await
    }

    /// Presses the button, link or label whose words begin so, once it is there.
    pub async fn presses(&self, world: &World, words: &str) {
        let places = "(//button|//a|//label|//summary)";
        self.presses_at(world, &format!("{places}[starts-with(normalize-space(), '{words}')]"))
            .await;
    }

    /// Presses what an XPath leads to, once it is there.
    pub async fn presses_at(&self, world: &World, path: &str) {
        let path = path.to_owned();
        let wait = async {
            loop {
                let path = path.clone();
                let press = |client: Client| async move {
                    client.find(Locator::XPath(&path)).await?.click().await
                };
                // The page may be renewed between finding and pressing.
                if self.does(world, press).await.is_ok() {
                    return;
                }
            }
        };
        let pressed = tokio::time::timeout(PATIENCE, wait).await;
        pressed.unwrap_or_else(|_| panic!("never there to be pressed: {path}"));
    }

    /// Types into the field of that name.
    pub async fn types(&self, world: &World, field: &str, text: &str) {
        let (field, text) = (format!("[name={field}]"), text.to_owned());
        let typed = self.does(world, |client| async move {
            client.find(Locator::Css(&field)).await?.send_keys(&text).await
        });
        typed.await.expect("the field takes it");
    }

    /// Presses a key, wherever the focus is.
    pub async fn keys(&self, world: &World, keys: &str) {
        let keys = keys.to_owned();
        let typed = self.does(world, |client| async move {
            client.active_element().await?.send_keys(&keys).await
        });
        typed.await.expect("the keys are taken");
    }

    /// What a script answers.
    pub async fn asks(&self, world: &World, script: &str) -> Value {
        let script = script.to_owned();
        let answer =
            self.does(world, |client| async move { client.execute(&script, Vec::new()).await });
        answer.await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// What a script answers later, by calling its last argument.
    pub async fn asks_later(&self, world: &World, script: &str) -> Value {
        let script = script.to_owned();
        let answer = self
            .does(world, |client| async move { client.execute_async(&script, Vec::new()).await });
        answer.await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until a script answers with something true.
    pub async fn until(&self, world: &World, script: &str) {
        let wait = async {
            while self.asks(world, &format!("return Boolean({script})")).await != json!(true) {}
        };
        let done = tokio::time::timeout(PATIENCE, wait).await;
        done.unwrap_or_else(|_| panic!("never true: {script}"));
    }

    /// What the browser asked of whom since the last time: events of the developer tools' network.
    pub async fn traffic(&self, world: &World) -> Vec<Value> {
        let log = self.own(world, "se/log", json!({ "type": "performance" })).await;
        let entries = log.as_array().expect("a list").iter();
        entries
            .filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok())
            .map(|mut entry| entry["message"].take())
            .collect()
    }

    /// What stands in the console since the last time.
    pub async fn console(&self, world: &World) -> Vec<Value> {
        let log = self.own(world, "se/log", json!({ "type": "browser" })).await;
        log.as_array().expect("a list").clone()
    }

    /// What the page looks like, as a PNG.
    pub async fn picture(&self, world: &World) -> Vec<u8> {
        let taken = self.does(world, |client| async move { client.screenshot().await }).await;
        taken.expect("a picture")
    }

    /// Closes the browser.
    pub async fn leaves(self, world: &World) {
        let closed = self.does(world, |client| async move { client.close().await }).await;
        closed.expect("the browser closes");
    }
}

async fn connect(wish: Wish) -> Client {
    let mut args: Vec<String> = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
    ]
    .map(str::to_owned)
    .into();
    if let Some(photos) = wish.photos {
        args.push(format!("--host-resolver-rules=MAP photos.example:443 localhost:{photos}"));
    }
    let prefs = match wish.no_cookies {
        true => json!({ "profile.default_content_setting_values.cookies": 2 }),
        false => json!({}),
    };
    let wanted = json!({
        "acceptInsecureCerts": true,
        "goog:chromeOptions": { "args": args, "prefs": prefs },
        "goog:loggingPrefs": { "performance": "ALL", "browser": "ALL" },
    });
    let wanted: Capabilities = serde_json::from_value(wanted).expect("an object");
    let plain = hyper_util::client::legacy::connect::HttpConnector::new();
    // The driver starts with the first who needs it; that takes a moment.
    let url = tokio::task::spawn_blocking(|| DRIVER.url.clone()).await.expect("a driver");
    ClientBuilder::new(plain).capabilities(wanted).connect(&url).await.expect("a browser")
}
