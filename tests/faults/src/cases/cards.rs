// SPDX-License-Identifier: GPL-2.0-only
//! The parents that are PCI cards come and go.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::uio::pwrite;

use vfio_client::ktap::{check, skip, Miss, Outcome};
use vfio_client::sysfs::{Mdev, MdevType};

use super::{cases, World};
use crate::sweep::Part;

cases![
    binds_a_card_or_leaves_it,
    unbinds_a_card_or_leaves_it,
    finds_a_card_again,
];

/// The PCI bus.
const PCI: &str = "/sys/bus/pci";

/// The driver of the cards.
const DRIVER: &str = "/sys/bus/pci/drivers/migdev";

/// What asks ACPI for the interrupt of a card, which is bound or unbound. The kernel itself does not cope with faults there: an
/// object of ACPI's own is used after it was freed.
pub const ACPI: &str = "acpi_ns_evaluate";

/// What of the PCI bus calls the driver, without [`ACPI`], and without what else the kernel does not cope with: where the bus
/// cannot tell of a card that it has found, it warns.
fn part(world: &World, within: &'static str) -> Part {
    Part {
        within: Some(within),
        without: Some(ACPI),
        ..world.slow()
    }
}

/// A card that is bound, by its name on the bus.
fn card() -> Result<String, Miss> {
    for entry in fs::read_dir(DRIVER)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.contains(':') {
            return Ok(name);
        }
    }
    skip!("there is no card on the PCI bus")
}

fn types(card: &str) -> PathBuf {
    Path::new(PCI)
        .join("devices")
        .join(card)
        .join("mdev_supported_types")
}

/// Whether the card is bound, and whole: it has all types of the software parent, and is a parent, or neither.
fn is_bound(world: &World, card: &str) -> Result<bool, Miss> {
    let bound = Path::new(DRIVER).join(card).exists();
    let parent = Path::new("/sys/class/mdev_bus").join(card).exists();
    check!(parent == bound, "bound: {bound}, a parent: {parent}");
    if bound {
        let software = world.kind.path().parent().ok_or(Errno::ENOENT)?;
        let count = |path: &Path| fs::read_dir(path).map(|entries| entries.count());
        let (got, want) = (count(&types(card))?, count(software)?);
        check!(got == want, "{got} types, of {want}");
    } else {
        check!(!types(card).exists(), "types without a parent");
    }
    Ok(bound)
}

/// Checks that devices can be made of the card.
fn works(world: &World, card: &str) -> Outcome {
    let kinds = MdevType::all(card)?;
    let kind = kinds.iter().find(|kind| kind.name() == world.kind.name());
    let mdev = Mdev::create(kind.ok_or(Errno::ENOENT)?)?;
    world.opens_and_works(&mdev)
}

fn write(path: &str, text: &str) -> Outcome {
    Ok(fs::write(Path::new(PCI).join(path), text)?)
}

fn binds_a_card_or_leaves_it(world: &World) -> Outcome {
    let card = card()?;
    let bind = OpenOptions::new()
        .write(true)
        .open(Path::new(DRIVER).join("bind"))?;
    world.faults.each_of(
        &part(world, "pci_device_probe"),
        || {
            if is_bound(world, &card)? {
                write("drivers/migdev/unbind", &card)?;
            }
            Ok(())
        },
        |()| pwrite(&bind, card.as_bytes(), 0),
        |(), came| {
            came.is_clean(&[])?;
            let bound = is_bound(world, &card)?;
            check!(bound == came.answer.is_ok(), "bound: {bound}");
            if !bound {
                write("drivers/migdev/bind", &card)?;
                check!(is_bound(world, &card)?, "not bound at the next try");
            }
            works(world, &card)
        },
    )
}

fn unbinds_a_card_or_leaves_it(world: &World) -> Outcome {
    let card = card()?;
    let unbind = OpenOptions::new()
        .write(true)
        .open(Path::new(DRIVER).join("unbind"))?;
    let swept = world.faults.each_of(
        &part(world, "pci_device_remove"),
        || {
            if !is_bound(world, &card)? {
                write("drivers/migdev/bind", &card)?;
            }
            Ok(())
        },
        |()| pwrite(&unbind, card.as_bytes(), 0),
        |(), came| {
            came.is_clean(&[])?;
            let bound = is_bound(world, &card)?;
            check!(bound == came.answer.is_err(), "bound: {bound}");
            if bound {
                works(world, &card)?;
            }
            Ok(())
        },
    );
    if !is_bound(world, &card)? {
        write("drivers/migdev/bind", &card)?;
    }
    swept
}

fn finds_a_card_again(world: &World) -> Outcome {
    let card = card()?;
    let rescan = OpenOptions::new()
        .write(true)
        .open(Path::new(PCI).join("rescan"))?;
    let present = || Path::new(PCI).join("devices").join(&card).exists();
    let swept = world.faults.each_of(
        &part(world, "pci_device_probe"),
        || {
            if present() {
                write(&format!("devices/{card}/remove"), "1")?;
            }
            Ok(())
        },
        |()| pwrite(&rescan, b"1", 0),
        |(), came| {
            came.is_clean(&[])?;
            // The bus tells nobody what it could not do with a card, nor does the driver core of a probe that failed. What is there
            // is whole, and what is not can be had.
            if !is_bound(world, &card)? {
                if present() {
                    write(&format!("devices/{card}/remove"), "1")?;
                }
                write("rescan", "1")?;
                check!(is_bound(world, &card)?, "not bound at the next try");
            }
            works(world, &card)
        },
    );
    if !present() {
        write("rescan", "1")?;
    }
    swept
}
