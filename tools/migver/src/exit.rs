// SPDX-License-Identifier: GPL-2.0-only

//! How a command ends: with an answer, yes or no, or with an error.
//!
//! | status | meaning |
//! |---|---|
//! | 0 | yes: compatible, found, done |
//! | 1 | no: not compatible, none found |
//! | 2 | there is no answer: wrong arguments, something cannot be read or written; from `mdevctl-callout`: not ours |

use crate::text::printable;

use std::{
    error,
    fmt,
    io,
    process::ExitCode, //
};

/// What a command answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Exit status 0.
    Yes,
    /// Exit status 1.
    No,
    /// Exit status 2: `mdevctl` is to ask another program. No error is shown.
    NotOurs,
}

impl Outcome {
    /// Returns [`Outcome::Yes`] if and only if `yes`.
    pub const fn from_bool(yes: bool) -> Self {
        if yes {
            Self::Yes
        } else {
            Self::No
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Yes => Self::SUCCESS,
            Outcome::No => Self::from(1),
            Outcome::NotOurs => Self::from(2),
        }
    }
}

/// Why there is no answer. Exit status 2.
///
/// It is shown as `WHAT: WHY`, and on a second line, if there is one, `  hint: HINT`. [`cli`](crate::cli) puts
/// `migver: ` before it.
#[derive(Debug)]
pub struct Error {
    what: String,
    why: String,
    hint: Option<String>,
}

impl Error {
    /// Says what could not be done or read, such as a path, and why.
    ///
    /// Both are shown [`printable`], so that what came from a file or another host cannot drive the
    /// terminal.
    pub fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self {
            what: printable(&what.to_string()),
            why: printable(&why.to_string()),
            hint: None,
        }
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(printable(&hint.to_string()));
        self
    }

    /// Returns why, without what and hint.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl error::Error for Error {}

/// For `?` behind `write!` to [`Context::out`](crate::Context::out): the output cannot be written.
///
/// Errors of other files are made with [`Error::new`], which names the file.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new("standard output", os_text(&error))
    }
}

/// Returns the text of an error of the operating system without its number, as other tools say it.
pub fn os_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}
