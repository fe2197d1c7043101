//! The program at a real terminal: a pseudo-terminal that `script` (Debian package bsdutils) makes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

struct Terminal {
    child: Child,
    said: Receiver<String>,
}

impl Terminal {
    fn start(dir: &Path) -> Self {
        let program = format!("{} run", env!("CARGO_BIN_EXE_livetill"));
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--command", &program, "/dev/null"])
            .current_dir(dir)
            .env("TERM", "xterm")
            .env("LIVETILL_HTTP__LISTEN", "127.0.0.1:0")
            .env_remove("LIVETILL_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("script is installed");
        let (send, said) = channel();
        let mut out = BufReader::new(child.stdout.take().expect("piped")).take(1 << 20);
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while out.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self { child, said }
    }

    /// Everything at once, as a paste or a slow line brings it.
    fn types(&mut self, keys: &str) {
        let mut input = self.child.stdin.as_ref().expect("piped");
        input.write_all(keys.as_bytes()).expect("written");
    }

    fn until(&self, part: &str) {
        while !self.said.recv_timeout(Duration::from_secs(60)).expect(part).contains(part) {}
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn lines_that_arrive_together_are_all_done() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("config.toml"), include_str!("../../config.toml"))
        .expect("written");
    let mut terminal = Terminal::start(dir.path());
    terminal.until("Type !sale");
    terminal.types("!sale start mug 10m stock=3\r");
    terminal.until("SALE OPEN");
    terminal.types("!sale restock 1\r!sale restock 2\n!sale restock 4\r!sale restock 8\r");
    terminal.until("has 18 in all");
    terminal.types("!sale stop all\r!sale status\r");
    terminal.until("CANCELLED");
}
