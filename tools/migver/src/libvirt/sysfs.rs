// SPDX-License-Identifier: GPL-2.0-only

//! The real host: sysfs, the processes, libvirt's files, and what is remembered.

use super::{
    domains::Domains,
    record::{
        self,
        State, //
    },
    users,
    xml::Domain,
    Config,
    Entry,
    Host,
    Node,
    Uuid, //
};

use crate::{
    host::{
        self,
        attribute, //
    },
    inventory::Inventory,
    Error, //
};

use std::{
    fs,
    io,
    path::{
        Path,
        PathBuf, //
    },
    sync::{
        atomic::{
            AtomicBool,
            Ordering, //
        },
        Arc, //
    }, //
};

/// This host, for one event of one domain, with the state directory locked.
#[derive(Debug)]
pub struct SysfsHost<'c> {
    sysfs: PathBuf,
    proc: PathBuf,
    config: &'c Config,
    domain: &'c Domain,
    state: State,
    interrupted: Arc<AtomicBool>,
}

impl<'c> SysfsHost<'c> {
    /// Locks the state directory for one event.
    ///
    /// `proc` is where procfs is mounted; `interrupted` is set once this process is to end.
    ///
    /// # Errors
    ///
    /// Those of [`State::lock`].
    pub fn lock(
        sysfs: &Path,
        proc: &Path,
        config: &'c Config,
        domain: &'c Domain,
        interrupted: Arc<AtomicBool>,
    ) -> Result<Self, Error> {
        Ok(Self {
            sysfs: sysfs.to_owned(),
            proc: proc.to_owned(),
            config,
            domain,
            state: State::lock(&config.state_directory, config.lock_timeout(), &interrupted)?,
            interrupted,
        })
    }

    /// Returns what is remembered.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Returns libvirt's domains.
    pub fn domains(&self) -> Domains {
        Domains {
            running: self.config.running_domains.clone(),
            defined: self.config.defined_domains.clone(),
        }
    }

    /// Whether a device exists.
    pub fn exists(&self, uuid: &Uuid) -> bool {
        host::device_dir(&self.sysfs, uuid.as_str()).exists()
    }

    /// Tells who has a device, other than `except`.
    ///
    /// # Errors
    ///
    /// If that cannot be told.
    pub fn user_except(&self, uuid: &Uuid, except: &str) -> io::Result<Option<String>> {
        if let Some(domain) = self.domains().that_has(uuid, except)? {
            return Ok(Some(domain));
        }
        users::process_that_uses(&self.sysfs, &self.proc, uuid.as_str())
    }

    /// Whether the devices in a record are still kept for its domain.
    ///
    /// # Errors
    ///
    /// If it cannot be told whether the domain runs.
    pub fn holds(&self, record: &record::Record) -> io::Result<bool> {
        let age = record::now().saturating_sub(record.time);
        Ok(age < self.config.reservation || self.domains().is_running(&record.domain)?)
    }

    fn directory(&self, node: &Node) -> PathBuf {
        match node {
            Node::Type { parent, name } => host::type_dir(&self.sysfs, parent, name),
            Node::Device(uuid) => host::device_dir(&self.sysfs, uuid.as_str()),
        }
    }
}

impl Host for SysfsHost<'_> {
    fn inventory(&self) -> Result<Inventory, Error> {
        host::inventory(&self.sysfs, Some("this host"))
    }

    fn offer(&mut self, node: &Node, source: &str) -> io::Result<()> {
        attribute::write(
            &self.directory(node).join(attribute::MIGRATION_VERSION),
            source,
        )
    }

    fn version(&self, uuid: &Uuid) -> io::Result<String> {
        let path = host::device_dir(&self.sysfs, uuid.as_str()).join(attribute::MIGRATION_VERSION);
        attribute::read(&path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&mut self, parent: &str, name: &str, uuid: &Uuid) -> io::Result<()> {
        let path = host::type_dir(&self.sysfs, parent, name).join("create");
        attribute::write(&path, uuid.as_str())
    }

    fn remove(&mut self, uuid: &Uuid) -> io::Result<()> {
        let path = host::device_dir(&self.sysfs, uuid.as_str()).join("remove");
        match attribute::write(&path, "1") {
            Err(error) if attribute::is_gone(&error) => Ok(()),
            result => result,
        }
    }

    fn user(&self, uuid: &Uuid) -> io::Result<Option<String>> {
        let records = self
            .state
            .all()
            .map_err(|error| io::Error::other(error.to_string()))?;
        for record in records {
            if record.uuid != self.domain.uuid
                && record.devices.iter().any(|entry| entry.uuid == *uuid)
                && self.holds(&record)?
            {
                return Ok(Some(format!(
                    "the domain {} that is coming here",
                    record.domain
                )));
            }
        }
        self.user_except(uuid, &self.domain.name)
    }

    fn fresh(&mut self) -> io::Result<Uuid> {
        fs::read_to_string(self.proc.join("sys/kernel/random/uuid"))?
            .trim_end()
            .parse()
            .map_err(io::Error::other)
    }

    fn note(&mut self, entries: &[Entry]) -> io::Result<()> {
        let Domain { name, uuid, .. } = self.domain;
        self.state.write(name, uuid, entries)
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}
