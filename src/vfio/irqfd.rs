// SPDX-License-Identifier: GPL-2.0-only

//! Unmasking by eventfd: user space, or KVM on its behalf, signals an eventfd instead of calling an ioctl.
//!
//! The VFIO core does the listening where `CONFIG_VFIO_VIRQFD` is set, which `vfio-pci` selects; elsewhere
//! such a request is refused with `ENOTTY`, as it may be, and user space falls back to the ioctl.

use super::{
    Device,
    Operations, //
};
use kernel::prelude::*;

#[cfg(CONFIG_VFIO_VIRQFD)]
use crate::bindings as c;
#[cfg(CONFIG_VFIO_VIRQFD)]
use core::ptr::null_mut;
#[cfg(CONFIG_VFIO_VIRQFD)]
use kernel::{
    error::to_result,
    new_mutex,
    sync::Mutex,
    types::Opaque, //
};

/// The eventfd that unmasks the interrupt of a device, if user space assigned one.
#[cfg(CONFIG_VFIO_VIRQFD)]
#[pin_data]
pub(super) struct Irqfd {
    /// Held while the eventfd is changed. Not taken when it is signalled.
    #[pin]
    gate: Mutex<()>,
    /// What the core is listening with, or null. The core writes here too, under a lock of its own, when user space
    /// closes the eventfd.
    #[pin]
    raw: Opaque<*mut c::virqfd>,
}

#[cfg(CONFIG_VFIO_VIRQFD)]
impl Irqfd {
    /// Returns an initializer for one that does not listen.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            gate <- new_mutex!(()),
            raw: Opaque::new(null_mut()),
        })
    }

    /// Listens to the eventfd `fd`, instead of to the one before, or no more. On each signal `T::unmask` is called.
    ///
    /// # Errors
    ///
    /// `EBADF` or `EINVAL` for what is no eventfd, `ENOMEM`. Nobody is listened to then.
    pub(super) fn assign<T: Operations>(&self, device: &Device<T>, fd: Option<i32>) -> Result {
        let _gate = self.gate.lock();

        // SAFETY: The place is valid, and `T::unmask` does not take the gate, which is waited for in here.
        unsafe { c::vfio_virqfd_disable(self.raw.get()) };
        let Some(fd) = fd else { return Ok(()) };
        // SAFETY: The device outlives the listening, because it ends that when it is closed. The place is valid and
        // holds null.
        to_result(unsafe {
            c::vfio_virqfd_enable(
                device.as_raw().cast(),
                None,
                Some(signalled_callback::<T>),
                null_mut(),
                self.raw.get(),
                fd,
            )
        })
    }
}

/// # Safety
///
/// Only the VFIO core may call this, with the `device` of an [`Irqfd`] that listens.
#[cfg(CONFIG_VFIO_VIRQFD)]
unsafe extern "C" fn signalled_callback<T: Operations>(device: *mut c_void, _data: *mut c_void) {
    // SAFETY: The device is open while this is called.
    let device = unsafe { Device::<T>::from_raw(device.cast()) };
    T::unmask(device.data());
}

/// Where the VFIO core cannot listen.
#[cfg(not(CONFIG_VFIO_VIRQFD))]
#[pin_data]
pub(super) struct Irqfd {}

#[cfg(not(CONFIG_VFIO_VIRQFD))]
impl Irqfd {
    /// Returns an initializer.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {})
    }

    /// Refuses to listen.
    ///
    /// # Errors
    ///
    /// `ENOTTY` for any eventfd.
    pub(super) fn assign<T: Operations>(&self, _device: &Device<T>, fd: Option<i32>) -> Result {
        fd.map_or(Ok(()), |_| Err(ENOTTY))
    }
}
