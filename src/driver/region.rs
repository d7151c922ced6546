// SPDX-License-Identifier: GPL-2.0-only

//! The migration region of a card (protocol v1).

use super::live::Live;
use crate::{
    migration::{
        region,
        Window, //
    },
    vfio::{
        pci,
        Capabilities,
        RegionInfo,
        SharedPage,
        SparseArea, //
    },
};
use kernel::prelude::*;

/// Its index: the first after those of PCI.
pub(super) const MIGRATION: u32 = pci::NUM_REGIONS;

/// Whether the data section consists of pages as this kernel has them, so that it can be mapped.
const IS_MAPPABLE: bool = region::DATA_SIZE == SharedPage::LEN;

/// What user space may do with it.
pub(super) const INFO: RegionInfo = if IS_MAPPABLE {
    RegionInfo::read_write(region::SIZE).mappable()
} else {
    RegionInfo::read_write(region::SIZE)
};

/// Says that this is the migration region, and that only the data section may be mapped.
pub(super) fn add_capabilities(chain: &mut Capabilities<'_>) -> Result {
    chain.add_migration_type()?;
    if IS_MAPPABLE {
        chain.add_sparse_mmap(&[SparseArea {
            offset: region::DATA_OFFSET,
            size: region::DATA_SIZE as u64,
        }])?;
    }
    Ok(())
}

/// Returns whether the page at `offset` is the data section.
pub(super) fn is_data(offset: u64) -> bool {
    offset == region::DATA_OFFSET
}

/// Reads the region.
// Never, here and below, as its caller is inlined in many places.
#[inline(never)]
pub(super) fn read(live: &Live, offset: u64, bytes: &mut [u8]) -> Result<usize> {
    live.with(|state| {
        let (_, migration, window) = state.region()?;
        let read = migration.region_read(window, offset, bytes);
        live.checked(state, read)
    })
}

/// Writes the region.
#[inline(never)]
pub(super) fn write(live: &Live, offset: u64, bytes: &[u8]) -> Result<usize> {
    live.change(|state| {
        let (card, migration, window) = state.region()?;
        let room = |direction| live.session(direction);
        let written = migration.region_write(card, window, offset, bytes, room);
        live.checked(state, written)
    })
}

impl Window for SharedPage {
    fn read(&self, at: usize, out: &mut [u8]) {
        Self::read(self, at, out);
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        Self::write(self, at, bytes);
    }
}
