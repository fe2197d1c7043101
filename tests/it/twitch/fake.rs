//! A chat server that speaks Twitch's IRC over a socket and enforces Twitch's rules. What the bot
//! does against them is written down; a stage that ends with something written down fails.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use livetill::clock::{Clock, Span, Timestamp};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use super::id::Id;

/// The bot.
pub const BOT: &str = "till_bot";
/// The bot's user id.
pub const BOT_ID: &str = "900";
/// The channel, and the id of its owner.
pub const ROOM: &str = "plant_lady";
pub const ROOM_ID: &str = "100";

/// What viewers saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub text: String,
    pub parent: Option<String>,
    pub at: Timestamp,
}

/// What happens to the next message of the bot, instead of being shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Refused with this id and these words.
    Notice(&'static str, &'static str),
    /// Dropped without a word.
    Swallowed,
    /// Shown, and the connection ends before it is told.
    ShownThenCut,
    /// The connection ends, and it is not shown.
    Cut,
    /// Shown, and the server asks to reconnect before it is told.
    ShownThenReconnect,
}

#[derive(Default)]
pub struct State {
    pub shown: Vec<Shown>,
    /// Rules that were broken.
    pub violations: Vec<String>,
    pub fates: VecDeque<Fate>,
    /// Whether the bot moderates the channel.
    pub moderates: bool,
    /// Why the channel does not let the bot in.
    pub shut: Option<(&'static str, &'static str)>,
    /// Answers nothing at all.
    pub mute: bool,
    /// Takes connections and ends them at once.
    pub refuses: bool,
    /// How many it ended.
    pub turned_away: usize,
    /// Logins and tokens that were tried, and whether they were good.
    pub logins: Vec<(String, bool)>,
    /// Every PRIVMSG that came, shown or not.
    pub came: Vec<String>,
    sent: VecDeque<Timestamp>,
    lines: BTreeMap<u64, Line>,
    next: u64,
}

struct Line {
    out: mpsc::UnboundedSender<Out>,
    joined: BTreeSet<String>,
}

enum Out {
    Text(String),
    Close,
}

/// The chat server.
pub struct Chat {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Somebody in the chat.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: &'static str,
    pub login: &'static str,
    pub name: &'static str,
    pub badges: &'static str,
    /// More tags, each with a semicolon in front.
    pub tags: &'static str,
}

/// A moderator of the channel.
pub const MOD: Person =
    Person { id: "7", login: "mo", name: "Mo", badges: "moderator/1", tags: ";mod=1" };
/// Its owner.
pub const OWNER: Person = Person {
    id: ROOM_ID,
    login: ROOM,
    name: "Plant_Lady",
    badges: "broadcaster/1",
    tags: ";mod=0",
};

impl Chat {
    /// A chat server whose tokens `id` knows; rules are counted by `clock`.
    pub async fn start(id: &Id, clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { moderates: true, ..State::default() }));
        let (shared, id) = (state.clone(), id.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.expect("a connection");
                let mut state = shared.lock().expect("unpoisoned");
                if state.refuses {
                    state.turned_away += 1;
                    continue;
                }
                drop(state);
                tokio::spawn(serve(socket, shared.clone(), id.clone(), clock.clone()));
            }
        });
        Self { address, state, accepting }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }

    /// Somebody says something in the channel; the message has this id.
    pub fn says(&self, who: &Person, id: &str, text: &str) {
        let Person { id: user, login, name, badges, tags } = who;
        let line = format!(
            "@badge-info=;badges={badges};color=#FF0000;display-name={name};emotes=;flags=;id={id};\
             room-id={ROOM_ID};subscriber=0;tmi-sent-ts=1767225600000;turbo=0;user-id={user};\
             user-type={tags} :{login}!{login}@{login}.tmi.twitch.tv PRIVMSG #{ROOM} :{text}"
        );
        self.tells(&line);
    }

    /// Sends a line to everybody in the channel.
    pub fn tells(&self, line: &str) {
        for one in self.state().lines.values().filter(|one| one.joined.contains(ROOM)) {
            let _ = one.out.send(Out::Text(line.to_owned()));
        }
    }

    /// Cuts every connection.
    pub fn cuts(&self) {
        for one in self.state().lines.values() {
            let _ = one.out.send(Out::Close);
        }
    }

    /// Whether somebody is in the channel.
    pub fn joined(&self) -> bool {
        self.state().lines.values().any(|line| line.joined.contains(ROOM))
    }

    /// How many connections stand.
    pub fn connections(&self) -> usize {
        self.state().lines.len()
    }

    pub fn shown(&self) -> Vec<String> {
        self.state().shown.iter().map(|shown| shown.text.clone()).collect()
    }
}

async fn serve(socket: TcpStream, state: Arc<Mutex<State>>, id: Id, clock: Arc<dyn Clock>) {
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read).lines();
    let (out, mut to_send) = mpsc::unbounded_channel();
    let number = {
        let mut state = state.lock().expect("unpoisoned");
        state.next += 1;
        let number = state.next;
        let line = Line { out: out.clone(), joined: BTreeSet::new() };
        state.lines.insert(number, line);
        number
    };
    let mut talk = Talk { state, id, clock, number, out, token: None };
    loop {
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => talk.hear(&line),
                Ok(None) | Err(_) => break,
            },
            out = to_send.recv() => match out {
                Some(Out::Text(text)) => {
                    if talk.state().mute {
                        continue;
                    }
                    if write.write_all(format!("{text}\r\n").as_bytes()).await.is_err() {
                        break;
                    }
                }
                Some(Out::Close) | None => break,
            },
        }
    }
    talk.state().lines.remove(&number);
}

/// One connection.
struct Talk {
    state: Arc<Mutex<State>>,
    id: Id,
    clock: Arc<dyn Clock>,
    number: u64,
    out: mpsc::UnboundedSender<Out>,
    token: Option<String>,
}

impl Talk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }

    fn tell(&self, text: impl Into<String>) {
        let _ = self.out.send(Out::Text(text.into()));
    }

    fn hear(&mut self, line: &str) {
        let (tags, rest) = match line.strip_prefix('@') {
            Some(line) => line.split_once(' ').expect("tags and a command"),
            None => ("", line),
        };
        let (command, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match command {
            "CAP" => self.tell(":tmi.twitch.tv CAP * ACK :twitch.tv/tags twitch.tv/commands"),
            "PASS" => self.token = Some(rest.trim_start_matches(':').to_owned()),
            "NICK" => self.login(rest),
            "JOIN" => self.join(rest.trim_start_matches('#')),
            "PING" => self.tell(":tmi.twitch.tv PONG tmi.twitch.tv :tmi.twitch.tv"),
            "PONG" | "PART" => {}
            "PRIVMSG" => self.message(tags, rest),
            other => self.state().violations.push(format!("unknown command {other}: {line}")),
        }
    }

    fn login(&self, nick: &str) {
        let token = self.token.clone().unwrap_or_default();
        let good = token.strip_prefix("oauth:").is_some_and(|token| self.id.is_good(token, nick));
        self.state().logins.push((token.clone(), good));
        if !good {
            let says = match token.starts_with("oauth:") {
                true => "Login authentication failed",
                false => "Improperly formatted auth",
            };
            self.tell(format!(":tmi.twitch.tv NOTICE * :{says}"));
            let _ = self.out.send(Out::Close);
            return;
        }
        for (code, text) in [
            ("001", "Welcome, GLHF!"),
            ("002", "Your host is tmi.twitch.tv"),
            ("003", "This server is rather new"),
            ("004", "-"),
            ("375", "-"),
            ("372", "You are in a maze of twisty passages, all alike."),
            ("376", ">"),
        ] {
            self.tell(format!(":tmi.twitch.tv {code} {nick} :{text}"));
        }
        self.tell(format!(
            "@badge-info=;badges=;color=;display-name={nick};emote-sets=0;user-id={BOT_ID};\
             user-type= :tmi.twitch.tv GLOBALUSERSTATE"
        ));
    }

    fn join(&self, room: &str) {
        if let Some((id, says)) = self.state().shut {
            return self.tell(format!("@msg-id={id} :tmi.twitch.tv NOTICE #{room} :{says}"));
        }
        if room != ROOM {
            // A channel that does not exist is never entered, and nothing is said about it.
            return;
        }
        if let Some(line) = self.state().lines.get_mut(&self.number) {
            line.joined.insert(room.to_owned());
        }
        self.tell(format!(":{BOT}!{BOT}@{BOT}.tmi.twitch.tv JOIN #{room}"));
        self.user_state(room, "", "");
        self.tell(format!(
            "@emote-only=0;followers-only=-1;r9k=0;room-id={ROOM_ID};slow=0;subs-only=0 \
             :tmi.twitch.tv ROOMSTATE #{room}"
        ));
    }

    fn user_state(&self, room: &str, nonce: &str, id: &str) {
        let (badges, moderator) = if self.state().moderates { ("moderator/1", 1) } else { ("", 0) };
        let nonce = if nonce.is_empty() { String::new() } else { format!("client-nonce={nonce};") };
        let id = if id.is_empty() { String::new() } else { format!("id={id};") };
        self.tell(format!(
            "@badge-info=;badges={badges};{nonce}color=;display-name={BOT};emote-sets=0;{id}\
             mod={moderator};subscriber=0;user-type= :tmi.twitch.tv USERSTATE #{room}"
        ));
    }

    fn message(&self, tags: &str, rest: &str) {
        let (room, text) = rest.split_once(' ').expect("a channel and a text");
        let (room, text) = (room.trim_start_matches('#'), text.strip_prefix(':').unwrap_or(text));
        let tag = |name: &str| {
            let pair = tags.split(';').find_map(|tag| tag.strip_prefix(name)?.strip_prefix('='));
            pair.unwrap_or_default().to_owned()
        };
        let now = self.clock.now();
        let fate = {
            let mut state = self.state();
            state.came.push(text.to_owned());
            state.check(room, text, now, self.number);
            state.fates.pop_front()
        };
        let show = || {
            let parent = Some(tag("reply-parent-msg-id")).filter(|parent| !parent.is_empty());
            self.state().shown.push(Shown { text: text.to_owned(), parent, at: now });
        };
        match fate {
            Some(Fate::Notice(id, says)) => {
                self.tell(format!("@msg-id={id} :tmi.twitch.tv NOTICE #{room} :{says}"));
            }
            Some(Fate::Swallowed) => {}
            Some(Fate::Cut) => drop(self.out.send(Out::Close)),
            Some(Fate::ShownThenCut) => {
                show();
                let _ = self.out.send(Out::Close);
            }
            Some(Fate::ShownThenReconnect) => {
                show();
                self.tell(":tmi.twitch.tv RECONNECT");
            }
            // Twitch drops what was shown less than 30 seconds before.
            None if self.state().is_repeated(text, now) => {}
            None => {
                show();
                self.user_state(room, &tag("client-nonce"), "0f1e");
            }
        }
    }
}

impl State {
    fn is_repeated(&self, text: &str, now: Timestamp) -> bool {
        let lately = |shown: &&Shown| now.since(shown.at) < Span::from_secs(30);
        self.shown.iter().filter(lately).any(|shown| shown.text == text)
    }

    /// Twitch's rules for one message.
    fn check(&mut self, room: &str, text: &str, now: Timestamp, line: u64) {
        let mut wrong = Vec::new();
        if !self.lines.get(&line).is_some_and(|line| line.joined.contains(room)) {
            wrong.push("said where it is not");
        }
        if text.encode_utf16().count() > 500 {
            wrong.push("longer than 500 characters");
        }
        if text.starts_with(['/', '.']) {
            wrong.push("a command");
        }
        if text.trim().is_empty() {
            wrong.push("empty");
        }
        if text.chars().any(|c| c.is_control() || c == '\u{202E}' || c == '\u{200B}') {
            wrong.push("control or invisible characters");
        }
        while self.sent.front().is_some_and(|at| now.since(*at) >= Span::from_secs(30)) {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
        if self.sent.len() > if self.moderates { 100 } else { 20 } {
            wrong.push("too many in 30 seconds");
        }
        for rule in wrong {
            self.violations.push(format!("{rule}: {text}"));
        }
    }
}
