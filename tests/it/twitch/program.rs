//! The binary itself with Twitch switched on.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use livetill::clock::SystemClock;

use super::{
    fake::{BOT, Chat, MOD, ROOM},
    id::{CLIENT, Id},
};
use crate::{home::Home, world::eventually};

struct Place {
    dir: Home,
    chat: Chat,
    id: Id,
}

impl Place {
    async fn new(more: &str) -> Self {
        let id = Id::start().await;
        let chat = Chat::start(&id, Arc::new(SystemClock)).await;
        let config = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n[shop]\nrooms = [\"console\", \"twitch:{ROOM}\"]\n\
             [twitch]\nenabled = true\nclient_id = \"{CLIENT}\"\nserver = \"tcp://{}\"\n\
             auth_url = \"{}\"\n{more}\n[templates.mug]\ntitle = \"Fern Mug\"\nprice = \"18.00\"\n\
             stock = 3\nwarm = 0\nhold = \"4s\"\ngrace = \"2s\"\n",
            chat.address,
            id.url()
        );
        Self { dir: Home::new(&config), chat, id }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livetill"));
        command.args(args).current_dir(self.dir.path()).env("RUST_BACKTRACE", "0");
        command.env_remove("LIVETILL_LOG").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end, off the runtime that serves the fakes.
    async fn run(&self, args: &[&str]) -> (i32, String) {
        let mut command = self.command(args);
        let out = tokio::task::spawn_blocking(move || command.output().expect("runs"));
        read(&out.await.expect("no panic"))
    }

    async fn until(&self, what: &str, holds: impl Fn(&Chat) -> bool) {
        for _ in 0..12_000 {
            if holds(&self.chat) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }
}

fn read(out: &Output) -> (i32, String) {
    let text = [out.stdout.as_slice(), out.stderr.as_slice()].concat();
    (out.status.code().unwrap_or(-1), String::from_utf8(text).expect("text"))
}

fn stop(id: u32) {
    let stopped =
        Command::new("kill").args(["-TERM", &id.to_string()]).status().expect("kill runs");
    assert!(stopped.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_logs_in_the_doctor_is_content_and_a_sale_runs_until_a_signal() {
    let place = Place::new("").await;
    let (code, said) = place.run(&["check"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("FAIL  twitch.token: there is no token"), "{said}");
    assert!(said.contains("Fix: livetill login twitch"), "{said}");

    place.id.books().agreed = Some(BOT.to_owned());
    let (code, said) = place.run(&["login", "twitch"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("Open https://www.twitch.tv/activate"), "{said}");
    assert!(said.contains("Code: ABCDEFGH (good for 30 min)"), "{said}");
    assert!(said.contains("Logged in as till_bot"), "{said}");
    let (code, said) = place.run(&["check"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("ok    twitch: token and rooms are fine"), "{said}");

    // Standard input has ended from the start; every word of the log is kept, and read as it comes:
    // a full pipe would stop the program.
    let mut command = place.command(&[]);
    command.env("LIVETILL_LOG", "trace,twitch_irc::connection=trace");
    let child = command.spawn().expect("starts");
    let id = child.id();
    let out = tokio::task::spawn_blocking(move || child.wait_with_output().expect("ends"));
    place.until("it is in", |chat| chat.joined()).await;
    place.chat.says(&MOD, "m1", "!sale start mug 30s");
    let open = |chat: &Chat| chat.shown().iter().any(|line| line.starts_with("SALE OPEN"));
    place.until("the sale is open", open).await;
    place.chat.says(&MOD, "m2", "!sale stop");
    let ended = |chat: &Chat| chat.shown().iter().any(|line| line.starts_with("CANCELLED"));
    place.until("the sale is over", ended).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop(id);
    let (code, said) = read(&out.await.expect("no panic"));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("CANCELLED · Fern Mug · 0 of 3 sold"), "{said}");
    for secret in ["access-2", "refresh-2", "device-secret"] {
        assert!(!said.contains(secret), "{secret} stands in the log");
    }
    let violations = place.chat.state().violations.clone();
    assert!(violations.is_empty(), "{violations:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_twitch_that_cannot_work_ends_the_program_only_if_it_is_required() {
    let place = Place::new("").await;
    let (code, said) = place.run(&[]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("livetill: twitch: there is no token"), "{said}");
    assert!(said.contains("Fix: livetill login twitch"), "{said}");

    let place = Place::new("required = false").await;
    let mut child = place.command(&[]).spawn().expect("starts");
    let log: Arc<Mutex<String>> = Arc::default();
    let (said, err) = (log.clone(), BufReader::new(child.stderr.take().expect("piped")));
    std::thread::spawn(move || {
        for line in err.lines().map_while(Result::ok) {
            said.lock().expect("unpoisoned").push_str(&line);
        }
    });
    let told = async || log.lock().expect("unpoisoned").contains("Twitch does not work");
    eventually("it says so", told).await;
    // And goes on.
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop(child.id());
    let out = tokio::task::spawn_blocking(move || child.wait_with_output().expect("ends"));
    let (code, _) = read(&out.await.expect("no panic"));
    assert_eq!(code, 0, "it went on until it was told to stop: {:?}", log.lock());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_in_the_file_is_refused() {
    let place = Place::new("token = \"oops\"").await;
    let (code, said) = place.run(&["check"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("set LIVETILL_TWITCH__TOKEN in the environment"), "{said}");
    assert!(!said.contains("oops"));
}
