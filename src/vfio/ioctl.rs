// SPDX-License-Identifier: GPL-2.0-only

//! The ioctls that the VFIO core leaves to the device.

use super::{
    irq_set::Request,
    Action,
    Device,
    Operations, //
};
use crate::bindings as c;
use core::mem::offset_of;
use kernel::{
    ioctl::_IO,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// Returns the number of a VFIO ioctl.
pub(super) const fn vfio(number: u32) -> u32 {
    _IO(c::VFIO_TYPE as u32, c::VFIO_BASE + number)
}

/// `VFIO_DEVICE_GET_INFO`
const GET_INFO: u32 = vfio(7);
/// `VFIO_DEVICE_GET_IRQ_INFO`
const GET_IRQ_INFO: u32 = vfio(9);
/// `VFIO_DEVICE_SET_IRQS`
const SET_IRQS: u32 = vfio(10);
/// `VFIO_DEVICE_RESET`
const RESET: u32 = vfio(11);

// The structures that are exchanged here consist of four words each.
static_assert!(offset_of!(c::vfio_device_info, num_irqs) == 12);
static_assert!(offset_of!(c::vfio_irq_info, count) == 12);

/// Carries out an ioctl.
///
/// # Errors
///
/// `ENOTTY` for those that are unknown; `EFAULT`; `EINVAL` for arguments that the UAPI does not allow.
pub(super) fn ioctl<T: Operations>(device: &Device<T>, command: u32, argument: UserPtr) -> Result {
    match command {
        GET_INFO => get_info(device, argument),
        GET_IRQ_INFO => get_irq_info(device, argument),
        SET_IRQS => set_irqs(device, argument),
        RESET => T::reset(device.data()),
        _ => Err(ENOTTY),
    }
}

/// Takes the four words of an argument, the first of which says how long the argument is.
fn copy_in(argument: UserPtr) -> Result<[u32; 4]> {
    let words: [u32; 4] = UserSlice::new(argument, size_of::<[u32; 4]>())
        .reader()
        .read()?;
    let [argsz, ..] = words;
    if (argsz as usize) < size_of_val(&words) {
        return Err(EINVAL);
    }
    Ok(words)
}

fn copy_out(argument: UserPtr, words: [u32; 4]) -> Result {
    UserSlice::new(argument, size_of_val(&words))
        .writer()
        .write(&words)
}

fn get_info<T: Operations>(device: &Device<T>, argument: UserPtr) -> Result {
    let [argsz, ..] = copy_in(argument)?;
    let flags = c::VFIO_DEVICE_FLAGS_RESET
        | if T::IS_PCI {
            c::VFIO_DEVICE_FLAGS_PCI
        } else {
            0
        };
    let regions = T::num_regions(device.data());
    copy_out(argument, [argsz, flags, regions, T::NUM_IRQS])
}

fn get_irq_info<T: Operations>(device: &Device<T>, argument: UserPtr) -> Result {
    let [argsz, _, index, _] = copy_in(argument)?;
    if index >= T::NUM_IRQS {
        return Err(EINVAL);
    }
    let info = T::irq_info(device.data(), index);
    copy_out(argument, [argsz, info.flags, index, info.count])
}

fn set_irqs<T: Operations>(device: &Device<T>, argument: UserPtr) -> Result {
    let request = Request::copy(argument, T::NUM_IRQS, |index| {
        T::irq_info(device.data(), index)
    })?;
    let is_maskable = T::irq_info(device.data(), request.index()).is_maskable();

    if is_maskable && request.action == Action::Unmask && request.has_eventfds() {
        let fd = request.copy_fds()?.pop().ok_or(EINVAL)?;
        return device.irqfd().lock().assign(device, fd);
    }

    let set = request.copy_data()?;
    let mut irqfd = device.irqfd().lock();
    if is_maskable && set.disables_index() {
        irqfd.assign(device, None)?;
    }
    T::set_irqs(device.data(), set)
}
