// SPDX-License-Identifier: GPL-2.0-only

//! Unmasking by eventfd: user space, or KVM on its behalf, signals an eventfd instead of calling an ioctl.
//!
//! The VFIO core does the listening where `CONFIG_VFIO_VIRQFD` is set, which `vfio-pci` selects; elsewhere
//! such a request is refused with `ENOTTY`, as it may be, and user space falls back to the ioctl.
//!
//! A user that unmasks with the very eventfd that the interrupt signals keeps a kernel worker busy for as long as the
//! level is asserted, as with `vfio-pci`; the work is the user's own share of the processor.

use super::{
    Device,
    Operations, //
};
use crate::{
    bindings as c,
    eventfd::EventFd, //
};
use core::ptr::null_mut;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        lock::{
            mutex::MutexBackend,
            Guard, //
        },
        Mutex, //
    },
    types::Opaque, //
};

/// The eventfd that unmasks the interrupt of a device, if user space assigned one.
#[pin_data]
pub(super) struct Irqfd {
    /// Held while interrupts are configured. Not taken when the eventfd is signalled. Says whether an eventfd was listened to
    /// since signals were last waited for; otherwise there is none to wait for.
    #[pin]
    gate: Mutex<bool>,
    /// What the core is listening with, or null. The core writes here too, under a lock of its own, when user space
    /// closes the eventfd.
    #[pin]
    raw: Opaque<*mut c::virqfd>,
}

impl Irqfd {
    /// Returns an initializer for one that does not listen.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            gate <- new_mutex!(false),
            raw: Opaque::new(null_mut()),
        })
    }

    /// Locks the configuration of the device's interrupts. The driver's own lock nests inside this one.
    pub(super) fn lock(&self) -> Locked<'_> {
        Locked {
            irqfd: self,
            gate: self.gate.lock(),
        }
    }
}

/// An [`Irqfd`] whose gate is held.
pub(super) struct Locked<'a> {
    irqfd: &'a Irqfd,
    gate: Guard<'a, bool, MutexBackend>,
}

impl Locked<'_> {
    /// Listens to the eventfd `fd`, instead of to the one before, or no more. On each signal `T::unmask` is called.
    ///
    /// # Errors
    ///
    /// `EBADF` or `EINVAL` for what is no eventfd; `ENOMEM`, after which it listens to neither, since the VFIO core
    /// takes no other in a place that has one.
    #[cfg(CONFIG_VFIO_VIRQFD)]
    pub(super) fn assign<T: Operations>(&mut self, device: &Device<T>, fd: Option<i32>) -> Result {
        let raw = self.irqfd.raw.get();
        // What is refused changes nothing.
        fd.map(EventFd::from_fd).transpose()?;

        if core::mem::take(&mut *self.gate) {
            // SAFETY: The place is valid, and `T::unmask` does not take the gate, which is held while it is waited for.
            unsafe { c::vfio_virqfd_disable(raw) };
        }
        let Some(fd) = fd else { return Ok(()) };
        // SAFETY: The device outlives the listening, because it ends that when it is closed. The place is valid and
        // holds null, since nothing was listened to since the last wait.
        kernel::error::to_result(unsafe {
            c::vfio_virqfd_enable(
                device.as_raw().cast(),
                None,
                Some(signalled_callback::<T>),
                null_mut(),
                raw,
                fd,
            )
        })?;
        *self.gate = true;
        Ok(())
    }

    /// Refuses to listen.
    ///
    /// # Errors
    ///
    /// `ENOTTY` for any eventfd.
    #[cfg(not(CONFIG_VFIO_VIRQFD))]
    pub(super) fn assign<T: Operations>(&mut self, _device: &Device<T>, fd: Option<i32>) -> Result {
        let _ = (&self.irqfd.raw, &self.gate);
        fd.map_or(Ok(()), |_| Err(ENOTTY))
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
