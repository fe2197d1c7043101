//! Processes beside this one: what must not be counted with what is measured.

use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

/// A process that answers line by line, and ends when its input does.
pub struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Child {
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("starts");
        let input = process.stdin.take();
        let lines = BufReader::new(process.stdout.take().expect("piped"));
        Self { process, input, lines }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The next line it says; blocks.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("text");
        assert!(!line.is_empty(), "the child process ended");
        line.trim_end().to_owned()
    }

    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it was not ended");
        writeln!(input, "{line}").expect("it listens");
    }

    /// Ends its input and waits for it.
    pub fn end(mut self) {
        drop(self.input.take());
        let status = self.process.wait().expect("ends");
        assert!(status.success(), "a child process ended with {status}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It is gone already unless something failed, or it does not end by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This program, doing something else.
pub fn itself(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(args);
    command
}

/// Waits until whoever started us ends our input.
pub async fn until_told() {
    let wait = || std::io::stdin().lines().for_each(drop);
    tokio::task::spawn_blocking(wait).await.expect("no panic");
}
