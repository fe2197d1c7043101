//! Inputs that nobody meant: what is read from people and strangers, in a bounded, seeded loop of
//! real inputs (`tests/fuzz/`) that are bent, cut, doubled and mixed.
//!
//! `LIVETILL_TEST_FUZZ` is the number of inputs for each reader, `LIVETILL_TEST_SEED` where the
//! numbers begin. A failure prints the seed and the input.

use std::{
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

use livetill::{
    clock::{Clock, Span, Timestamp},
    command::{
        Command,
        parse::{clean, ours, parse},
        words::Mistake,
    },
    config::{ConfigError, read},
    mac::derive,
    money::{Currency, Money},
    provider::{Provider, Webhook, WebhookError, signature::sign_standard},
    sale::template::{Overrides, Template},
};

use crate::{
    noventiq, polar, square,
    world::{Setup, World},
};

const COMMANDS: &str = include_str!("../fuzz/commands.txt");
const DURATIONS: &str = include_str!("../fuzz/durations.txt");
const MONEY: &str = include_str!("../fuzz/money.txt");
const CONFIG: &str = include_str!("../fuzz/config.txt");
const SHIPPED: &str = include_str!("../../config.toml");

/// Texts that trouble readers.
const ODD: [&str; 20] = [
    "",
    "\0",
    "\n",
    "\r\n",
    "\"",
    "\\",
    "=",
    "#",
    "-",
    "٣",
    "\u{E0000}",
    "\u{34F}",
    "\u{202E}",
    "ß",
    "💸",
    "9223372036854775807",
    "-1",
    "null",
    "{}",
    "[]",
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n.max(1) as u64)).expect("small")
    }

    /// One of the inputs, bent a few times.
    fn bent(&mut self, corpus: &[&[u8]]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].to_vec();
        for _ in 0..self.below(5) {
            let (from, to) = {
                let (a, b) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
                (a.min(b), a.max(b))
            };
            match self.below(7) {
                0 if !bytes.is_empty() => {
                    let at = self.below(bytes.len());
                    bytes[at] ^= 1 << self.below(8);
                }
                1 => drop(bytes.drain(from..to)),
                2 => {
                    let part = bytes[from..to].to_vec();
                    bytes.splice(from..from, part);
                }
                3 => {
                    let odd = ODD[self.below(ODD.len())].bytes();
                    bytes.splice(from..from, odd);
                }
                4 => {
                    let other = corpus[self.below(corpus.len())];
                    let cut = self.below(other.len() + 1);
                    bytes.truncate(from);
                    bytes.extend(&other[cut..]);
                }
                5 => bytes[from..to].reverse(),
                _ => {
                    let odd = ODD[self.below(ODD.len())].bytes();
                    bytes.splice(from..to, odd);
                }
            }
        }
        bytes
    }
}

/// Calls `check` with that many bent inputs, the unbent ones first.
fn fuzz(name: &str, cases: u64, corpus: &[&[u8]], mut check: impl FnMut(&[u8], &mut Random)) {
    let seed = number("LIVETILL_TEST_SEED", 1);
    for case in 0..cases + corpus.len() as u64 {
        let mut random = Random(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ case);
        let plain = usize::try_from(case).ok().and_then(|n| corpus.get(n));
        let input = plain.map_or_else(|| random.bent(corpus), |plain| plain.to_vec());
        let checked = catch_unwind(AssertUnwindSafe(|| check(&input, &mut random)));
        if let Err(panic) = checked {
            let shown = String::from_utf8_lossy(&input);
            eprintln!("{name}: LIVETILL_TEST_SEED={seed}, case {case}, input {shown:?}");
            resume_unwind(panic);
        }
    }
}

fn cases() -> u64 {
    number("LIVETILL_TEST_FUZZ", 20_000)
}

fn lines(text: &str) -> Vec<&[u8]> {
    text.lines().map(str::as_bytes).collect()
}

/// What the reader of times should find, by another way: hours, minutes, seconds, each at most
/// once, in that order.
fn strict_time(text: &str) -> Option<i64> {
    let (mut rest, mut total) = (text, 0_i128);
    for (unit, scale) in [('h', 3600), ('m', 60), ('s', 1)] {
        let Some((digits, tail)) = rest.split_once(unit) else { continue };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = digits.trim_start_matches('0');
        let number: i128 = if number.is_empty() { 0 } else { number.parse().ok()? };
        total = total.checked_add(number.checked_mul(scale)?)?;
        rest = tail;
    }
    let fits = rest.is_empty() && (1..=400 * 24 * 3600).contains(&total);
    fits.then(|| i64::try_from(total).expect("small"))
}

#[test]
fn times_are_strict() {
    fuzz("times", cases(), &lines(DURATIONS), |input, _| {
        let text = String::from_utf8_lossy(input);
        let read = text.parse::<Span>();
        assert_eq!(read.as_ref().ok().map(|span| span.secs()), strict_time(&text));
        match read {
            Ok(span) => assert_eq!(span.to_string().parse(), Ok(span), "prints what it reads"),
            Err(error) => assert!(error.to_string().chars().count() < 120, "{error}"),
        }
    });
}

/// What the reader of money should find, by another way.
fn strict_money(text: &str, decimals: usize) -> Option<i64> {
    let (whole, part) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(both) => both,
        None => (text, ""),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > decimals {
        return None;
    }
    let mut minor = 0_i64;
    let zeros = std::iter::repeat_n(b'0', decimals - part.len());
    for digit in whole.bytes().chain(part.bytes()).chain(zeros) {
        minor = minor.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some(minor)
}

#[test]
fn money_never_loses_a_cent() {
    let currencies: Vec<Currency> =
        ["USD", "JPY", "BHD", "EUR"].iter().map(|code| code.parse().expect("a currency")).collect();
    fuzz("money", cases(), &lines(MONEY), |input, random| {
        let text = String::from_utf8_lossy(input);
        let currency = currencies[random.below(currencies.len())];
        let read = Money::parse(&text, currency);
        assert_eq!(read.as_ref().ok().map(|m| m.minor), strict_money(&text, currency.exponent()));
        let Ok(money) = read else { return };
        assert_eq!(Money::parse(&money.decimal(), currency), Ok(money), "prints what it reads");
        let units = u32::try_from(random.next() >> 40).expect("24 bits");
        let product = i128::from(money.minor) * i128::from(units);
        assert_eq!(money.times(units).map(|m| i128::from(m.minor)), fits(product));
        let other = Money::new(i64::from_ne_bytes(random.next().to_ne_bytes()), currency);
        let sum = i128::from(money.minor) + i128::from(other.minor);
        assert_eq!(money.plus(other).map(|m| i128::from(m.minor)), fits(sum));
    });
}

fn fits(number: i128) -> Option<i128> {
    i64::try_from(number).is_ok().then_some(number)
}

fn shipped() -> BTreeMap<String, Template> {
    read(Path::new("config.toml"), SHIPPED, HashMap::new()).expect("reads").templates
}

/// What a command may vary stays inside the template's bounds, or is refused.
fn stays_inside(mug: &Template, overrides: &Overrides) {
    let Ok(one) = mug.with(overrides) else { return };
    let bounds = &mug.bounds;
    assert!((1..=bounds.max_stock).contains(&one.stock), "{one:?}");
    assert!(!one.duration.is_zero() && one.duration <= bounds.max_duration, "{one:?}");
    assert!(!one.hold.is_zero() && one.hold <= bounds.max_duration, "{one:?}");
    assert!(one.price.minor >= bounds.min_price.minor, "{one:?}");
    assert!(one.total(one.stock, Some("ship"), &one.offers.plain()).is_some(), "{one:?}");
    assert!((1..=100).contains(&one.title.chars().count()), "{one:?}");
    assert!(one.image.is_none_or(|image| image.starts_with("https://")));
    assert_eq!((one.bounds, one.provider), (mug.bounds, mug.provider.clone()));
}

#[test]
fn commands_are_read_whole_or_answered_with_a_mend() {
    let templates = shipped();
    let mug = &templates["mug"];
    let names = ["mug", "pot"];
    fuzz("commands", cases(), &lines(COMMANDS), |input, _| {
        let line = String::from_utf8_lossy(input);
        let cleaned = clean(&line);
        assert_eq!(clean(&cleaned), cleaned, "cleaning twice changes nothing");
        let Some(rest) = ours(&line) else {
            assert!(!line.starts_with("!sale "), "{line} is ours");
            return;
        };
        match parse(&rest, &names) {
            Err(Mistake(says)) => {
                assert!(!says.trim().is_empty() && says.chars().count() <= 450, "{says}");
                assert!(!says.chars().any(char::is_control), "{says:?}");
            }
            Ok(
                Command::Start { template, overrides }
                | Command::Arm { template, overrides }
                | Command::Next { template, overrides },
            ) => {
                assert!(names.contains(&template.as_str()));
                stays_inside(mug, &overrides);
            }
            Ok(Command::Extend { by_ms, .. }) => {
                let most = Span::from_mins(400 * 24 * 60).millis();
                assert!(by_ms != 0 && by_ms % 1000 == 0 && by_ms.abs() <= most, "{by_ms}");
            }
            Ok(Command::Restock { units, .. }) => assert_ne!(units, 0),
            Ok(Command::Why { what, .. }) => assert!(!what.is_empty()),
            Ok(_) => {}
        }
    });
}

/// A key of the configuration, as people write it.
fn is_key(key: &str) -> bool {
    let sections =
        ["shop", "http", "store", "console", "discord", "twitch", "providers", "templates"];
    let first = key.split('.').next().unwrap_or_default();
    sections.contains(&first) && key.contains('.')
}

#[test]
fn mistakes_in_the_configuration_name_the_place() {
    let mut corpus: Vec<&[u8]> = CONFIG.split("====\n").map(str::as_bytes).collect();
    corpus.push(SHIPPED.as_bytes());
    let path = Path::new("config.toml");
    fuzz("configuration", cases() / 40, &corpus, |input, random| {
        let text = String::from_utf8_lossy(input);
        let mut variables = HashMap::new();
        let keys = ["HTTP__LISTEN", "HTTP__HOLDS_PER_ADDRESS", "SHOP__ROOMS", "CONSOLE__ENABLED"];
        let key = keys[random.below(keys.len())];
        if random.below(3) == 0 {
            let value = String::from_utf8_lossy(&random.bent(&lines(MONEY))).into_owned();
            variables.insert(format!("LIVETILL_{key}"), value);
        }
        match read(path, &text, variables) {
            Ok(loaded) => {
                assert!(loaded.warnings.iter().all(|warning| is_key(&warning.key)));
                for template in loaded.templates.values() {
                    assert_eq!(template.check_bounds(), Ok(()));
                    assert!(template.hold < template.duration + template.grace);
                }
            }
            Err(ConfigError::Values(findings)) => {
                for finding in findings {
                    assert!(is_key(&finding.key) && !finding.says.is_empty(), "{finding:?}");
                }
            }
            Err(ConfigError::File { says, .. }) => {
                let secret = says.contains("is a secret");
                assert!(secret || says.contains("line "), "{says}");
            }
            Err(ConfigError::Environment(says)) => {
                let named = key.to_lowercase().replace("__", ".");
                let last = named.split('.').next_back().expect("a word");
                assert!(says.contains(&named) || says.contains(last), "{key}: {says}");
            }
            Err(other) => panic!("{other}"),
        }
    });
}

type Headers = Vec<(String, String)>;
type Sign = Box<dyn Fn(&[u8]) -> Headers>;

/// Real bodies of a provider, and how it signs.
struct Hooks {
    corpus: &'static str,
    sign: Sign,
    signature: &'static str,
    /// Whether every byte of a body is signed, and not only what some of its fields say.
    whole: bool,
}

/// A further provider gets its bodies and its signature here.
fn hooks(name: &str, secret: &[u8; 32], now: Timestamp) -> Hooks {
    let standard = move |key: Vec<u8>| {
        Box::new(move |body: &[u8]| {
            let signature = sign_standard(&key, "msg-1", now, body);
            named([
                ("webhook-id", "msg-1"),
                ("webhook-timestamp", &now.seconds().to_string()),
                ("webhook-signature", &signature),
            ])
        })
    };
    match name {
        "sandbox" => Hooks {
            corpus: include_str!("../fuzz/sandbox.txt"),
            sign: standard(derive(secret, "sandbox webhook")),
            signature: "webhook-signature",
            whole: true,
        },
        "polar" => Hooks {
            corpus: include_str!("../fuzz/polar.txt"),
            sign: standard(polar::shop::SECRET.as_bytes().to_vec()),
            signature: "webhook-signature",
            whole: true,
        },
        "square" => Hooks {
            corpus: include_str!("../fuzz/square.txt"),
            sign: Box::new(|body| {
                let url = square::fake::NOTIFICATION_URL;
                let signature = square::shop::sign(url, square::fake::KEY, body);
                named([("x-square-hmacsha256-signature", &signature)])
            }),
            signature: "x-square-hmacsha256-signature",
            whole: true,
        },
        "noventiq" => Hooks {
            corpus: include_str!("../fuzz/noventiq.txt"),
            sign: Box::new(|body| {
                let body = serde_json::from_slice(body).unwrap_or_default();
                let signature = noventiq::shop::sign(noventiq::shop::SECRET, &body);
                named([("signature", &signature)])
            }),
            signature: "signature",
            whole: false,
        },
        other => panic!("give {other} real webhooks in tests/fuzz and its signature here"),
    }
}

fn named<const N: usize>(headers: [(&str, &str); N]) -> Headers {
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// A body or signature that is not to the letter what was signed never becomes a
/// [`livetill::provider::Verified`], and nothing else can be read; what is rightly signed is read
/// or called garbage, the same each time.
fn judges(
    provider: &dyn Provider,
    hooks: &Hooks,
    input: &[u8],
    random: &mut Random,
    now: Timestamp,
) {
    let corpus = lines(hooks.corpus);
    let real = corpus[random.below(corpus.len())];
    let headers = (hooks.sign)(real);
    let forged = Webhook { headers: headers.clone(), body: input.to_vec() };
    if hooks.whole {
        assert_eq!(provider.verify(&forged, now).is_ok(), input == real, "a forged body");
    }

    let right = headers.iter().find(|(name, _)| name == hooks.signature).expect("it").1.clone();
    let bent = String::from_utf8_lossy(&random.bent(&[right.as_bytes()])).into_owned();
    // Hexadecimal digits are the same in capitals.
    let same = |one: &str| one == right || (!hooks.whole && one.eq_ignore_ascii_case(&right));
    let still = bent.split(' ').any(same);
    let mut headers = headers;
    for (name, value) in &mut headers {
        if name == hooks.signature {
            value.clone_from(&bent);
        }
    }
    let forged = Webhook { headers, body: real.to_vec() };
    assert_eq!(provider.verify(&forged, now).is_ok(), still, "a forged signature {bent:?}");

    let signed = Webhook { headers: (hooks.sign)(input), body: input.to_vec() };
    let Ok(verified) = provider.verify(&signed, now) else {
        assert!(input.is_empty() || !hooks.whole, "rightly signed, and turned away");
        return;
    };
    match provider.parse(&verified) {
        Ok(delivery) => {
            assert!(!(delivery.id.is_empty() || hooks.whole && delivery.id.ends_with(':')));
            assert_eq!(provider.parse(&verified), Ok(delivery));
            let json = serde_json::from_slice::<serde_json::Value>(input);
            let named =
                |json: serde_json::Value| json["type"].is_string() || json["event"].is_string();
            assert!(json.is_ok_and(named), "read what is not there");
        }
        Err(WebhookError::Garbage(why)) => assert!(!why.is_empty()),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn webhooks_that_are_not_rightly_signed_are_never_read() {
    let setup = Setup::new(&format!(
        "[providers.square]\napi_url = \"http://127.0.0.1:9\"\nlocation_id = \"{}\"\n\
         notification_url = \"{}\"\n[providers.polar]\napi_url = \"http://127.0.0.1:9\"\n\
         [providers.noventiq]\napi_url = \"http://127.0.0.1:9\"\n",
        square::fake::LOCATION,
        square::fake::NOTIFICATION_URL,
    ));
    crate::setup::write_secrets(
        setup.dir.path(),
        &[
            ("LIVETILL_PROVIDERS__SQUARE__ACCESS_TOKEN", square::fake::TOKEN),
            ("LIVETILL_PROVIDERS__SQUARE__SIGNATURE_KEYS", square::fake::KEY),
            ("LIVETILL_PROVIDERS__POLAR__ACCESS_TOKEN", polar::fake::TOKEN),
            ("LIVETILL_PROVIDERS__POLAR__WEBHOOK_SECRET", polar::shop::SECRET),
            ("LIVETILL_PROVIDERS__NOVENTIQ__USERNAME", "shop@example.com"),
            ("LIVETILL_PROVIDERS__NOVENTIQ__PASSWORD", "a password of ours"),
            ("LIVETILL_PROVIDERS__NOVENTIQ__WEBHOOK_SECRET", noventiq::shop::SECRET),
        ],
    );
    let world = World::build(&setup).await;
    let secret = world.app.engine.store().secret([0; 32]).await.expect("the secret");
    let now = world.clock.now();
    let mut names = Vec::new();
    for provider in world.app.engine.providers() {
        names.push(provider.name());
        let hooks = hooks(provider.name(), &secret, now);
        fuzz(provider.name(), cases() / 10, &lines(hooks.corpus), |input, random| {
            judges(provider.as_ref(), &hooks, input, random, now);
        });
    }
    names.sort_unstable();
    assert_eq!(names, ["noventiq", "polar", "sandbox", "square"]);
    world.done().await;
}
