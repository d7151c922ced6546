// SPDX-License-Identifier: GPL-2.0-only

//! The configuration of the hook: `/etc/migdev/libvirt-hook.toml`.
//!
//! The file in `tools/install` explains every key and shows its default. A file that is not there
//! is an empty one; a key that is not known is an error, so that none is misspelt in vain.

use super::Policy;

use crate::{
    exit::os_text,
    Error, //
};

use serde::Deserialize;

use std::{
    fs,
    io,
    path::{
        Path,
        PathBuf, //
    },
    time::Duration, //
};

/// Where the configuration is, unless the command line says otherwise.
pub const PATH: &str = "/etc/migdev/libvirt-hook.toml";

/// What the operator has decided.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Parents that go first when a device is chosen, in this order.
    pub parents: Vec<String>,
    /// Whether a free device of another UUID that exists may be given to a domain.
    pub reuse: bool,
    /// Whether devices may be created.
    pub create: bool,
    /// Whether a domain with an mdev of which its metadata says nothing is refused.
    pub require_metadata: bool,
    /// Whether devices that are missing are created when a domain is started.
    pub create_on_start: bool,
    /// The file to which a line for each device is appended; empty for none.
    pub log: PathBuf,
    /// Where this program keeps what it must remember until the machine is started again.
    pub state_directory: PathBuf,
    /// Where libvirt keeps the domains that run.
    pub running_domains: PathBuf,
    /// Where libvirt keeps the domains that are defined.
    pub defined_domains: PathBuf,
    /// How long to wait for another hook that is choosing, in seconds.
    pub lock_timeout: u64,
    /// How long a device is kept for a domain that has not come, in seconds.
    pub reservation: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            parents: Vec::new(),
            reuse: true,
            create: true,
            require_metadata: false,
            create_on_start: false,
            log: "/var/log/migdev/libvirt-hook.log".into(),
            state_directory: "/run/migdev".into(),
            running_domains: "/run/libvirt/qemu".into(),
            defined_domains: "/etc/libvirt/qemu".into(),
            lock_timeout: 30,
            reservation: 300,
        }
    }
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// If the file is there and cannot be read or understood.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::new(path.display(), os_text(&error))),
        };
        Self::parse(&text).map_err(|error| Error::new(path.display(), error))
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The parser's message has several lines, with a picture; libvirt shows one line best.
        toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            let before = text.get(..offset).unwrap_or_default();
            let line = before.matches('\n').count().saturating_add(1);
            format!("line {line}: {}", error.message().replace('\n', " "))
        })
    }

    /// Returns what is allowed when a domain comes to this host.
    pub fn arrival(&self) -> Policy {
        Policy {
            parents: self.parents.clone(),
            reuse: self.reuse,
            create: self.create,
            substitute: true,
        }
    }

    /// Returns what is allowed when a domain is started: libvirt takes no other XML then.
    pub fn start(&self) -> Policy {
        Policy {
            substitute: false,
            ..self.arrival()
        }
    }

    /// Returns [`Config::lock_timeout`].
    pub const fn lock_timeout(&self) -> Duration {
        Duration::from_secs(self.lock_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_is_installed_says_what_is_default() {
        let text = include_str!("../../../install/libvirt-hook.toml");
        assert_eq!(Config::parse(text), Ok(Config::default()));
        // And with its examples switched on it is still understood.
        let active: String = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if key.contains(" = ") && !key.starts_with(' ') => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_ne!(active, text);
        assert_eq!(Config::parse(&active), Ok(Config::default()));
    }

    #[test]
    fn names_the_line_of_a_mistake() {
        let refusal = Config::parse("create = true\nresue = false\n").unwrap_err();
        assert!(
            refusal.starts_with("line 2: unknown field `resue`"),
            "{refusal}"
        );
        let refusal = Config::parse("create = 7").unwrap_err();
        assert!(
            refusal.starts_with("line 1: invalid type: integer"),
            "{refusal}"
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_an_empty_one() {
        let config = Config::read(Path::new("/nonexistent/libvirt-hook.toml")).unwrap();
        assert_eq!(config, Config::default());
    }
}
