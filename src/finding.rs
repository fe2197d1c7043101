//! What a look at something found: each thing with the key it is about and its mend.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It was tried, and it works.
    Ok,
    /// Doubtful; the program runs all the same.
    Warning,
    /// Wrong.
    Error,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The key it is about.
    pub key: String,
    /// What is wrong, and how to mend it.
    pub says: String,
}

impl Finding {
    pub(crate) fn ok(key: impl Into<String>, says: impl Into<String>) -> Self {
        Self { level: Level::Ok, key: key.into(), says: says.into() }
    }

    pub(crate) fn warning(key: impl Into<String>, says: impl Into<String>) -> Self {
        Self { level: Level::Warning, key: key.into(), says: says.into() }
    }

    pub(crate) fn error(key: impl Into<String>, says: impl Into<String>) -> Self {
        Self { level: Level::Error, key: key.into(), says: says.into() }
    }

    /// Whether something is wrong, so that the program does not run or not well.
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}
