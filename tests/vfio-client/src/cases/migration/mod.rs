// SPDX-License-Identifier: GPL-2.0-only
//! The promises of migration: of each protocol by itself, of both together, and of what passes through them.

use super::{Group, World};
use vfio_client::device::Device;
use vfio_client::ktap::{check_eq, Miss, Outcome};
use vfio_client::migration::{guest, v2};

mod dma_logging;
mod held;
mod hostile;
mod interrupts;
mod lifetime;
mod loading;
mod moves;
mod observed;
mod racing;
mod region;
mod region_transfer;
mod saving;
mod states;
mod stress;
mod versions;

/// What a device promises whose type migrates.
pub const GROUPS: [Group; 15] = [
    ("migration_states", states::CASES),
    ("migration_saving", saving::CASES),
    ("migration_loading", loading::CASES),
    ("migration_racing", racing::CASES),
    ("migration_region", region::CASES),
    ("migration_region_transfer", region_transfer::CASES),
    ("migration_moves", moves::CASES),
    ("migration_interrupts", interrupts::CASES),
    ("migration_lifetime", lifetime::CASES),
    ("migration_observed", observed::CASES),
    ("migration_hostile", hostile::CASES),
    ("migration_versions", versions::CASES),
    ("migration_held", held::CASES),
    ("migration_stress", stress::CASES),
    ("dma_logging", dma_logging::CASES),
];

/// A device with something to save: the scene [`BUSY`] is on.
fn busy(world: &World<'_>) -> Result<Device, Miss> {
    let device = world.open()?;
    guest::play(&device, world.ports(), BUSY)?;
    Ok(device)
}

/// The scene that streams are taken of where it does not matter: characters wait in both directions.
const BUSY: usize = 1;

/// A device as after a reset, and a stream of one that was busy.
fn idle(world: &World<'_>) -> Result<(Device, Vec<u8>), Miss> {
    let device = busy(world)?;
    let stream = v2::save(&device)?;
    device.reset()?;
    Ok((device, stream))
}

/// Checks that the device runs and that its guest sees what a scene left, and resets it.
fn plays(world: &World<'_>, device: &Device, scene: usize, when: &str) -> Outcome {
    check_eq!(v2::state(device)?, v2::RUNNING, "state {when}");
    let got = guest::examine(device, world.ports())?;
    device.reset()?;
    guest::play(device, world.ports(), scene)?;
    guest::same(&got, &guest::examine(device, world.ports())?, when)?;
    Ok(device.reset()?)
}
