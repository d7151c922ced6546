// SPDX-License-Identifier: GPL-2.0-only

//! What a person or a program names to say whose version string is meant.
//!
//! | operand | the string of |
//! |---|---|
//! | `migver:1,...` | itself |
//! | `-` | the first line of standard input |
//! | `/path`, `./path`, `../path` | the file's first line; for a directory of sysfs, its `migration_version` |
//! | a UUID | the mdev device |
//! | `PARENT/TYPE` | a new device of this type under this parent |
//! | `TYPE` | the same, where every parent that offers the type says the same |
//! | `HOST:OPERAND` | one of the last four, on another host, read with ssh |
//!
//! A name without `./` is looked up in sysfs first. Where sysfs does not know it, it is a file. In
//! `0000:00:05.0/TYPE` the parent is a PCI address and not a host.

mod remote;
mod resolve;

pub use remote::{
    Remote,
    Target, //
};
pub use resolve::{
    pair,
    Resolved, //
};

use crate::Error;

use std::{
    ffi::OsStr,
    path::PathBuf, //
};

/// The operands as the help of a command tells them.
pub const HELP: &str = "\
An operand is a version string (migver:1,...), '-' for standard input, the UUID of a device, TYPE or \
PARENT/TYPE for a new device of a type, the path of a file with a string or of the sysfs directory of a \
type or device, or HOST:OPERAND for one of the last four on another host, which is read there with \
'ssh HOST cat PATH'.";

/// An operand, taken apart but not looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operand {
    /// A version string, well-formed or not.
    Text(String),
    /// Standard input.
    Stdin,
    /// A file, or a directory of sysfs.
    Path(PathBuf),
    /// An mdev device by its UUID, in lower case.
    Device(String),
    /// An mdev type, or a file if sysfs has no such type.
    Type {
        /// The parent, or [`None`] for any.
        parent: Option<String>,
        /// The type's identifier.
        name: String,
    },
    /// Something on another host.
    Remote(Remote),
}

impl Operand {
    /// Takes an operand apart. Looks at nothing but its text.
    ///
    /// # Errors
    ///
    /// If it is empty, or names another host and has a character that a shell there could interpret.
    pub fn parse(operand: &OsStr) -> Result<Self, Error> {
        let Some(text) = operand.to_str() else {
            return Ok(Self::Path(operand.into()));
        };
        Ok(match text {
            "" => return Err(Error::new("operand", "it is empty").hint("see migver check --help")),
            "-" => Self::Stdin,
            _ if text.starts_with("migver:") => Self::Text(text.to_owned()),
            _ if is_path(text) => Self::Path(text.into()),
            _ if is_uuid(text) => Self::Device(text.to_ascii_lowercase()),
            _ => match remote::split_host(text) {
                Some((host, rest)) => Self::Remote(Remote::parse(host, rest)?),
                None => Self::name(text),
            },
        })
    }

    fn name(text: &str) -> Self {
        let (parent, name) = match text.split_once('/') {
            None => (None, text),
            Some((parent, name)) => (Some(parent), name),
        };
        let usable = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('/');
        if usable(name) && parent.is_none_or(usable) {
            Self::Type {
                parent: parent.map(str::to_owned),
                name: name.to_owned(),
            }
        } else {
            Self::Path(text.into())
        }
    }
}

/// Whether a text can only be a path.
fn is_path(text: &str) -> bool {
    matches!(text, "." | "..")
        || ["/", "./", "../"]
            .into_iter()
            .any(|prefix| text.starts_with(prefix))
}

/// Whether a text is a UUID as the kernel takes it: 8-4-4-4-12 hexadecimal digits.
pub fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(|group| {
        let hexadecimal = group.bytes().all(|byte| byte.is_ascii_hexdigit());
        hexadecimal.then_some(group.len())
    });
    lengths.eq([8, 4, 4, 4, 12].map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Operand {
        Operand::parse(OsStr::new(text)).unwrap()
    }

    fn type_of(parent: Option<&str>, name: &str) -> Operand {
        Operand::Type {
            parent: parent.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    #[test]
    fn the_form_tells_what_is_meant() {
        const UUID: &str = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
        assert_eq!(parse("-"), Operand::Stdin);
        assert_eq!(parse("migver:x"), Operand::Text("migver:x".into()));
        assert_eq!(parse(UUID), Operand::Device(UUID.into()));
        assert_eq!(
            parse(&UUID.to_uppercase()),
            Operand::Device(UUID.to_owned())
        );
        assert_eq!(parse("serial"), type_of(None, "serial"));
        assert_eq!(parse("migdev/serial"), type_of(Some("migdev"), "serial"));
        assert_eq!(
            parse("0000:00:05.0/serial"),
            type_of(Some("0000:00:05.0"), "serial")
        );
        for path in [
            ".", "..", "./a", "../a", "/a", "a/b/c", "a/", "a/..", "a/b:c/d",
        ] {
            assert_eq!(parse(path), Operand::Path(path.into()));
        }
    }

    #[test]
    fn what_is_nearly_a_uuid_is_not_one() {
        for text in [
            "83b8f4f2-509f-382f-3c1e-e6bfe0fa100",
            "83b8f4f2-509f-382f-3c1e-e6bfe0fa100g",
            "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001-",
            "83b8f4f2509f382f3c1ee6bfe0fa1001",
        ] {
            assert!(!is_uuid(text));
        }
    }
}
