//! Lines for a terminal or a pipe, written by a thread of their own: whoever has something to say
//! never waits for whoever reads. What nobody reads in time is lost, counted, and the loss is told.
//!
//! tracing-appender does nearly this, but prints to standard output when it is dropped with a full
//! queue (and hangs, if nobody reads that either), and cannot say in the stream what was lost.

use std::{
    collections::VecDeque,
    io::Write,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

/// Bytes that wait to be written at the most, and as many that are being written.
const WAITING_MAX: usize = 2 * 1024 * 1024;

/// A way out for lines; cheap to clone.
#[derive(Clone)]
pub struct Lossy {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that came after those waiting and were lost.
    lost: u64,
    lost_in_all: u64,
    writing: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lossy {
    /// Has lines written to `to`, one `write_all` each.
    pub fn new(to: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let started = std::thread::Builder::new().name("lines".to_owned());
        // Without a thread to write them, lines wait and are lost; nothing else is.
        let _ = started.spawn(move || write_all(&theirs, to));
        Self { shared }
    }

    /// Says a line; never waits.
    pub fn line(&self, line: &str) {
        self.push(format!("{line}\n").into_bytes());
    }

    /// Takes what is ready to be written; never waits.
    pub fn push(&self, bytes: Vec<u8>) {
        let mut state = self.shared.state();
        if state.lost > 0 || state.bytes + bytes.len() > WAITING_MAX {
            state.lost += 1;
            state.lost_in_all += 1;
        } else {
            state.bytes += bytes.len();
            state.waiting.push_back(bytes);
        }
        self.shared.changed.notify_all();
    }

    /// Lines lost so far.
    pub fn lost_in_all(&self) -> u64 {
        self.shared.state().lost_in_all
    }

    /// Waits until everything is written, but no longer than that; says whether it is.
    pub fn flush(&self, within: Duration) -> bool {
        let state = self.shared.state();
        let busy = |state: &mut State| state.writing || state.lost > 0 || !state.waiting.is_empty();
        let waited = self.shared.changed.wait_timeout_while(state, within, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

fn write_all(shared: &Shared, mut to: impl Write) {
    loop {
        let (lines, lost) = {
            let idle = |state: &mut State| state.waiting.is_empty() && state.lost == 0;
            let state = shared.changed.wait_while(shared.state(), idle);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            (state.bytes, state.writing) = (0, true);
            (std::mem::take(&mut state.waiting), std::mem::take(&mut state.lost))
        };
        for line in lines {
            // Whoever read has gone: there is nobody left to tell.
            let _ = to.write_all(&line);
        }
        if lost > 0 {
            let lines = if lost == 1 { "1 line was" } else { &format!("{lost} lines were") };
            let told = format!("livetill: {lines} lost here: nobody read in time\n");
            let _ = to.write_all(told.as_bytes());
        }
        let _ = to.flush();
        shared.state().writing = false;
        shared.changed.notify_all();
    }
}

/// Standard error of a program that runs sales: logs, errors, panics.
pub fn stderr() -> &'static Lossy {
    static OUT: OnceLock<Lossy> = OnceLock::new();
    OUT.get_or_init(|| Lossy::new(std::io::stderr()))
}

/// Standard output of a program that runs sales: the console.
pub fn stdout() -> &'static Lossy {
    static OUT: OnceLock<Lossy> = OnceLock::new();
    OUT.get_or_init(|| Lossy::new(std::io::stdout()))
}

/// A text without anything that a terminal obeys or that turns its direction: such characters are
/// shown as what they are.
pub fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => c.to_string(),
        c if c.is_control() || is_direction(c) => c.escape_default().to_string(),
        c => c.to_string(),
    };
    if text.chars().any(|c| c.is_control() || is_direction(c)) {
        return text.chars().map(shown).collect();
    }
    text.to_owned()
}

/// The same inside JSON, where it stays JSON.
pub fn visible_json(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_control() || is_direction(c) => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Line and paragraph separators, and what turns the direction of a text.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    const LONG: Duration = Duration::from_secs(60);

    /// Hands on what is written when it is asked for.
    struct Pipe(SyncSender<String>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.0.send(text).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn pipe() -> (Lossy, Receiver<String>) {
        let (send, receive) = sync_channel(0);
        (Lossy::new(Pipe(send)), receive)
    }

    #[test]
    fn nobody_who_speaks_waits_for_a_reader_and_what_is_lost_is_told_in_its_place() {
        let (lossy, reader) = pipe();
        let line = "x".repeat(1023);
        let many = 3 * WAITING_MAX / 1024;
        for _ in 0..many {
            lossy.line(&line);
        }
        assert!(!lossy.flush(Duration::from_millis(1)), "nobody reads");
        let lost = lossy.lost_in_all();
        assert!(lost > 0);
        // The writer may have begun before, among or after the first losses: it tells them where
        // they were, in one line or in two.
        let (mut read, mut told) = (0, 0);
        while read + told < many as u64 {
            let got = reader.recv_timeout(LONG).expect("written");
            match got.strip_prefix("livetill: ").and_then(|rest| rest.split(' ').next()) {
                Some(count) => told += count.parse::<u64>().expect("a number of lines"),
                None if got.starts_with('x') => read += 1,
                None => panic!("what is this? {got}"),
            }
        }
        assert_eq!((told, read), (lost, many as u64 - lost));
    }

    #[test]
    fn who_waits_for_the_end_has_everything_written_in_order() {
        let (lossy, reader) = pipe();
        for n in 0..3 {
            lossy.line(&n.to_string());
        }
        let read = std::thread::spawn(move || -> String { reader.iter().take(3).collect() });
        assert!(lossy.flush(LONG));
        assert_eq!(read.join().expect("read"), "0\n1\n2\n");
        assert_eq!(lossy.lost_in_all(), 0);
    }
}
