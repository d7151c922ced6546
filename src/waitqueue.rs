// SPDX-License-Identifier: GPL-2.0-only

//! Wait queues of files that can be polled.
//!
//! The kernel crate has `PollCondVar`, whose drop waits for an RCU grace period, because it may be dropped while
//! somebody polls. A [`WaitQueue`] need not wait: whoever lets a file be polled on it keeps it for as long as the file
//! exists, and a file is taken out of every epoll before it is released.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)

use core::ptr::null_mut;
use kernel::{
    bindings,
    prelude::*,
    static_lock_class,
    types::Opaque, //
};

/// A wait queue.
#[pin_data]
pub struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: A `wait_queue_head` belongs to no thread.
unsafe impl Send for WaitQueue {}

// SAFETY: A `wait_queue_head` has a lock of its own, which all functions used here take.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// Returns an initializer for a queue in which nobody waits.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            head <- Opaque::ffi_init(|slot: *mut bindings::wait_queue_head| {
                // SAFETY: `slot` is valid for writes and stays where it is. Name and class are static.
                unsafe {
                    bindings::__init_waitqueue_head(
                        slot,
                        c"migdev_wait_queue".as_char_ptr(),
                        static_lock_class!().as_ptr(),
                    );
                }
            }),
        })
    }

    /// Wakes everybody who waits.
    pub fn wake_all(&self) {
        // SAFETY: The queue is initialised. `TASK_NORMAL` wakes all who wait, 0 means without limit.
        unsafe {
            bindings::__wake_up(self.head.get(), bindings::TASK_NORMAL, 0, null_mut());
        }
    }

    /// Notes that whoever polls `file` waits in this queue.
    ///
    /// # Safety
    ///
    /// `file` must be valid and `table` be null or valid, as in a `poll` callback, and the queue must exist for as long as
    /// `file` does.
    pub(crate) unsafe fn poll_wait(
        &self,
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) {
        // SAFETY: By the requirements, and as the queue is initialised.
        unsafe { bindings::poll_wait(file, self.head.get(), table) };
    }
}
