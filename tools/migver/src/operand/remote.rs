// SPDX-License-Identifier: GPL-2.0-only

//! An operand on another host: `HOST:OPERAND`, read with `ssh -- HOST 'cat PATH'`.
//!
//! Nothing needs to be installed there. The command goes through a shell on the other host, and so
//! every character of what is put into it is one that no shell interprets. The one exception is the
//! `*` for "every parent", which is ours.

use crate::{
    exit::os_text,
    host::attribute::MIGRATION_VERSION,
    Context,
    Error, //
};

use super::is_uuid;

use std::{
    fmt,
    io::Read,
    process::{
        Command,
        Stdio, //
    }, //
};

/// The most that is read from another host, in bytes. A type of many parents has many lines.
const MAX_LEN: u64 = 1 << 20;

/// An operand on another host, all of whose characters were found harmless.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remote {
    host: String,
    target: Target,
}

/// What is meant on the other host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// A file, or a directory of sysfs, by its absolute path.
    Path(String),
    /// A device, by its UUID in lower case.
    Device(String),
    /// A type.
    Type {
        /// The parent, or [`None`] for any.
        parent: Option<String>,
        /// The type's identifier.
        name: String,
    },
}

/// Splits `HOST:OPERAND`. A PCI address and a path with a colon in it have no host.
pub(super) fn split_host(text: &str) -> Option<(&str, &str)> {
    if is_pci_address(text.split('/').next()?) {
        return None;
    }
    // Of an IPv6 address only the colon behind the bracket counts.
    let start = match text.find('[') {
        Some(at) if !text.get(..at)?.contains([':', '/']) => text.find(']')?,
        _ => 0,
    };
    let (host, rest) = text.get(start..)?.split_once(':')?;
    let host = text.get(..start + host.len())?;
    (!host.contains('/')).then_some((host, rest))
}

/// Whether a text is `DOMAIN:BUS:DEVICE.FUNCTION`, as the kernel names PCI devices.
fn is_pci_address(text: &str) -> bool {
    let hexadecimal = |text: &str, least, most| {
        (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let mut parts = text.split([':', '.']);
    let mut next = |least, most| {
        parts
            .next()
            .is_some_and(|part| hexadecimal(part, least, most))
    };
    let begins = next(4, 8) && next(2, 2) && next(2, 2) && next(1, 1);
    begins && parts.next().is_none() && text.rfind('.') > text.rfind(':')
}

impl Remote {
    /// Takes `operand`, which is meant on `host`, apart.
    ///
    /// # Errors
    ///
    /// If either has a character that could mean something to ssh or to a shell, or if the operand
    /// makes no sense on another host.
    pub fn parse(host: &str, operand: &str) -> Result<Self, Error> {
        let whole = format!("{host}:{operand}");
        if !is_host(host) {
            return Err(Error::new(
                whole,
                "what stands before the colon is not the name of a host",
            )
            .hint("a file with a colon in its name is written ./NAME"));
        }
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"/._:+,=@%-".contains(&byte);
        if operand.is_empty() || !operand.bytes().all(harmless) {
            return Err(Error::new(
                whole,
                "what stands after the host may have only A-Z a-z 0-9 / . _ : + , = @ % -",
            )
            .hint("it goes through a shell there"));
        }
        let name = |text: &str| !text.starts_with('-') && !text.starts_with('.');
        let target = match operand.split_once('/') {
            Some(("", _)) => Target::Path(operand.to_owned()),
            Some((parent, item)) if name(parent) && name(item) && !item.contains(['/', ':']) => {
                Target::Type {
                    parent: Some(parent.to_owned()),
                    name: item.to_owned(),
                }
            }
            None if is_uuid(operand) => Target::Device(operand.to_ascii_lowercase()),
            None if name(operand) && !operand.contains(':') => Target::Type {
                parent: None,
                name: operand.to_owned(),
            },
            _ => {
                return Err(Error::new(whole, "on another host there is no such thing")
                    .hint("after the host goes a UUID, TYPE, PARENT/TYPE or an absolute path"))
            }
        };
        Ok(Self {
            host: host.to_owned(),
            target,
        })
    }

    /// Returns the command that the other host's shell is given.
    fn command(&self) -> String {
        const SYSFS: &str = "/sys";
        let path = match &self.target {
            // What is a directory cannot be seen from here, but sysfs has no other reason to be named.
            Target::Path(path) if path.starts_with(SYSFS) && !path.ends_with(MIGRATION_VERSION) => {
                format!("{}/{MIGRATION_VERSION}", path.trim_end_matches('/'))
            }
            Target::Path(path) => path.clone(),
            Target::Device(uuid) => format!("{SYSFS}/bus/mdev/devices/{uuid}/{MIGRATION_VERSION}"),
            Target::Type { parent, name } => {
                let parent = parent.as_deref().unwrap_or("*");
                format!(
                    "{SYSFS}/class/mdev_bus/{parent}/mdev_supported_types/{name}/{MIGRATION_VERSION}"
                )
            }
        };
        format!("cat {path}")
    }

    /// Returns the host as ssh takes it, which has no brackets around an address.
    fn ssh_host(&self) -> String {
        self.host.replace(['[', ']'], "")
    }

    /// Reads the string from the other host, without a newline at its end.
    ///
    /// What ssh and the other host have to say about a failure goes straight to standard error.
    ///
    /// # Errors
    ///
    /// If ssh cannot be started or fails, if it brings nothing or too much, and if several parents offer
    /// the type and do not agree.
    pub fn read(&self, context: &Context<'_>) -> Result<Vec<u8>, Error> {
        let what = self.to_string();
        let program = context.ssh.to_string_lossy();
        let mut child = Command::new(&context.ssh)
            .arg("--")
            .arg(self.ssh_host())
            .arg(self.command())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| {
                Error::new(
                    &what,
                    format_args!("cannot run {program}: {}", os_text(&error)),
                )
                .hint("--ssh PROGRAM or MIGVER_SSH says what to run")
            })?;
        let mut bytes = Vec::new();
        let read = match child.stdout.take() {
            Some(output) => output.take(MAX_LEN + 1).read_to_end(&mut bytes),
            None => Ok(0),
        };
        let too_long = u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_LEN);
        if too_long || read.is_err() {
            // It may have ended by itself.
            let _ = child.kill();
        }
        let status = child.wait().and_then(|status| read.map(|_| status));
        let status = status.map_err(|error| Error::new(&what, os_text(&error)))?;
        if too_long {
            return Err(Error::new(&what, "there is no end to it")
                .hint("name the migration_version of a type or device, or a file with a string"));
        }
        if !status.success() {
            return Err(
                Error::new(&what, format_args!("{program} ended with {status}")).hint(
                    format_args!("try: {program} {} '{}'", self.ssh_host(), self.command()),
                ),
            );
        }
        self.choose(&bytes)
    }

    /// Returns the one line that is meant.
    fn choose(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        let of_any_parent = matches!(self.target, Target::Type { parent: None, .. });
        if of_any_parent && lines.any(|line| !line.is_empty() && line != first) {
            return Err(
                Error::new(self, "the parents that offer this type do not agree")
                    .hint("name one of them: HOST:PARENT/TYPE"),
            );
        }
        if first.is_empty() {
            return Err(Error::new(self, "it is empty"));
        }
        Ok(first.to_vec())
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.target {
            Target::Path(path) => write!(f, "{host}:{path}"),
            Target::Device(uuid) => write!(f, "{host}:{uuid}"),
            Target::Type { parent, name } => match parent {
                Some(parent) => write!(f, "{host}:{parent}/{name}"),
                None => write!(f, "{host}:{name}"),
            },
        }
    }
}

/// Whether a text is `[USER@]NAME`, or has an IPv6 address in brackets for the name.
fn is_host(text: &str) -> bool {
    let word = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !text.is_empty() && !text.starts_with('-') && text.bytes().all(plain)
    };
    let name = match text.split_once('@') {
        Some((user, name)) if word(user) => name,
        Some(_) => return false,
        None => text,
    };
    match name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        Some(address) => {
            let (address, zone) = address.split_once('%').unwrap_or((address, "0"));
            address.parse::<std::net::Ipv6Addr>().is_ok() && word(zone)
        }
        None => word(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Result<(String, String), String> {
        let (host, rest) = split_host(text).ok_or("no host")?;
        let remote = Remote::parse(host, rest).map_err(|error| error.to_string())?;
        assert_eq!(remote.to_string(), text);
        let command = remote.command();
        Ok((remote.host, command))
    }

    #[test]
    fn a_host_stands_before_the_first_colon() {
        let types = "mdev_supported_types/serial/migration_version";
        for (text, host, path) in [
            (
                "node7:serial",
                "node7",
                format!("/sys/class/mdev_bus/*/{types}"),
            ),
            (
                "root@node7.example:migdev/serial",
                "root@node7.example",
                format!("/sys/class/mdev_bus/migdev/{types}"),
            ),
            (
                "node7:0000:00:05.0/serial",
                "node7",
                format!("/sys/class/mdev_bus/0000:00:05.0/{types}"),
            ),
            ("[fe80::1%eth0]:/a/b", "[fe80::1%eth0]", "/a/b".into()),
            (
                "me@[::1]:83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
                "me@[::1]",
                "/sys/bus/mdev/devices/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/migration_version"
                    .into(),
            ),
            (
                "n:/sys/bus/pci/devices/0000:00:05.0/",
                "n",
                "/sys/bus/pci/devices/0000:00:05.0/migration_version".into(),
            ),
        ] {
            assert_eq!(command(text), Ok((host.into(), format!("cat {path}"))));
        }
    }

    #[test]
    fn a_pci_address_and_a_path_have_no_host() {
        for text in [
            "0000:00:05.0/serial",
            "10000:e1:1f.7/serial",
            "a/b:c",
            "serial",
        ] {
            assert_eq!(split_host(text), None);
        }
    }

    #[test]
    fn nothing_that_a_shell_or_ssh_could_interpret_gets_there() {
        for text in [
            "-oProxyCommand=x:serial",
            "-v@node7:serial",
            "node7:a b",
            "node7:$(x)",
            "node7:`x`",
            "node7:a;b",
            "node7:a&b",
            "node7:/a|b",
            "node7:/a>b",
            "node7:/a*",
            "node7:/a?",
            "node7:/[a]",
            "node7:/{a,b}",
            "node7:/a'b",
            "node7:/a\"b",
            "node7:/a\\b",
            "node7:/a\nb",
            "node7:/a#b",
            "node7:/a!b",
            "node7:~/a",
            "node7:-n",
            "node7:../a",
            "node7:a/b/c",
            "node7:other:serial",
            "node7:",
            ":serial",
            "no de:serial",
            "node;7:serial",
            "[::1;x]:serial",
            "[node7]:serial",
            "node7:/ü",
        ] {
            assert!(command(text).is_err(), "{text}");
        }
    }
}
