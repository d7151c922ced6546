// SPDX-License-Identifier: GPL-2.0-only

//! What a driver needs to signal interrupts to user space by eventfds.
//!
//! Each of the three kinds keeps the eventfd that user space assigned and carries out the requests of
//! `VFIO_DEVICE_SET_IRQS` for it. None of them locks: they belong into the state of the device, behind its lock.
//!
//! | kind | index says | signals |
//! |---|---|---|
//! | [`Level`] | [`super::IrqInfo::LEVEL`] | while asserted: once, and again each time it is unmasked |
//! | [`Edge`] | [`super::IrqInfo::EDGE`] | once when it becomes asserted |
//! | [`Notification`] | [`super::IrqInfo::EDGE`] | when the driver says so |

use super::{
    Action,
    Data,
    IrqSet, //
};
use crate::eventfd::EventFd;
use kernel::prelude::*;

/// What a request means for an index with one interrupt.
enum Single {
    /// No more signals.
    Disable,
    /// Do it now, or, for `false`, do not.
    Now(bool),
    /// The eventfd from now on.
    Assign(Option<EventFd>),
}

impl Single {
    fn new(set: IrqSet) -> Result<(Action, Self)> {
        let single = match set.data {
            Data::None if set.count == 0 => Self::Disable,
            Data::None => Self::Now(true),
            Data::Bool(bools) => Self::Now(*bools.first().ok_or(EINVAL)?),
            Data::EventFd(eventfds) => Self::Assign(eventfds.into_iter().next().ok_or(EINVAL)?),
        };
        Ok((set.action, single))
    }
}

/// An interrupt that follows a level, such as a PCI interrupt pin.
///
/// While the level is asserted and the interrupt is not masked, the eventfd is signalled once and the interrupt
/// masks itself. User space unmasks it when it has dealt with the cause; if the level is still asserted then, or
/// is again, it is signalled again. So nothing is lost while it is masked, and a level that is never
/// deasserted does not flood anyone.
#[derive(Default)]
pub struct Level {
    trigger: Option<EventFd>,
    is_asserted: bool,
    is_masked: bool,
}

impl Level {
    /// Returns an interrupt that is deasserted, unmasked, and has no eventfd.
    pub const fn new() -> Self {
        Self {
            trigger: None,
            is_asserted: false,
            is_masked: false,
        }
    }

    /// Follows the level.
    pub fn set(&mut self, is_asserted: bool) {
        self.is_asserted = is_asserted;
        self.deliver();
    }

    /// Lets the interrupt be signalled again, at once if the level is asserted.
    pub fn unmask(&mut self) {
        self.is_masked = false;
        self.deliver();
    }

    /// Carries out a request. Another eventfd, or none, leaves the mask as it is; disabling the index clears it.
    ///
    /// # Errors
    ///
    /// `ENOTTY` for masking or unmasking by eventfd, of which [`super::Operations::unmask`] does the latter;
    /// `EINVAL` when there is no eventfd to be signalled.
    pub fn apply(&mut self, set: IrqSet) -> Result {
        match Single::new(set)? {
            (Action::Mask, Single::Now(true)) => self.is_masked = true,
            (Action::Unmask, Single::Now(true)) => self.unmask(),
            (Action::Mask | Action::Unmask, Single::Now(false)) => (),
            (Action::Mask | Action::Unmask, _) => return Err(ENOTTY),
            (Action::Trigger, Single::Now(now)) => inject(&self.trigger, now)?,
            (Action::Trigger, Single::Disable) => {
                self.trigger = None;
                self.is_masked = false;
            }
            (Action::Trigger, Single::Assign(trigger)) => {
                self.trigger = trigger;
                self.deliver();
            }
        }
        Ok(())
    }

    fn deliver(&mut self) {
        if let (true, false, Some(trigger)) = (self.is_asserted, self.is_masked, &self.trigger) {
            self.is_masked = true;
            trigger.signal();
        }
    }
}

/// An interrupt with which the driver tells user space of something, such as that it wants the device back.
#[derive(Default)]
pub struct Notification {
    trigger: Option<EventFd>,
}

impl Notification {
    /// Returns a notification to nobody.
    pub const fn new() -> Self {
        Self { trigger: None }
    }

    /// Returns whether user space has assigned an eventfd.
    pub fn is_enabled(&self) -> bool {
        self.trigger.is_some()
    }

    /// Tells user space, and returns whether it listens.
    pub fn signal(&self) -> bool {
        if let Some(trigger) = &self.trigger {
            trigger.signal();
        }
        self.trigger.is_some()
    }

    /// Carries out a request.
    ///
    /// # Errors
    ///
    /// `ENOTTY` for masking and unmasking, `EINVAL` when there is no eventfd to be signalled.
    pub fn apply(&mut self, set: IrqSet) -> Result {
        match Single::new(set)? {
            (Action::Mask | Action::Unmask, _) => return Err(ENOTTY),
            (Action::Trigger, Single::Now(now)) => inject(&self.trigger, now)?,
            (Action::Trigger, Single::Disable) => self.trigger = None,
            (Action::Trigger, Single::Assign(trigger)) => self.trigger = trigger,
        }
        Ok(())
    }
}

/// An interrupt that is signalled when its condition comes true, such as a message-signalled one.
#[derive(Default)]
pub struct Edge {
    message: Notification,
    is_asserted: bool,
}

impl Edge {
    /// Returns an interrupt whose condition is false, and that has no eventfd.
    pub const fn new() -> Self {
        Self {
            message: Notification::new(),
            is_asserted: false,
        }
    }

    /// Returns whether user space has assigned an eventfd.
    pub fn is_enabled(&self) -> bool {
        self.message.is_enabled()
    }

    /// Follows the condition.
    pub fn set(&mut self, is_asserted: bool) {
        let was_asserted = core::mem::replace(&mut self.is_asserted, is_asserted);
        if is_asserted && !was_asserted {
            self.message.signal();
        }
    }

    /// Carries out a request. When the first eventfd is assigned while the condition is true, it is signalled at
    /// once: the edge was before it.
    ///
    /// # Errors
    ///
    /// As for [`Notification::apply`].
    pub fn apply(&mut self, set: IrqSet) -> Result {
        let was_enabled = self.is_enabled();
        self.message.apply(set)?;
        if self.is_asserted && !was_enabled {
            self.message.signal();
        }
        Ok(())
    }
}

/// Signals without a cause, as user space does to test its own handler.
fn inject(trigger: &Option<EventFd>, now: bool) -> Result {
    let trigger = trigger.as_ref().ok_or(EINVAL)?;
    if now {
        trigger.signal();
    }
    Ok(())
}
