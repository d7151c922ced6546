// SPDX-License-Identifier: GPL-2.0-only

//! The requests of `VFIO_DEVICE_SET_IRQS`: taken from user space, checked, and told to the driver as types.

use super::IrqInfo;
use crate::{
    bindings as c,
    eventfd::EventFd, //
};
use core::mem::offset_of;
use kernel::{
    error::to_result,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// What is to be done with the interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Keep them from being signalled.
    Mask,
    /// Let them be signalled again.
    Unmask,
    /// Signal them now, or say what is to be signalled from now on.
    Trigger,
}

/// What the action is about, one element for each interrupt of the range.
pub enum Data {
    /// Nothing: all of the range. With [`Action::Trigger`] and an empty range: no more signals for the index.
    None,
    /// Those that are `true`.
    Bool(KVec<bool>),
    /// The eventfds to be signalled, or to be listened to; `None` for no more.
    EventFd(KVec<Option<EventFd>>),
}

/// A checked request. The range `start..start + count` is within what the device has at `index`.
pub struct IrqSet {
    /// Which kind of interrupt.
    pub index: u32,
    /// The first interrupt.
    pub start: u32,
    /// How many. 0 only with [`Data::None`] and [`Action::Trigger`].
    pub count: u32,
    /// What is to be done.
    pub action: Action,
    /// With what.
    pub data: Data,
}

impl IrqSet {
    /// Returns whether the request ends all signals of the index.
    pub(super) fn disables_index(&self) -> bool {
        self.action == Action::Trigger && self.count == 0
    }
}

/// The length of the part of `struct vfio_irq_set` before its data, in bytes.
const HEADER: usize = offset_of!(c::vfio_irq_set, data);
static_assert!(HEADER == size_of::<[u32; 5]>());

/// The header of a request, checked, with the place of its data in user space.
pub(super) struct Request {
    header: c::vfio_irq_set,
    data: UserSlice,
    pub(super) action: Action,
}

impl Request {
    /// Takes a request from user space, of a device that has `indexes` indexes, each as `info` says.
    ///
    /// # Errors
    ///
    /// `EFAULT`; `EINVAL` for what the UAPI does not allow or the device does not have.
    pub(super) fn copy(
        argument: UserPtr,
        indexes: u32,
        info: impl FnOnce(u32) -> IrqInfo,
    ) -> Result<Self> {
        let [argsz, flags, index, start, count] = UserSlice::new(argument, HEADER)
            .reader()
            .read::<[u32; 5]>()?;
        let mut header = c::vfio_irq_set {
            argsz,
            flags,
            index,
            start,
            count,
            ..Default::default()
        };
        if header.index >= indexes {
            return Err(EINVAL);
        }

        let mut size = 0;
        // SAFETY: Both pointers are to valid objects that nobody else uses.
        to_result(unsafe {
            c::vfio_set_irqs_validate_and_prepare(
                &mut header,
                c_int::try_from(info(header.index).count)?,
                c_int::try_from(indexes)?,
                &mut size,
            )
        })?;

        let action = match header.flags & c::VFIO_IRQ_SET_ACTION_TYPE_MASK {
            c::VFIO_IRQ_SET_ACTION_MASK => Action::Mask,
            c::VFIO_IRQ_SET_ACTION_UNMASK => Action::Unmask,
            c::VFIO_IRQ_SET_ACTION_TRIGGER => Action::Trigger,
            _ => return Err(EINVAL),
        };
        // An empty range means something in one place only.
        if header.count == 0 && !(action == Action::Trigger && Self::is_none(&header)) {
            return Err(EINVAL);
        }

        Ok(Self {
            header,
            data: UserSlice::new(argument.wrapping_byte_add(HEADER), size),
            action,
        })
    }

    fn is_none(header: &c::vfio_irq_set) -> bool {
        header.flags & c::VFIO_IRQ_SET_DATA_NONE != 0
    }

    /// Returns the index that the request is for.
    pub(super) fn index(&self) -> u32 {
        self.header.index
    }

    /// Returns whether the data are eventfds.
    pub(super) fn has_eventfds(&self) -> bool {
        self.header.flags & c::VFIO_IRQ_SET_DATA_EVENTFD != 0
    }

    /// Takes the numbers of the eventfds from user space, one for each interrupt of the range; -1 is `None`.
    ///
    /// # Errors
    ///
    /// `EFAULT`, `ENOMEM`, `EINVAL` for any other negative number.
    pub(super) fn copy_fds(self) -> Result<KVec<Option<i32>>> {
        let mut reader = self.data.reader();
        let mut fds = KVec::new();
        while !reader.is_empty() {
            let fd = match reader.read::<i32>()? {
                -1 => None,
                fd if fd >= 0 => Some(fd),
                _ => return Err(EINVAL),
            };
            fds.push(fd, GFP_KERNEL)?;
        }
        Ok(fds)
    }

    /// Takes the data from user space too. As many elements are copied, and allocated, as the device has interrupts
    /// in the range.
    ///
    /// # Errors
    ///
    /// `EFAULT`, `ENOMEM`; `EBADF` and `EINVAL` for what is no eventfd.
    pub(super) fn copy_data(self) -> Result<IrqSet> {
        let Self { header, action, .. } = &self;
        let (index, start, count, action) = (header.index, header.start, header.count, *action);

        let data = if Self::is_none(&self.header) {
            Data::None
        } else if self.has_eventfds() {
            let mut eventfds = KVec::new();
            for fd in self.copy_fds()? {
                eventfds.push(fd.map(EventFd::from_fd).transpose()?, GFP_KERNEL)?;
            }
            Data::EventFd(eventfds)
        } else {
            let mut reader = self.data.reader();
            let mut bools = KVec::new();
            while !reader.is_empty() {
                bools.push(reader.read::<u8>()? != 0, GFP_KERNEL)?;
            }
            Data::Bool(bools)
        };

        Ok(IrqSet {
            index,
            start,
            count,
            action,
            data,
        })
    }
}
