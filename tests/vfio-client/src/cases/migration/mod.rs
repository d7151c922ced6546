// SPDX-License-Identifier: GPL-2.0-only
//! The promises of migration: of each protocol by itself, of both together, and of what passes through them.

use super::Case;

mod dma_logging;
mod hostile;
mod interrupts;
mod lifetime;
mod loading;
mod moves;
mod observed;
mod region;
mod region_transfer;
mod saving;
mod states;
mod stress;

/// The groups of cases, each with its name.
pub fn groups() -> impl Iterator<Item = (&'static str, &'static [Case])> {
    [
        ("migration_states", states::CASES),
        ("migration_saving", saving::CASES),
        ("migration_loading", loading::CASES),
        ("migration_region", region::CASES),
        ("migration_region_transfer", region_transfer::CASES),
        ("migration_moves", moves::CASES),
        ("migration_interrupts", interrupts::CASES),
        ("migration_lifetime", lifetime::CASES),
        ("migration_observed", observed::CASES),
        ("migration_hostile", hostile::CASES),
        ("migration_stress", stress::CASES),
        ("dma_logging", dma_logging::CASES),
    ]
    .into_iter()
}
