//! Asks one question at a time: of a person at a terminal, or of a pipe with one answer a line.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, Result, bail};

use super::draft::Draft;

/// The longest answer that is read, in characters.
const ANSWER_MAX: usize = 2000;

pub(super) struct Prompt {
    terminal: bool,
}

impl Prompt {
    pub fn new() -> Self {
        Self { terminal: std::io::stdin().is_terminal() }
    }

    /// Says something.
    pub fn say(&self, line: &str) -> Result<()> {
        writeln!(std::io::stdout(), "{line}").context("nobody reads the questions")
    }

    /// Asks until `take` is content and the two files could be started with; an empty answer is
    /// the `default`. A refused answer changes nothing.
    ///
    /// # Errors
    /// When there are no more answers.
    pub fn ask(
        &self,
        draft: &mut Draft,
        words: &str,
        default: &str,
        take: impl Fn(&mut Draft, &str) -> Result<(), String>,
    ) -> Result<()> {
        let shown = if default.is_empty() {
            format!("{words}: ")
        } else {
            format!("{words} [{default}]: ")
        };
        self.until_taken(draft, &shown, false, |draft, answer| {
            take(draft, if answer.is_empty() { default } else { answer })
        })
    }

    /// Asks for a secret, which is not shown while it is typed. One that is known already is kept
    /// by an empty answer.
    ///
    /// # Errors
    /// When there are no more answers.
    pub fn ask_secret(
        &self,
        draft: &mut Draft,
        words: &str,
        variable: &str,
        required: bool,
        take: impl Fn(&mut Draft) -> Result<(), String>,
    ) -> Result<()> {
        let known = draft.has_secret(variable);
        let hint = match (known, required) {
            (true, _) => "not shown; Enter keeps the one there is",
            (false, true) => "not shown",
            (false, false) => "not shown; Enter leaves it for later",
        };
        self.until_taken(draft, &format!("{words} ({hint}): "), true, |draft, answer| {
            match answer {
                "" if required && !known => return Err("this one is needed".to_owned()),
                "" => {}
                secret => draft.set_secret(variable, secret),
            }
            take(draft)
        })
    }

    /// Asks for yes or no.
    ///
    /// # Errors
    /// When there are no more answers.
    pub fn confirm(&self, words: &str, default: bool) -> Result<bool> {
        let hint = if default { "yes" } else { "no" };
        loop {
            let answer = self.line(&format!("{words} [{hint}]: "), false)?;
            match yes_or_no(&answer) {
                _ if answer.is_empty() => return Ok(default),
                Ok(answer) => return Ok(answer),
                Err(why) => self.say(&format!("  {why}"))?,
            }
        }
    }

    fn until_taken(
        &self,
        draft: &mut Draft,
        shown: &str,
        secret: bool,
        take: impl Fn(&mut Draft, &str) -> Result<(), String>,
    ) -> Result<()> {
        loop {
            let answer = self.line(shown, secret)?;
            let mut next = draft.clone();
            let taken = take(&mut next, &answer).and_then(|()| next.check().map(drop));
            match taken {
                Ok(()) => {
                    *draft = next;
                    return Ok(());
                }
                Err(why) => self.say(&format!("  {}", why.replace('\n', "\n  ")))?,
            }
        }
    }

    fn line(&self, shown: &str, secret: bool) -> Result<String> {
        print!("{shown}");
        std::io::stdout().flush().context("nobody reads the questions")?;
        let words = shown.split(['(', '[', ':']).next().unwrap_or_default().trim();
        let ended = || format!("the answers ended before \"{words}\"; nothing was written");
        let answer = if secret && self.terminal {
            rpassword::read_password().with_context(ended)?
        } else {
            let mut line = String::new();
            match std::io::stdin().lock().read_line(&mut line) {
                Ok(0) => bail!(ended()),
                Ok(_) => {}
                Err(error) => return Err(error).with_context(ended),
            }
            if !self.terminal {
                // Nobody pressed Enter on a screen.
                self.say("")?;
            }
            line
        };
        let answer = answer.trim();
        if answer.chars().count() > ANSWER_MAX || answer.chars().any(char::is_control) {
            self.say(&format!("  one line of at most {ANSWER_MAX} plain characters"))?;
            return self.line(shown, secret);
        }
        Ok(answer.to_owned())
    }
}

/// Reads a yes or a no.
pub(super) fn yes_or_no(answer: &str) -> Result<bool, String> {
    match answer.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err("yes or no?".to_owned()),
    }
}
