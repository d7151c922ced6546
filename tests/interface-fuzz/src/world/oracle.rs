// SPDX-License-Identifier: GPL-2.0-only
//! What must hold after any program: its devices answer, what it left ends with a reset, nothing of it stays, and the next
//! user finds a device as new.

use nix::errno::Errno;
use vfio_client::device::{Access, Device};
use vfio_client::ktap::Miss;
use vfio_client::migration::{guest, v1, v2};
use vfio_client::serial::CONFIG;
use vfio_client::sysfs::Mdev;

use super::{Slot, World};

/// What a device shows of itself at power-on.
pub struct Pristine {
    /// Its configuration space.
    config: Vec<u8>,
    /// Its state; a device that does not migrate has none.
    pub stream: Option<Vec<u8>>,
}

impl World {
    /// Looks at the devices that a new world has, which is what they must show from then on.
    ///
    /// # Errors
    ///
    /// What of it failed.
    pub fn learn(&mut self) -> Result<(), String> {
        for slot in &mut self.slots {
            let seen = slot
                .look(Access::Group)
                .map_err(|errno| format!("a new device: {errno}"))?;
            slot.pristine = Some(seen);
        }
        Ok(())
    }

    /// Ends a program: resets and closes what it left open, sees that what it opened is as new, and makes what it
    /// removed. `access` is how devices are opened for that.
    ///
    /// # Errors
    ///
    /// What was not as it should be.
    pub fn settle(&mut self, access: Access) -> Result<(), String> {
        let mut wrong = Ok(());
        for slot in &self.slots {
            wrong = wrong.and(slot.answers());
        }
        self.mappings = [const { None }; 2];
        self.files = [const { None }; 4];
        self.stream = Vec::new();
        for event in &self.events {
            // A device may have signalled it, or the program.
            let _ = event.taken(std::time::Duration::ZERO);
        }
        let mut kcov = None;
        for slot in &mut self.slots {
            slot.extras.clear();
            slot.device = None;
            if let Some(removal) = slot.removal.take() {
                match removal.join() {
                    Ok((removed, reached)) => {
                        kcov = kcov.or(reached);
                        wrong = wrong.and(removed.map_err(|errno| format!("remove: {errno}")));
                    }
                    Err(_) => wrong = Err("the thread that removes panicked".to_owned()),
                }
            }
        }
        self.kcov_of_removals = kcov.or(self.kcov_of_removals.take());
        for slot in &mut self.slots {
            slot.refresh()?;
            if std::mem::take(&mut slot.was_open) {
                if let Err(text) = slot.is_as_new(access) {
                    wrong = wrong.and(Err(text));
                    // What is wrong with it is not the next program's.
                    slot.mdev = None;
                    slot.refresh()?;
                }
            }
        }
        wrong
    }

    /// Moves a card in each scene from one new device to another, which must then show what the first would have shown.
    ///
    /// # Errors
    ///
    /// What was not as it should be.
    pub fn moves(&self) -> Result<(), String> {
        let kind = &self.slots[0].kind;
        let moved = || -> Result<(), Miss> {
            let (first, second) = (Mdev::create(kind)?, Mdev::create(kind)?);
            let from = Device::open(first.path(), Access::Cdev)?;
            let to = Device::open(second.path(), Access::Group)?;
            for scene in 0..guest::SCENES {
                guest::play(&from, 2, scene)?;
                v2::load(&to, &v2::save(&from)?)?;
                v2::set(&from, v2::RUNNING)?;
                let (want, got) = (guest::examine(&from, 2)?, guest::examine(&to, 2)?);
                guest::same(&got, &want, "after a move")?;
                from.reset()?;
                to.reset()?;
            }
            Ok(())
        };
        moved().map_err(|miss| format!("a device is moved: {miss:?}"))
    }
}

impl Slot {
    /// Whether its device, if it is open, answers: a reset takes it to where it began, whatever was done to it.
    fn answers(&self) -> Result<(), String> {
        let Some(device) = &self.device else {
            return Ok(());
        };
        let name = self.kind.name();
        device
            .reset()
            .map_err(|errno| format!("{name}: reset: {errno}"))?;
        if self.kind.migrates() {
            let state = v2::state(device).map_err(|errno| format!("{name}: state: {errno}"))?;
            if state != v2::RUNNING {
                return Err(format!("{name}: after a reset the state is {state}"));
            }
        }
        Ok(())
    }

    /// Whether its device shows to a new user what it showed to the first.
    fn is_as_new(&self, access: Access) -> Result<(), String> {
        let name = self.kind.name();
        let now = self
            .look(access)
            .map_err(|errno| format!("{name}: to a new user: {errno}"))?;
        match &self.pristine {
            Some(before) if before.config != now.config => Err(format!(
                "{name}: configuration space: {:02x?}, was {:02x?}",
                now.config, before.config
            )),
            Some(before) if before.stream != now.stream => Err(format!(
                "{name}: the stream: {:02x?}, was {:02x?}",
                now.stream, before.stream
            )),
            _ => Ok(()),
        }
    }

    /// Opens its device, and looks at what there is to see; what it saved must be accepted again.
    fn look(&self, access: Access) -> Result<Pristine, Errno> {
        let device = self.open(access)?;
        let config = device.get::<256>(CONFIG, 0)?.to_vec();
        if !self.kind.migrates() {
            return Ok(Pristine {
                config,
                stream: None,
            });
        }
        let stream = saved(&device)?;
        v2::load(&device, &stream)?;
        Ok(Pristine {
            config,
            stream: Some(stream),
        })
    }
}

/// The state of a device that was just opened, which runs by both protocols.
fn saved(device: &Device) -> Result<Vec<u8>, Errno> {
    let region = v1::Region::of(device)?;
    if v2::state(device)? != v2::RUNNING || region.state()? != v1::RUNNING {
        return Err(Errno::EBADFD);
    }
    v2::save(device)
}
