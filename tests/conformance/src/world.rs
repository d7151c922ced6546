// SPDX-License-Identifier: GPL-2.0-only
//! The devices that cases work on: cards with a known number of ports, wherever their registers are.

use std::cell::Cell;
use std::fs;
use std::ops::Deref;
use std::time::Duration;

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
};
use vfio_client::device::{Access, Device};
use vfio_client::ktap::{skip, Miss};
use vfio_client::migration::v2;
use vfio_client::serial::{Port, Signal, COMMAND, COMMAND_IO, COMMAND_MASTER, CONFIG, STATUS};
use vfio_client::sysfs::{Mdev, MdevType};
use vfio_client::wait::poll_while;

/// The registers of one port take this much of a BAR.
const PORT_SIZE: u64 = 8;
/// How many BARs a PCI device has.
pub const BARS: u32 = 6;

/// How long what a removed device held is waited for at most: a kernel with `CONFIG_DEBUG_KOBJECT_RELEASE` holds on to each
/// of its objects for up to four seconds.
pub const LATE: Duration = Duration::from_secs(30);

/// When nothing was given back for so long on such a kernel, nothing is held any more.
pub const QUIET: Duration = Duration::from_secs(6);

/// How long the wait is between two looks.
pub const PAUSE: Duration = Duration::from_millis(100);

/// Where a case's devices come from.
pub struct World {
    /// The types to make devices of, each with the number of ports that its devices have.
    kinds: Vec<(MdevType, usize)>,
    /// A device that is there already, and is the only one to be used.
    fixed: Option<String>,
    /// Whether the case, which runs in a copy of this, has that device already.
    taken: Cell<bool>,
    access: Access,
}

impl World {
    /// Devices of these types, of which those that migrate are used.
    ///
    /// # Errors
    ///
    /// A text for the person when none of them can be used.
    pub fn of_types(kinds: Vec<MdevType>, access: Access) -> Result<Self, String> {
        let mut known = Vec::new();
        for kind in kinds {
            let name = kind.name();
            let mdev =
                Mdev::create(&kind).map_err(|errno| format!("no device of {name}: {errno}"))?;
            let device = Device::open(mdev.path(), access)
                .map_err(|errno| format!("a device of {name} does not open: {errno}"))?;
            let ports =
                ports(&device).map_err(|errno| format!("{name} has no regions: {errno}"))?;
            if v2::flags(&device).is_ok() && !ports.is_empty() {
                known.push((kind, ports.len()));
            }
        }
        if known.is_empty() {
            return Err("no type makes serial cards that migrate".to_owned());
        }
        Ok(World {
            kinds: known,
            fixed: None,
            taken: Cell::new(false),
            access,
        })
    }

    /// One device that is there already.
    ///
    /// # Errors
    ///
    /// A text for the person when it cannot be used.
    pub fn of_device(uuid: &str, access: Access) -> Result<Self, String> {
        let mdev = Mdev::existing(uuid).map_err(|errno| format!("no device {uuid}: {errno}"))?;
        let device = Device::open(mdev.path(), access)
            .map_err(|errno| format!("{uuid} does not open: {errno}"))?;
        let ports = ports(&device).map_err(|errno| format!("{uuid} has no regions: {errno}"))?;
        Ok(World {
            kinds: vec![(mdev.kind().clone(), ports.len())],
            fixed: Some(uuid.to_owned()),
            taken: Cell::new(false),
            access,
        })
    }

    /// The name of what is tried.
    pub fn name(&self) -> String {
        let names: Vec<_> = self.kinds.iter().map(|(kind, _)| kind.name()).collect();
        names.join(" ")
    }

    /// A new card of the type with the most ports, open as a VMM opens it.
    ///
    /// # Errors
    ///
    /// Fails the case when it cannot be made.
    pub fn card(&self) -> Result<Card, Miss> {
        Card::open(self.idle()?, self.access)
    }

    /// The same, not open.
    ///
    /// # Errors
    ///
    /// Fails the case when it cannot be made.
    pub fn idle(&self) -> Result<Mdev, Miss> {
        match self.kinds.iter().max_by_key(|(_, ports)| *ports) {
            Some((kind, _)) => self.make(kind),
            None => skip!("there is no type"),
        }
    }

    /// A new card with this many ports.
    ///
    /// # Errors
    ///
    /// Skips the case when there is no such type.
    pub fn card_with(&self, ports: usize) -> Result<Card, Miss> {
        match self.kinds.iter().find(|(_, count)| *count == ports) {
            Some((kind, _)) => Card::open(self.make(kind)?, self.access),
            None => skip!("there is no type with {ports} ports"),
        }
    }

    /// Skips a case that removes devices when there is only one, which is not ours.
    ///
    /// # Errors
    ///
    /// The skip.
    pub fn may_remove(&self) -> Result<(), Miss> {
        if self.fixed.is_some() {
            skip!("it removes the device");
        }
        Ok(())
    }

    /// Opens a device without a call to it.
    ///
    /// # Errors
    ///
    /// What the calls on the way answer.
    pub fn silently(&self, mdev: &Mdev) -> Result<Device, Errno> {
        Device::open(mdev.path(), self.access)
    }

    /// Opens a device that is closed.
    ///
    /// # Errors
    ///
    /// What the calls on the way answer.
    pub fn reopen(&self, mdev: Mdev) -> Result<Card, Miss> {
        Card::open(mdev, self.access)
    }

    fn make(&self, kind: &MdevType) -> Result<Mdev, Miss> {
        if let Some(uuid) = &self.fixed {
            let mdev = Mdev::existing(uuid)?;
            if self.taken.replace(true) {
                skip!("it takes a second device");
            }
            return Ok(mdev);
        }
        // What the last case removed may come back late.
        let is_full = |made: &_| matches!(made, Err(Errno::ENOSPC | Errno::EUSERS | Errno::EBUSY));
        let made = poll_while(LATE, PAUSE, || Mdev::create(kind), is_full);
        if is_full(&made) {
            let text = format!("no instance of {} is free", kind.name());
            return Err(Miss::Failed(text));
        }
        Ok(made?)
    }
}

/// Where the ports of a card are: one every eight bytes of each BAR for I/O.
fn ports(device: &Device) -> Result<Vec<(u32, u64)>, Errno> {
    device.info()?;
    let mut ports = Vec::new();
    for bar in 0..BARS {
        let region = device.region(bar)?;
        let starts = (0..region.size / PORT_SIZE).map(|port| (bar, PORT_SIZE * port));
        ports.extend(starts);
    }
    Ok(ports)
}

/// An open card.
pub struct Card {
    // Closed before it is removed.
    device: Device,
    ports: Vec<(u32, u64)>,
    mdev: Mdev,
}

impl Deref for Card {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.device
    }
}

impl Card {
    fn open(mdev: Mdev, access: Access) -> Result<Self, Miss> {
        let device = Device::open(mdev.path(), access)?;
        let ports = ports(&device)?;
        Ok(Card {
            device,
            ports,
            mdev,
        })
    }

    /// How many ports it has.
    pub fn ports(&self) -> usize {
        self.ports.len()
    }

    /// One of its ports.
    pub fn port(&self, number: usize) -> Port<'_> {
        let (region, base) = self.ports[number];
        Port::at(&self.device, region, base)
    }

    /// The BAR that a port is in, and where.
    pub fn place(&self, number: usize) -> (u32, u64) {
        self.ports[number]
    }

    /// Where it is in sysfs.
    pub fn mdev(&self) -> &Mdev {
        &self.mdev
    }

    /// Closes it, and leaves the device.
    pub fn close(self) -> Mdev {
        drop(self.device);
        self.mdev
    }

    /// Does what a driver does first: lets the card answer to I/O and master the bus, opens the interrupt gate of
    /// every port, and sets 8 bits, no parity.
    ///
    /// # Errors
    ///
    /// What a write answers.
    pub fn enable(&self) -> Result<(), Errno> {
        let command = COMMAND_IO | COMMAND_MASTER;
        self.put(CONFIG, COMMAND, &command.to_le_bytes())?;
        (0..self.ports()).try_for_each(|number| {
            self.port(number).set(vfio_client::serial::LCR, 0x03)?;
            self.port(number).open_gate()
        })
    }

    /// A signal that INTx is tied to.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn intx(&self) -> Result<Signal, Errno> {
        self.tie(VFIO_PCI_INTX_IRQ_INDEX)
    }

    /// A signal that the MSI is tied to, which is enabled where the card has the capability.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn msi(&self) -> Result<Signal, Errno> {
        if let Some(at) = self.capability(0x05)? {
            self.put(CONFIG, at + 4, &0xfee0_0000_u32.to_le_bytes())?;
            let control = self.get::<2>(CONFIG, at + 2)?;
            let control = u16::from_le_bytes(control) | 1;
            self.put(CONFIG, at + 2, &control.to_le_bytes())?;
        }
        self.tie(VFIO_PCI_MSI_IRQ_INDEX)
    }

    fn tie(&self, index: u32) -> Result<Signal, Errno> {
        let signal = Signal::new()?;
        self.irq_fd(VFIO_IRQ_SET_ACTION_TRIGGER, index, signal.fd())?;
        Ok(signal)
    }

    /// Where the PCI capability with this number is.
    ///
    /// # Errors
    ///
    /// What a read answers; `EPROTO` for a list that goes in a circle.
    pub fn capability(&self, number: u8) -> Result<Option<u64>, Errno> {
        if self.get::<1>(CONFIG, STATUS)?[0] & 0x10 == 0 {
            return Ok(None);
        }
        let [mut at] = self.get::<1>(CONFIG, 0x34)?;
        for _ in 0..48 {
            if at < 0x40 {
                return Ok(None);
            }
            let [found, next] = self.get::<2>(CONFIG, u64::from(at))?;
            if found == number {
                return Ok(Some(u64::from(at)));
            }
            at = next;
        }
        Err(Errno::EPROTO)
    }
}

/// The devices of a parent that are there now, by UUID.
pub fn devices(parent: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/bus/mdev/devices") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let kind = fs::canonicalize(entry.path().join("mdev_type"));
        let types = |kind: &std::path::PathBuf| {
            let name = kind
                .parent()
                .and_then(|types| types.parent())?
                .file_name()?;
            Some(name == parent)
        };
        if kind.is_ok_and(|kind| types(&kind) == Some(true)) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}
