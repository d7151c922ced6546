// SPDX-License-Identifier: GPL-2.0-only

//! A limit on how often something is logged.
//!
//! C header: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h)

use kernel::{
    bindings,
    prelude::*,
    types::Opaque, //
};

unsafe extern "C" {
    /// `ratelimit_default_init()`, which is inline in C; see `helpers.c`.
    fn rust_helper_ratelimit_default_init(rs: *mut bindings::ratelimit_state);
}

/// Lets through ten events in five seconds, the kernel's usual limit for messages.
#[pin_data]
pub struct RateLimit {
    #[pin]
    state: Opaque<bindings::ratelimit_state>,
}

// SAFETY: A `ratelimit_state` belongs to no thread.
unsafe impl Send for RateLimit {}

// SAFETY: `___ratelimit()` takes the state's own lock.
unsafe impl Sync for RateLimit {}

impl RateLimit {
    /// Returns an initializer for a limit of which nothing is used up.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- Opaque::ffi_init(|slot: *mut bindings::ratelimit_state| {
                // SAFETY: `slot` is valid for writes, and stays where it is.
                unsafe { rust_helper_ratelimit_default_init(slot) };
            }),
        })
    }

    /// Returns whether one more event may pass now. Those that did not are counted, and the count is logged under
    /// `name` when the next one passes.
    pub fn allow(&self, name: &'static CStr) -> bool {
        // SAFETY: The state was initialised by `new()`, and `name` is a C string.
        unsafe { bindings::___ratelimit(self.state.get(), name.as_char_ptr()) != 0 }
    }
}
