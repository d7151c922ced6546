// SPDX-License-Identifier: GPL-2.0-only

//! Eventfds that a driver signals.
//!
//! User space hands the kernel an eventfd by number; an [`EventFd`] keeps the counter behind it alive, whatever
//! becomes of the number, until it is dropped.
//!
//! C header: [`include/linux/eventfd.h`](srctree/include/linux/eventfd.h)

use core::ptr::NonNull;
use kernel::{
    bindings,
    error::from_err_ptr,
    prelude::*, //
};

/// A reference to the counter of an eventfd.
///
/// # Invariants
///
/// The pointer is to a valid `struct eventfd_ctx`, on which this owns a reference.
pub struct EventFd(NonNull<bindings::eventfd_ctx>);

// SAFETY: An `eventfd_ctx` is reference counted and locks itself; it belongs to no thread.
unsafe impl Send for EventFd {}

// SAFETY: As above: signalling takes the counter's own lock.
unsafe impl Sync for EventFd {}

impl EventFd {
    /// Takes a reference to the eventfd that is open as `fd` in the current process.
    ///
    /// # Errors
    ///
    /// `EBADF` when `fd` is not open, `EINVAL` when it is no eventfd.
    pub fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: The function takes any number and looks it up in the current process.
        let ctx = from_err_ptr(unsafe { bindings::eventfd_ctx_fdget(fd) })?;

        // INVARIANT: The reference that `eventfd_ctx_fdget()` took is now ours.
        NonNull::new(ctx).map(Self).ok_or(EINVAL)
    }

    /// Adds one to the counter, and wakes whoever waits for it. May be called in any context but a non-maskable
    /// interrupt, and the wakeup of an eventfd.
    pub fn signal(&self) {
        // SAFETY: By the type invariant the pointer is valid.
        unsafe { bindings::eventfd_signal_mask(self.0.as_ptr(), 0) };
    }
}

impl Drop for EventFd {
    fn drop(&mut self) {
        // SAFETY: By the type invariant there is a reference to give back; it is not used after this.
        unsafe { bindings::eventfd_ctx_put(self.0.as_ptr()) };
    }
}
