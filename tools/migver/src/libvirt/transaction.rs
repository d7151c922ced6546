// SPDX-License-Identifier: GPL-2.0-only

//! All or nothing: what is created for a domain is removed again unless everything succeeds.
//!
//! What is about to be created is written down first. So even after a kill that no process can
//! catch, the next hook knows what is left over, and removes it.

use super::{
    Entry,
    Host,
    Uuid, //
};

use std::io;

/// The changes that one event makes to the host.
///
/// Dropped without [`Transaction::complete`], it takes back what it did.
pub struct Transaction<'h, H: Host> {
    host: &'h mut H,
    /// What was written down when it began.
    before: Vec<Entry>,
    entries: Vec<Entry>,
    created: Vec<Uuid>,
    complete: bool,
}

impl<'h, H: Host> Transaction<'h, H> {
    /// Begins, with the devices that the domain was given earlier.
    pub fn begin(host: &'h mut H, before: Vec<Entry>) -> Self {
        Self {
            host,
            entries: before.clone(),
            before,
            created: Vec::new(),
            complete: false,
        }
    }

    /// Returns the host, for what changes nothing.
    pub fn host(&mut self) -> &mut H {
        self.host
    }

    /// Creates a device.
    ///
    /// # Errors
    ///
    /// Those of [`Host::note`] and [`Host::create`], and `EINTR` if this process is to end; then
    /// there is no such device.
    pub fn create(&mut self, parent: &str, name: &str, uuid: &Uuid) -> io::Result<()> {
        self.check()?;
        self.entries.push(Entry {
            uuid: uuid.clone(),
            created: true,
        });
        let result = self
            .host
            .note(&self.entries)
            .and_then(|()| self.host.create(parent, name, uuid));
        match result {
            Ok(()) => self.created.push(uuid.clone()),
            Err(_) => {
                self.entries.retain(|entry| entry.uuid != *uuid);
                // Nobody may take a device of somebody else for ours because of the note. If it
                // cannot be put right now, the end of the transaction does it.
                let _ = self.host.note(&self.entries);
            }
        }
        result
    }

    /// Removes a device that was created in this transaction, when it turned out not to fit.
    ///
    /// # Errors
    ///
    /// Those of [`Host::remove`]; then taking everything back tries again.
    pub fn discard(&mut self, uuid: &Uuid) -> io::Result<()> {
        self.host.remove(uuid)?;
        self.created.retain(|created| created != uuid);
        self.entries.retain(|entry| entry.uuid != *uuid);
        Ok(())
    }

    /// Gives a device that exists to the domain.
    pub fn reserve(&mut self, uuid: &Uuid) {
        if !self.entries.iter().any(|entry| entry.uuid == *uuid) {
            self.entries.push(Entry {
                uuid: uuid.clone(),
                created: false,
            });
        }
    }

    /// Writes down what the domain was given, lets `publish` tell it to whoever asked, and
    /// completes.
    ///
    /// # Errors
    ///
    /// Those of [`Host::note`] and of `publish`, and `EINTR` if this process is to end; then
    /// everything is taken back.
    pub fn complete(mut self, publish: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.check()?;
        self.host.note(&self.entries)?;
        publish()?;
        // libvirt may not have waited for what was published.
        self.check()?;
        self.complete = true;
        Ok(())
    }

    fn check(&self) -> io::Result<()> {
        if self.host.interrupted() {
            return Err(io::Error::new(
                io::ErrorKind::Interrupted,
                "a signal asked the hook to end",
            ));
        }
        Ok(())
    }

    fn take_back(&mut self) {
        let mut entries = std::mem::take(&mut self.before);
        for uuid in std::mem::take(&mut self.created).into_iter().rev() {
            // What cannot be removed now stays written down, and a later hook tries again.
            if self.host.remove(&uuid).is_err() {
                entries.push(Entry {
                    uuid,
                    created: true,
                });
            }
        }
        // There is nobody left to tell; a note that says too much is put right by a later hook.
        let _ = self.host.note(&entries);
    }
}

impl<H: Host> Drop for Transaction<'_, H> {
    fn drop(&mut self) {
        if !self.complete {
            self.take_back();
        }
    }
}
