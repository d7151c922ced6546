// SPDX-License-Identifier: GPL-2.0-only

//! From the card's interrupt to the eventfds of user space.

use crate::{
    model,
    vfio::{
        pci,
        Edge,
        IrqInfo,
        IrqSet,
        Level,
        Notification, //
    },
};
use kernel::prelude::*;

/// The interrupts of a card.
#[derive(Default)]
pub(super) struct Interrupts {
    intx: Level,
    msi: Edge,
    /// Never signalled: nothing can go wrong with a card without hardware. But a VMM that cannot listen for errors
    /// warns its user at each start.
    error: Notification,
    request: Notification,
}

impl Interrupts {
    /// Returns interrupts that nobody listens to.
    pub(super) const fn new() -> Self {
        Self {
            intx: Level::new(),
            msi: Edge::new(),
            error: Notification::new(),
            request: Notification::new(),
        }
    }

    /// Returns what user space may do with the interrupts of `index`.
    pub(super) fn info(index: u32) -> IrqInfo {
        match index {
            pci::INTX_IRQ => IrqInfo::LEVEL,
            pci::MSI_IRQ | pci::ERR_IRQ | pci::REQ_IRQ => IrqInfo::EDGE,
            _ => IrqInfo::ABSENT,
        }
    }

    /// Carries out a request.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an index without interrupts; what the kind of interrupt says.
    pub(super) fn apply(&mut self, set: IrqSet) -> Result {
        match set.index {
            pci::INTX_IRQ => self.intx.apply(set),
            pci::MSI_IRQ => self.msi.apply(set),
            pci::ERR_IRQ => self.error.apply(set),
            pci::REQ_IRQ => self.request.apply(set),
            _ => Err(EINVAL),
        }
    }

    /// Signals what the card asserts. To be called after whatever may have changed the card or the eventfds.
    ///
    /// A card that is not running asserts nothing. When it runs again, here or as another card that has taken in its
    /// state, what it has a reason to assert is asserted anew, so that no interrupt is lost that was on its way.
    ///
    /// The card has one interrupt, which goes where user space listens: to MSI if it has an eventfd there, which
    /// a VMM assigns when the guest enables MSI, and to INTx otherwise.
    #[inline]
    pub(super) fn follow(&mut self, card: &model::Card, is_running: bool) {
        if is_running && card.pending() {
            self.follow_pending(card);
        } else {
            self.msi.set(false);
            self.intx.set(false);
        }
    }

    /// [Follows](Self::follow) a card that has a reason to interrupt. Apart, as that is inlined in many places, and few
    /// accesses come here.
    #[inline(never)]
    fn follow_pending(&mut self, card: &model::Card) {
        self.msi.set(card.msi_asserted());
        self.intx
            .set(card.intx_asserted() && !self.msi.is_enabled());
    }

    /// Signals INTx once, whether the card asserts it or not, if the guest uses it. To be called when a card that has taken in
    /// a state runs for the first time.
    ///
    /// The pin that the guest sees is the VMM's, and may have been asserted when the guest was stopped, for a cause that
    /// the guest had dealt with. QEMU takes the pin along, but not that it has to deassert it at the guest's next access:
    /// without a signal it never would, and the guest would be interrupted for ever. With one too many, its driver looks,
    /// finds nothing, and the pin is deasserted.
    pub(super) fn arrive(&mut self, card: &model::Card) {
        if card.uses_intx() && !self.msi.is_enabled() {
            self.intx.set(true);
            self.intx.set(false);
        }
    }

    /// Lets INTx be signalled again.
    pub(super) fn unmask_intx(&mut self) {
        self.intx.unmask();
    }

    /// Asks the user to give the device back, and returns whether it listens.
    pub(super) fn request(&self) -> bool {
        self.request.signal()
    }
}
