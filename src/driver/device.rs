// SPDX-License-Identifier: GPL-2.0-only

//! The VFIO device: a card that is in use.

use super::{
    interrupts::Interrupts,
    live::{
        Live,
        State, //
    },
    region, //
};
use crate::{
    model,
    vfio::{
        self,
        pci,
        Capabilities,
        IrqInfo,
        IrqSet,
        MigrationTable,
        RegionInfo,
        SharedPage, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A card as user space opens it. One lock is taken once for each access.
pub(super) struct SerialDevice {
    pub(super) live: Arc<Live>,
}

impl vfio::Operations for SerialDevice {
    const NAME: &'static CStr = c"migdev";
    const IS_PCI: bool = true;
    const NUM_IRQS: u32 = pci::NUM_IRQS;
    const MIGRATION: Option<&'static MigrationTable<Self>> = Some(MigrationTable::TABLE);

    fn is_migratable(this: Pin<&Self>) -> bool {
        this.live.made.identity().is_some()
    }

    fn num_regions(this: Pin<&Self>) -> u32 {
        if Self::is_migratable(this) {
            region::MIGRATION + 1
        } else {
            pci::NUM_REGIONS
        }
    }

    fn open(_this: Pin<&Self>) -> Result {
        // A card that nobody uses is as it was created, and as each user's end leaves it: at power-on.
        Ok(())
    }

    fn close(this: Pin<&Self>) {
        this.live.start_afresh();
    }

    fn region_info(this: Pin<&Self>, index: u32) -> RegionInfo {
        match index {
            pci::CONFIG_REGION => RegionInfo::read_write(model::Card::CONFIG_LEN as u64),
            pci::BAR0_REGION => {
                RegionInfo::read_write(model::Card::io_len(this.live.made.kind().ports) as u64)
            }
            region::MIGRATION => region::INFO,
            _ => RegionInfo::ABSENT,
        }
    }

    fn region_capabilities(_this: Pin<&Self>, index: u32, chain: &mut Capabilities<'_>) -> Result {
        match index {
            region::MIGRATION => region::add_capabilities(chain),
            _ => Ok(()),
        }
    }

    fn page(
        this: Pin<&Self>,
        index: u32,
        offset: u64,
        map: &mut dyn FnMut(&SharedPage) -> Result,
    ) -> Result {
        if index != region::MIGRATION || !region::is_data(offset) {
            return Err(EINVAL);
        }
        this.live.with(|state| {
            let (_, _, window) = state.region()?;
            map(window)
        })
    }

    // Always, as `Live::with` is; and so that the length of a register is known to what accesses it.
    #[inline(always)]
    fn read(this: Pin<&Self>, index: u32, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        let at = usize::try_from(offset)?;
        match index {
            pci::CONFIG_REGION => Ok(this.live.with(|state| state.card.config_read(at, bytes))),
            pci::BAR0_REGION => Ok(this.live.with(|state| state.card.io_read(at, bytes))),
            region::MIGRATION => region::read(&this.live, offset, bytes),
            _ => Err(EINVAL),
        }
    }

    #[inline(always)]
    fn write(this: Pin<&Self>, index: u32, offset: u64, bytes: &[u8]) -> Result<usize> {
        let at = usize::try_from(offset)?;
        match index {
            pci::CONFIG_REGION => Ok(this.live.with(|state| state.card.config_write(at, bytes))),
            pci::BAR0_REGION => Ok(this.live.with(|state| state.card.io_write(at, bytes))),
            region::MIGRATION => region::write(&this.live, offset, bytes),
            _ => Err(EINVAL),
        }
    }

    fn irq_info(_this: Pin<&Self>, index: u32) -> IrqInfo {
        Interrupts::info(index)
    }

    fn set_irqs(this: Pin<&Self>, set: IrqSet) -> Result {
        this.live.with(|state| state.interrupts.apply(set))
    }

    fn unmask(this: Pin<&Self>) {
        this.live.with(|state| state.interrupts.unmask_intx());
    }

    fn reset(this: Pin<&Self>) -> Result {
        this.live.reset();
        Ok(())
    }

    fn request(this: Pin<&Self>, _count: u32) -> bool {
        this.live
            .with(|State { interrupts, .. }| interrupts.request())
    }
}
