// SPDX-License-Identifier: GPL-2.0-only

//! The VFIO device: a card that is in use.

use super::interrupts::Interrupts;
use crate::{
    model,
    vfio::{
        self,
        pci,
        IrqInfo,
        IrqSet,
        RegionInfo, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};

/// A card, and who listens to its interrupts. One lock is taken once for each access.
#[pin_data]
pub(super) struct SerialDevice {
    ports: model::Ports,
    #[pin]
    state: Mutex<State>,
}

struct State {
    card: model::Card,
    interrupts: Interrupts,
}

impl State {
    const fn new(ports: model::Ports) -> Self {
        Self {
            card: model::Card::new(ports),
            interrupts: Interrupts::new(),
        }
    }

    /// Signals what the card asserts now.
    fn follow(&mut self) {
        self.interrupts.follow(&self.card);
    }
}

impl SerialDevice {
    /// Returns an initializer for a card that is off.
    pub(super) fn new(ports: model::Ports) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            state <- new_mutex!(State::new(ports)),
            ports,
        })
    }

    /// Brings card and interrupts to where they are for each new user.
    fn start_afresh(&self) {
        *self.state.lock() = State::new(self.ports);
    }
}

impl vfio::Operations for SerialDevice {
    const NAME: &'static CStr = c"migdev";
    const IS_PCI: bool = true;
    const NUM_REGIONS: u32 = pci::NUM_REGIONS;
    const NUM_IRQS: u32 = pci::NUM_IRQS;

    fn open(this: Pin<&Self>) -> Result {
        this.start_afresh();
        Ok(())
    }

    fn close(this: Pin<&Self>) {
        this.start_afresh();
    }

    fn region_info(this: Pin<&Self>, index: u32) -> RegionInfo {
        match index {
            pci::CONFIG_REGION => RegionInfo::read_write(model::Card::CONFIG_LEN as u64),
            pci::BAR0_REGION => RegionInfo::read_write(model::Card::io_len(this.ports) as u64),
            _ => RegionInfo::ABSENT,
        }
    }

    fn read(this: Pin<&Self>, index: u32, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        let offset = usize::try_from(offset)?;
        let mut state = this.state.lock();
        let count = match index {
            pci::CONFIG_REGION => state.card.config_read(offset, bytes),
            pci::BAR0_REGION => state.card.io_read(offset, bytes),
            _ => return Err(EINVAL),
        };
        state.follow();
        Ok(count)
    }

    fn write(this: Pin<&Self>, index: u32, offset: u64, bytes: &[u8]) -> Result<usize> {
        let offset = usize::try_from(offset)?;
        let mut state = this.state.lock();
        let count = match index {
            pci::CONFIG_REGION => state.card.config_write(offset, bytes),
            pci::BAR0_REGION => state.card.io_write(offset, bytes),
            _ => return Err(EINVAL),
        };
        state.follow();
        Ok(count)
    }

    fn irq_info(_this: Pin<&Self>, index: u32) -> IrqInfo {
        Interrupts::info(index)
    }

    fn set_irqs(this: Pin<&Self>, set: IrqSet) -> Result {
        let mut state = this.state.lock();
        state.interrupts.apply(set)?;
        state.follow();
        Ok(())
    }

    fn unmask(this: Pin<&Self>) {
        this.state.lock().interrupts.unmask_intx();
    }

    fn reset(this: Pin<&Self>) -> Result {
        let mut state = this.state.lock();
        state.card.reset();
        state.follow();
        Ok(())
    }

    fn request(this: Pin<&Self>, _count: u32) -> bool {
        this.state.lock().interrupts.request()
    }
}
