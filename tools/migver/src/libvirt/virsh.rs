// SPDX-License-Identifier: GPL-2.0-only

//! libvirt as `virsh` shows it. It is asked only outside of a hook: within one, it waits for the
//! hook.

use super::xml;

use crate::{
    exit::os_text,
    Error, //
};

use std::{
    ffi::OsString,
    fmt,
    process::{
        Command,
        Stdio, //
    }, //
};

/// Where the metadata of a domain stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// In the domain that runs.
    Live,
    /// In its definition, for when it is started.
    Config,
}

impl Scope {
    const fn option(self) -> &'static str {
        match self {
            Self::Live => "--live",
            Self::Config => "--config",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Config => "config",
        })
    }
}

/// A `virsh` and the libvirt it talks to.
#[derive(Clone, Debug)]
pub struct Virsh {
    /// The program.
    pub program: OsString,
    /// The connection; [`None`] for the one that virsh chooses.
    pub uri: Option<String>,
}

impl Virsh {
    /// Lists the names of all domains that run or are defined.
    ///
    /// # Errors
    ///
    /// Those of virsh.
    pub fn domains(&self) -> Result<Vec<String>, Error> {
        let text = self.run(&["list", "--all", "--name"])?;
        Ok(text
            .lines()
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// Returns where a domain exists: it runs, is defined, or both.
    ///
    /// # Errors
    ///
    /// Those of virsh.
    pub fn scopes(&self, domain: &str) -> Result<Vec<Scope>, Error> {
        let text = self.run(&["dominfo", "--domain", domain])?;
        let field = |name: &str| {
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.trim())
        };
        let mut scopes = Vec::new();
        // A domain that does not run has no number.
        if field("Id").is_some_and(|id| id != "-") {
            scopes.push(Scope::Live);
        }
        if field("Persistent") == Some("yes") {
            scopes.push(Scope::Config);
        }
        Ok(scopes)
    }

    /// Reads a domain.
    ///
    /// # Errors
    ///
    /// Those of virsh.
    pub fn dumpxml(&self, domain: &str, scope: Scope) -> Result<String, Error> {
        match scope {
            Scope::Live => self.run(&["dumpxml", "--domain", domain]),
            Scope::Config => self.run(&["dumpxml", "--inactive", "--domain", domain]),
        }
    }

    /// Puts an element into the metadata of a domain, in place of what was there of its namespace.
    /// libvirt gives it the namespace.
    ///
    /// # Errors
    ///
    /// Those of virsh.
    pub fn set_metadata(&self, domain: &str, scope: Scope, element: &str) -> Result<(), Error> {
        let set = ["--key", "migdev", "--set", element];
        self.metadata(domain, scope, &set)
    }

    /// Takes our element out of the metadata of a domain.
    ///
    /// # Errors
    ///
    /// Those of virsh.
    pub fn remove_metadata(&self, domain: &str, scope: Scope) -> Result<(), Error> {
        self.metadata(domain, scope, &["--remove"])
    }

    fn metadata(&self, domain: &str, scope: Scope, what: &[&str]) -> Result<(), Error> {
        let mut arguments = vec!["metadata", "--domain", domain, "--uri", xml::NAMESPACE];
        arguments.push(scope.option());
        arguments.extend(what);
        self.run(&arguments).map(drop)
    }

    /// Runs virsh, in the language that its output is read in.
    fn run(&self, arguments: &[&str]) -> Result<String, Error> {
        let program = self.program.to_string_lossy();
        let mut command = Command::new(&self.program);
        if let Some(uri) = &self.uri {
            command.args(["--connect", uri]);
        }
        let output = command
            .arg("--quiet")
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| {
                Error::new(&program, os_text(&error)).hint("--virsh PROGRAM says where it is")
            })?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = text
                .lines()
                .map(str::trim)
                .filter(|l| !l.is_empty())
                .collect();
            let why = match lines.is_empty() {
                true => output.status.to_string(),
                false => lines.join("; "),
            };
            let what = arguments.first().copied().unwrap_or_default();
            return Err(Error::new(format_args!("{program} {what}"), why));
        }
        String::from_utf8(output.stdout)
            .map_err(|_| Error::new(&program, "its output is not UTF-8"))
    }
}
