// SPDX-License-Identifier: GPL-2.0-only
//! The devices that are measured: some of each driver, all with two ports.

use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use vfio_client::device::{file_offset, Access, Device};
use vfio_client::serial::{BAR0, COMMAND, COMMAND_IO, COMMAND_MASTER, CONFIG, IIR_FCR, LCR, MCR};
use vfio_client::sysfs::{Mdev, MdevType};

use crate::calls;

/// A card that is open through its character device. All that is measured goes to its descriptor directly.
pub struct Card {
    /// For what is not measured.
    pub device: Device,
    // Removed after it was closed.
    mdev: Mdev,
}

impl Card {
    /// Creates one of that type, opens it, and has it do what a driver would: answer to I/O, and keep 16 characters.
    ///
    /// # Errors
    ///
    /// What any of the calls answers.
    pub fn new(kind: &MdevType) -> Result<Self, Errno> {
        let mdev = Mdev::create(kind)?;
        let device = Device::open(mdev.path(), Access::Cdev)?;
        // The kernel's sample knows no interrupts before it was asked what it is.
        device.info()?;
        device.put(
            CONFIG,
            COMMAND,
            &(COMMAND_IO | COMMAND_MASTER).to_le_bytes(),
        )?;
        let card = Card { device, mdev };
        card.set(LCR, 0x03)?;
        card.set(IIR_FCR, 0x07)?;
        card.set(MCR, 0x08)?;
        Ok(card)
    }

    /// Its directory in sysfs.
    pub fn path(&self) -> &Path {
        self.mdev.path()
    }

    /// Its descriptor.
    pub fn fd(&self) -> RawFd {
        self.device.file().as_raw_fd()
    }

    /// Writes a register of the first port.
    ///
    /// # Errors
    ///
    /// What the write answers.
    pub fn set(&self, register: u64, value: u8) -> Result<(), Errno> {
        calls::pwrite(self.fd(), &[value], file_offset(BAR0, register))
    }

    /// Reads a register of the first port.
    ///
    /// # Errors
    ///
    /// What the read answers.
    pub fn get(&self, register: u64) -> Result<u8, Errno> {
        let mut value = [0];
        calls::pread(self.fd(), &mut value, file_offset(BAR0, register))?;
        Ok(value[0])
    }
}

/// A driver, and what it takes of its cards.
pub struct Driver {
    /// The type of the cards.
    pub kind: MdevType,
    /// What the one saves, the other restores.
    pub source: Card,
    /// The other.
    pub destination: Card,
    /// One whose interrupts are taken.
    pub signals: Card,
    /// One that is not open, to be opened by its character device.
    pub by_cdev: Mdev,
    /// One that is not open, to be opened by its group.
    pub by_group: Mdev,
}

/// A type by its parent and its name, `migdev/migdev-serial2`.
///
/// # Errors
///
/// `ENODEV` where there is no such type.
pub fn find(name: &str) -> Result<MdevType, Errno> {
    let (parent, name) = name.split_once('/').ok_or(Errno::EINVAL)?;
    let mut types = MdevType::all(parent)?.into_iter();
    types.find(|kind| kind.name() == name).ok_or(Errno::ENODEV)
}

impl Driver {
    /// A driver by the parent and the type.
    ///
    /// # Errors
    ///
    /// `ENODEV` where there is no such type; what creating and opening answer.
    pub fn new(name: &str) -> Result<Self, Errno> {
        let kind = find(name)?;
        Ok(Driver {
            source: Card::new(&kind)?,
            destination: Card::new(&kind)?,
            signals: Card::new(&kind)?,
            by_cdev: Mdev::create(&kind)?,
            by_group: Mdev::create(&kind)?,
            kind,
        })
    }
}
