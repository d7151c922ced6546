// SPDX-License-Identifier: GPL-2.0-only

//! From an operand to the version string it stands for.

use crate::{
    exit::os_text,
    host::{
        self,
        attribute::{
            self,
            MIGRATION_VERSION, //
        }, //
    },
    Context,
    Error, //
};

use super::Operand;

use std::{
    ffi::OsStr,
    fs::File,
    io::{
        self,
        BufRead,
        BufReader,
        Read, //
    },
    path::{
        Path,
        PathBuf, //
    }, //
};

/// What an operand stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolved {
    /// The operand as it was given, for people.
    pub label: String,
    /// The string, not parsed, without a newline; [`None`] if the type or device is there and does
    /// not migrate. It is never empty, and never longer than [`attribute::MAX_LEN`].
    pub text: Option<Vec<u8>>,
    /// The attribute in this host's sysfs that it was read from, which can be written to to ask the kernel.
    pub attribute: Option<PathBuf>,
}

/// Resolves a source and a destination.
///
/// # Errors
///
/// As [`Resolved::of`]; also if both are standard input.
pub fn pair(
    source: &OsStr,
    destination: &OsStr,
    context: &mut Context<'_>,
) -> Result<(Resolved, Resolved), Error> {
    if source == "-" && destination == "-" {
        return Err(Error::new("-", "standard input can be read only once")
            .hint("give one of the two strings as it is"));
    }
    Ok((
        Resolved::of(source, context)?,
        Resolved::of(destination, context)?,
    ))
}

impl Resolved {
    /// Takes an operand apart and reads what it stands for. Only a few KiB are read, whatever the
    /// operand is.
    ///
    /// # Errors
    ///
    /// As [`Operand::parse`] and [`Remote::read`](super::Remote::read); also if what it names does
    /// not exist, cannot be read or is empty, or if several parents offer the type and do not agree.
    pub fn of(operand: &OsStr, context: &mut Context<'_>) -> Result<Self, Error> {
        let label = operand.to_string_lossy().into_owned();
        match Operand::parse(operand)? {
            Operand::Text(text) => Ok(Self::text(label, text.into_bytes())),
            Operand::Stdin => {
                let line = first_line(&mut *context.input);
                let label = "standard input".to_owned();
                Self::line(label, line)
            }
            Operand::Path(path) => Self::path(label, &path),
            Operand::Device(uuid) => {
                let dir = host::device_dir(&context.sysfs, &uuid);
                if dir.is_dir() {
                    Self::directory(label, &dir)
                } else {
                    Err(
                        Error::new(label, "this host has no mdev device of this UUID")
                            .hint("'migver show' lists the devices there are"),
                    )
                }
            }
            Operand::Type { parent, name } => match parent {
                Some(parent) => Self::type_of(label, &parent, &name, context),
                None => Self::any_type(label, &name, context),
            },
            Operand::Remote(remote) => Ok(Self::text(label, remote.read(context)?)),
        }
    }

    fn text(label: String, text: Vec<u8>) -> Self {
        Self {
            label,
            text: Some(text),
            attribute: None,
        }
    }

    fn line(label: String, line: io::Result<Vec<u8>>) -> Result<Self, Error> {
        match line {
            Ok(line) if line.is_empty() => Err(Error::new(label, "it is empty")
                .hint("its first line must be a version string, as migration_version has it")),
            Ok(line) => Ok(Self::text(label, line)),
            Err(error) => Err(Error::new(label, os_text(&error))),
        }
    }

    fn path(label: String, path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            return Self::directory(label, path);
        }
        let attribute =
            (path.file_name() == Some(OsStr::new(MIGRATION_VERSION))).then(|| path.to_owned());
        let line = File::open(path).and_then(first_line);
        Ok(Self {
            attribute,
            ..Self::line(label, line)?
        })
    }

    /// Resolves the directory of a type or a device.
    fn directory(label: String, dir: &Path) -> Result<Self, Error> {
        let path = dir.join(MIGRATION_VERSION);
        let text = attribute::read(&path)
            .map_err(|error| Error::new(path.display(), os_text(&error)))?
            .map(String::into_bytes);
        let migrates = text.is_some();
        let is_mdev = || {
            ["mdev_type", "available_instances"]
                .into_iter()
                .any(|name| dir.join(name).exists())
        };
        if !migrates && !is_mdev() {
            return Err(Error::new(
                label,
                "this directory has no migration_version and is no mdev type or device",
            )
            .hint("'migver show' lists the types and devices there are"));
        }
        if text.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::new(path.display(), "it is empty"));
        }
        Ok(Self {
            label,
            text,
            attribute: migrates.then_some(path),
        })
    }

    fn type_of(
        label: String,
        parent: &str,
        name: &str,
        context: &Context<'_>,
    ) -> Result<Self, Error> {
        let dir = host::type_dir(&context.sysfs, parent, name);
        if dir.is_dir() {
            return Self::directory(label, &dir);
        }
        let hint = if host::parents_dir(&context.sysfs).join(parent).is_dir() {
            format!("'migver show {parent}' lists its types")
        } else {
            "'migver show' lists the parents and types there are".to_owned()
        };
        Self::file_instead(label, "there is no such type, and no such file", &hint)
    }

    fn any_type(label: String, name: &str, context: &Context<'_>) -> Result<Self, Error> {
        let mut found: Vec<(String, Self)> = Vec::new();
        for parent in host::parents(&context.sysfs)? {
            let dir = host::type_dir(&context.sysfs, &parent.name, name);
            if dir.is_dir() {
                let resolved = Self::directory(label.clone(), &dir)?;
                found.push((parent.name, resolved));
            }
        }
        let Some((_, first)) = found.first() else {
            return Self::file_instead(
                label,
                "no parent offers such a type, and there is no such file",
                "'migver show' lists the types there are",
            );
        };
        if found.iter().all(|(_, other)| other.text == first.text) {
            return Ok(first.clone());
        }
        let choices: Vec<_> = found
            .iter()
            .map(|(parent, _)| format!("{parent}/{name}"))
            .collect();
        Err(
            Error::new(label, "the parents that offer this type do not agree")
                .hint(format_args!("name one of them: {}", choices.join(", "))),
        )
    }

    /// Takes the operand for a file, as sysfs does not know it.
    fn file_instead(label: String, why: &str, hint: &str) -> Result<Self, Error> {
        let path = PathBuf::from(&label);
        if path.exists() {
            Self::path(label, &path)
        } else {
            Err(Error::new(label, why).hint(hint))
        }
    }
}

/// Reads up to the first newline, and no further than an attribute could go.
fn first_line(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::with_capacity(512, reader.take(attribute::MAX_LEN)).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
}
