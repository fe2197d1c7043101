//! The terminal as a chat platform: reads commands from standard input, prints what is said.
//!
//! On a terminal a line editor keeps history and completes words; from a pipe, plain lines are
//! read. A line `ana> hello` is spoken by viewer `ana`, everything else by the moderator.

use std::{
    io::{BufRead, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use rustyline::{
    Completer, Editor, ExternalPrinter, Helper, Highlighter, Hinter, Validator,
    completion::Completer as Completes, error::ReadlineError, history::MemHistory,
};
use tokio::sync::mpsc;

use super::{Limits, Platform, Post, Reply, SayError, Updates};
use crate::{
    clock::Span,
    command::SPECS,
    id::Entropy,
    lossy::{self, Lossy},
    notice::text::plain,
    room::{Message, PlatformName, Role, Room, User},
    view::View,
};

/// Lines read and not yet worked off.
const LINES_MAX: usize = 64;

/// The longest name of a pretended viewer.
const NAME_MAX: usize = 32;

type Print = Box<dyn FnMut(String) + Send>;

/// The terminal.
pub struct Console {
    print: Mutex<Print>,
}

/// Something from standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A line was entered.
    Said(Box<Message>),
    /// There will be no more.
    End,
    /// Control-C at the prompt.
    Interrupted,
}

impl Console {
    /// A console that prints lines with `print`.
    pub fn new(print: impl FnMut(String) + Send + 'static) -> Arc<Self> {
        Arc::new(Self { print: Mutex::new(Box::new(print)) })
    }

    /// Opens standard input and output. `words` are completed besides the verbs.
    pub fn open(entropy: &dyn Entropy, words: Vec<String>) -> (Arc<Self>, mpsc::Receiver<Input>) {
        let (send, receive) = mpsc::channel(LINES_MAX);
        let reader = Reader { session: hex::encode(entropy.bytes()), lines: 0, send };
        if std::io::stdin().is_terminal()
            && std::io::stdout().is_terminal()
            && let Some(console) = edit(words, reader.clone())
        {
            return (console, receive);
        }
        std::thread::spawn(move || read_plain(reader));
        // Nobody reads any more: the sale goes on all the same.
        (Self::new(|line| lossy::stdout().line(&line)), receive)
    }

    /// Prints one line.
    pub fn print(&self, line: &str) {
        let mut print = self.print.lock().unwrap_or_else(PoisonError::into_inner);
        print(lossy::visible(line));
    }
}

#[async_trait]
impl Platform for Console {
    fn name(&self) -> PlatformName {
        PlatformName::Console
    }

    fn limits(&self, _room: &Room) -> Limits {
        let updates = Updates::Reprints(Span::from_secs(2));
        Limits { sends: 1000, within: Span::from_secs(1), updates }
    }

    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        self.print(&post.line);
        Ok(())
    }

    async fn reply(&self, to: &Message, reply: &Reply) -> Result<(), SayError> {
        self.say(&to.room, &reply.lines).await
    }

    async fn say(&self, _room: &Room, lines: &[String]) -> Result<(), SayError> {
        for line in lines {
            self.print(line);
        }
        Ok(())
    }

    async fn show(&self, _room: &Room, _view: &Arc<View>, line: &str) -> Result<(), SayError> {
        self.print(&format!("{line} (edited)"));
        Ok(())
    }
}

/// Makes messages of lines.
#[derive(Clone)]
struct Reader {
    session: String,
    lines: u64,
    send: mpsc::Sender<Input>,
}

impl Reader {
    /// Hands a line on; false if nobody listens any more.
    fn line(&mut self, line: &str) -> bool {
        self.lines += 1;
        let id = format!("{}-{}", self.session, self.lines);
        self.send.blocking_send(Input::Said(Box::new(message(id, line)))).is_ok()
    }

    /// Hands anything else on; false if nobody listens any more.
    fn tell(&self, input: Input) -> bool {
        self.send.blocking_send(input).is_ok()
    }
}

/// What was entered at once, line by line: who pastes several lines means several commands.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r']).filter(|line| !line.trim().is_empty())
}

/// A line as a message: `ana> hello` is spoken by viewer `ana`.
pub fn message(id: String, line: &str) -> Message {
    let user =
        |id: &str| User { platform: PlatformName::Console, id: id.to_owned(), name: plain(id) };
    let viewer = line.split_once('>').filter(|(name, _)| {
        !name.is_empty()
            && name.len() <= NAME_MAX
            && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
    });
    let (user, role, text) = match viewer {
        Some((name, text)) => (user(name), Role::Viewer, text.trim()),
        None => (user("moderator"), Role::Moderator, line),
    };
    Message { id, room: Room::console(), user, role, text: text.to_owned(), aside: false }
}

fn read_plain(mut reader: Reader) {
    for line in std::io::stdin().lock().lines() {
        match line {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                if !reader.line(&line) {
                    return;
                }
            }
            // A line that is not UTF-8 is nobody's command.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {}
            Err(_) => break,
        }
    }
    reader.tell(Input::End);
}

#[derive(Completer, Helper, Highlighter, Hinter, Validator)]
struct Words {
    #[rustyline(Completer)]
    words: WordCompleter,
}

struct WordCompleter(Vec<String>);

impl Completes for WordCompleter {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let start = line[..pos].rfind(' ').map_or(0, |at| at + 1);
        let typed = &line[start..pos];
        let fits = self.0.iter().filter(|word| word.starts_with(typed));
        Ok((start, fits.map(|word| format!("{word} ")).collect()))
    }
}

/// Prints above the line that is being typed.
struct Above<P>(P);

impl<P: ExternalPrinter> Write for Above<P> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if self.0.print(text).is_err() {
            std::io::stdout().write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The line editor, if this terminal can have one.
fn edit(words: Vec<String>, mut reader: Reader) -> Option<Arc<Console>> {
    let mut editor: Editor<Words, MemHistory> =
        Editor::with_history(rustyline::Config::default(), MemHistory::new()).ok()?;
    let mut all = vec!["!sale".to_owned()];
    all.extend(SPECS.iter().map(|spec| spec.verb.to_owned()));
    all.extend(words);
    editor.set_helper(Some(Words { words: WordCompleter(all) }));
    let printer = editor.create_external_printer().ok()?;
    std::thread::spawn(move || {
        loop {
            match editor.readline("> ") {
                Ok(text) => {
                    for line in commands(&text) {
                        // Without a history entry the arrow keys know less; no harm.
                        let _ = editor.add_history_entry(line);
                        if !reader.line(line) {
                            return;
                        }
                    }
                }
                Err(ReadlineError::Interrupted) => {
                    if !reader.tell(Input::Interrupted) {
                        return;
                    }
                }
                Err(_) => {
                    reader.tell(Input::End);
                    return;
                }
            }
        }
    });
    // A terminal that was stopped (Control-S) takes nothing, and holds nobody.
    let lines = Lossy::new(Above(printer));
    Some(Console::new(move |line| lines.line(&line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_lines_are_commands_of_their_own() {
        let pasted = "!sale list\r\n\n  \n!sale status\r!sale help";
        let read: Vec<&str> = commands(pasted).collect();
        assert_eq!(read, ["!sale list", "!sale status", "!sale help"]);
    }

    #[test]
    fn a_viewer_speaks_by_name_and_everything_else_is_the_moderator() {
        let said = message("1".into(), "ana> !sale stop");
        assert_eq!((said.user.id.as_str(), said.role), ("ana", Role::Viewer));
        assert_eq!(said.text, "!sale stop");
        for line in ["!sale start mug 10m", "> x", "a b> c", "!sale start x title=\"a>b\""] {
            assert_eq!(message("1".into(), line).role, Role::Moderator, "{line}");
        }
    }
}
