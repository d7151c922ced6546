// SPDX-License-Identifier: GPL-2.0-only

//! The log of the hook: one line for each device and event.
//!
//! ```text
//! 2026-11-23T16:00:00Z domain=guest event=restore source=206bb5c2-... device=8ce25d31-... outcome=created type 0000:00:05.0/migdev-serial2
//! 2026-11-23T16:00:09Z domain=guest event=restore source=206bb5c2-... outcome=refused: abi: source 1.1, ...
//! ```
//!
//! A log that cannot be written stops no migration.

use super::Uuid;

use crate::{
    host::machine,
    text::printable, //
};

use std::{
    fmt::Write as _,
    fs::{
        DirBuilder,
        OpenOptions, //
    },
    io::Write as _,
    os::unix::fs::{
        DirBuilderExt,
        OpenOptionsExt, //
    },
    path::{
        Path,
        PathBuf, //
    }, //
};

/// A log, for the lines of one event.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
    head: String,
}

impl Log {
    /// Returns the log in a file, for the lines of one event of one domain.
    pub fn new(path: &Path, domain: &str, event: &str) -> Self {
        Self {
            path: path.to_owned(),
            head: format!("domain={} event={event}", word(domain)),
        }
    }

    /// Appends a line.
    pub fn line(&self, source: Option<&Uuid>, device: Option<&Uuid>, outcome: &str) {
        if self.path.as_os_str().is_empty() {
            return;
        }
        let mut line = format!("{} {}", machine::time().unwrap_or_default(), self.head);
        // Writing to a string does not fail.
        if let Some(source) = source {
            let _ = write!(line, " source={source}");
        }
        if let Some(device) = device {
            let _ = write!(line, " device={device}");
        }
        let _ = writeln!(line, " outcome={}", printable(outcome));
        if let Some(dir) = self.path.parent() {
            let _ = DirBuilder::new().recursive(true).mode(0o755).create(dir);
        }
        // One write(2) with O_APPEND, so that lines of several hooks do not mix.
        let _ = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&self.path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// Escapes what would end the word, too.
fn word(text: &str) -> String {
    printable(text).replace(' ', "\\x20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_cannot_forge_a_line() {
        let log = Log::new(Path::new(""), "a b\nc=d", "restore");
        assert_eq!(log.head, "domain=a\\x20b\\nc=d event=restore");
    }
}
