// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a driver can hold its devices at, so that they can still go to older hosts.

use super::{
    text,
    Abi,
    Version, //
};

use core::fmt;

/// What the devices of a type are: the ABI that guests see, and the stream version that is written.
///
/// It is written `abi=MAJOR.MINOR,stream=VERSION`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Baseline {
    /// What the guest sees.
    pub abi: Abi,
    /// The stream version that a device writes.
    pub stream: u32,
}

impl Baseline {
    /// Returns the baseline of a version.
    pub const fn of(version: &Version<'_>) -> Self {
        Self {
            abi: version.abi(),
            stream: version.stream().writes,
        }
    }

    /// Returns this baseline with what `text` changes of it: `abi=MAJOR.MINOR`, `stream=VERSION`, or both, in this
    /// order and with a comma between them. A newline may follow. [`None`] if it is something else.
    ///
    /// # Examples
    ///
    /// ```
    /// use migver::{Abi, Baseline};
    ///
    /// let newest = Baseline { abi: Abi { major: 1, minor: 1 }, stream: 2 };
    /// let held = newest.changed(b"abi=1.0\n").unwrap();
    /// assert_eq!(held.to_string(), "abi=1.0,stream=2");
    /// assert_eq!(newest.changed(b"abi=01.0"), None);
    /// ```
    pub fn changed(self, text: &[u8]) -> Option<Self> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = core::str::from_utf8(text).ok()?;
        let (abi, stream) = match text::split_once(text, b',') {
            Some((abi, stream)) => (Some(abi), Some(stream)),
            None if text.starts_with("stream=") => (None, Some(text)),
            None => (Some(text), None),
        };
        let abi = match abi {
            Some(abi) => abi_of(abi.strip_prefix("abi=")?)?,
            None => self.abi,
        };
        let stream = match stream {
            Some(stream) => number(stream.strip_prefix("stream=")?)?,
            None => self.stream,
        };
        Some(Self { abi, stream })
    }
}

fn abi_of(text: &str) -> Option<Abi> {
    let (major, minor) = text::split_once(text, b'.')?;
    Some(Abi {
        major: number(major)?,
        minor: number(minor)?,
    })
}

fn number(text: &str) -> Option<u32> {
    text::number(text)?.try_into().ok()
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "abi={},stream={}", self.abi, self.stream)
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_baseline)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::shown::shows;
    use super::*;

    const NOW: Baseline = baseline(1, 1, 2);

    const fn baseline(major: u32, minor: u32, stream: u32) -> Baseline {
        Baseline {
            abi: Abi { major, minor },
            stream,
        }
    }

    #[test]
    fn changes_what_is_named() {
        assert_eq!(NOW.changed(b"abi=1.0,stream=1"), Some(baseline(1, 0, 1)));
        assert_eq!(NOW.changed(b"abi=1.0,stream=1\n"), Some(baseline(1, 0, 1)));
        assert_eq!(NOW.changed(b"abi=3.4"), Some(baseline(3, 4, 2)));
        assert_eq!(NOW.changed(b"stream=7\n"), Some(baseline(1, 1, 7)));
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "\n",
            "abi",
            "abi=",
            "abi=1",
            "abi=1.",
            "abi=.1",
            "abi=1.0.0",
            "abi=01.0",
            "abi=1.4294967296",
            "abi=1.0,",
            ",stream=1",
            "stream=",
            "stream=-1",
            "stream=01",
            "stream=1,abi=1.0",
            "abi=1.0,abi=1.0",
            "abi=1.0,stream=1,stream=1",
            "abi=1.0\n\n",
            " abi=1.0",
            "ABI=1.0",
            "stream=1\0",
            "é",
        ] {
            assert!(NOW.changed(text.as_bytes()).is_none());
        }
        assert!(NOW.changed(b"\xff").is_none());
    }

    #[test]
    fn is_shown_as_it_is_written() {
        assert!(shows(&NOW, "abi=1.1,stream=2"));
    }
}
