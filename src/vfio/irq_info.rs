// SPDX-License-Identifier: GPL-2.0-only

//! What a device says about its interrupts (`VFIO_DEVICE_GET_IRQ_INFO`).

use crate::bindings as c;

/// How many interrupts an index has, and what user space may do with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IrqInfo {
    pub(super) count: u32,
    pub(super) flags: u32,
}

impl IrqInfo {
    /// An index that is in range and has no interrupts.
    pub const ABSENT: Self = Self { count: 0, flags: 0 };

    /// One interrupt that follows a level: it can be masked, and masks itself when it is signalled, until user
    /// space has dealt with it and unmasks it. See [`super::Level`].
    pub const LEVEL: Self = Self {
        count: 1,
        flags: c::VFIO_IRQ_INFO_EVENTFD | c::VFIO_IRQ_INFO_MASKABLE | c::VFIO_IRQ_INFO_AUTOMASKED,
    };

    /// One interrupt that is signalled once for each event. See [`super::Edge`] and [`super::Notification`].
    pub const EDGE: Self = Self {
        count: 1,
        flags: c::VFIO_IRQ_INFO_EVENTFD | c::VFIO_IRQ_INFO_NORESIZE,
    };

    /// Returns whether the interrupts can be masked.
    pub(super) const fn is_maskable(&self) -> bool {
        self.flags & c::VFIO_IRQ_INFO_MASKABLE != 0
    }
}
