// SPDX-License-Identifier: GPL-2.0-only

//! The parents that are PCI cards: QEMU's `edu` device, bound as if it were a card that can be divided.
//!
//! Its memory is only looked at once, to see what it is (QEMU, `docs/specs/edu`); what the mediated devices do is the
//! model's. So management software meets the types where it looks for them, under PCI devices.

use super::{
    serial::Serial,
    shared::{
        Common,
        Revision, //
    },
};
use crate::{
    mdev,
    pci, //
};
use kernel::{
    device::{
        Bound,
        Core, //
    },
    io::Io,
    pci::Device,
    prelude::*, //
};

/// The length of the part of BAR0 that is looked at, in bytes.
const BAR0_LEN: usize = 4;

/// Where in BAR0 the identification register is: 0xRRrr00ed, where RR is the major and rr the minor revision.
const IDENTIFICATION: usize = 0;

/// The low half of the identification register.
const EDU: u32 = 0x00ed;

/// The driver of the cards.
pub(super) struct Cards(pub(super) Common);

/// A card that is bound. The parent goes first.
pub(super) struct BoundCard<'bound> {
    _parent: mdev::Parent<&'bound Device<Bound>, Serial>,
    _enabled: pci::Enabled<'bound>,
}

impl pci::Driver for Cards {
    type Data<'bound> = BoundCard<'bound>;

    const NAME: &'static CStr = c"migdev";
    const IDS: &'static [pci::Id] = &[pci::Id {
        vendor: 0x1234,
        device: 0x11e8,
    }];

    fn probe<'bound>(
        &'bound self,
        device: &'bound Device<Core<'_>>,
    ) -> Result<Pin<KBox<BoundCard<'bound>>>> {
        let enabled = pci::Enabled::new(device)?;
        let revision = revision(device)?;
        let parent = self.0.parent(&**device, Some(revision))?;
        let (major, minor) = revision;
        dev_info!(device, "card of revision {}.{}\n", major, minor);

        Ok(KBox::pin(
            BoundCard {
                _parent: parent,
                _enabled: enabled,
            },
            GFP_KERNEL,
        )?)
    }
}

/// Reads which revision of the card it is.
///
/// # Errors
///
/// `ENODEV` when it is another device; what mapping its memory fails with.
fn revision(device: &Device<Bound>) -> Result<Revision> {
    let registers = device.iomap_region_sized::<BAR0_LEN>(0, c"migdev")?;
    let value = registers.read32(IDENTIFICATION);
    let [_, _, minor, major] = value.to_le_bytes();
    if value & 0xffff != EDU {
        dev_err!(device, "identification {:#x}: not an edu device\n", value);
        return Err(ENODEV);
    }
    Ok((major, minor))
}
