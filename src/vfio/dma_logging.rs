// SPDX-License-Identifier: GPL-2.0-only

//! DMA logging (`VFIO_DEVICE_FEATURE_DMA_LOGGING_*`) for devices that do no DMA.
//!
//! A VMM that migrates a guest asks each of its devices which memory it has written to. The honest answer of a device
//! that does no DMA is that it has written nowhere, and it is worth giving: from a device without this feature a VMM
//! must assume that it writes everywhere. So requests are checked as those to any device, and no bit is ever set.
//!
//! Logging belongs to the user, not to the device: it goes on through a reset, and ends when the device is closed.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h), UAPI:
//! [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use super::{
    Device,
    Operations, //
};
use crate::bindings as c;
use core::marker::PhantomData;
use kernel::{
    bindings,
    error::from_result,
    new_mutex,
    prelude::*,
    sync::Mutex, //
};

/// The least granularity that a user can ask for, in bytes; that of the reports, by the VFIO core.
const MIN_PAGE_SIZE: u64 = 4096;

/// A range of addresses (IOVA), of which `last` is part.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    last: usize,
}

/// What a device logs at present.
#[pin_data]
pub(super) struct DmaLog {
    /// In ascending order, none overlapping another; `None` while nothing is logged.
    #[pin]
    ranges: Mutex<Option<KVec<Range>>>,
}

impl DmaLog {
    /// Returns an initializer for a device that logs nothing.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            ranges <- new_mutex!(None),
        })
    }

    /// Begins to log writes to `ranges`.
    ///
    /// # Errors
    ///
    /// `EBUSY` while logging.
    fn start(&self, ranges: KVec<Range>) -> Result {
        let mut logged = self.ranges.lock();
        if logged.is_some() {
            return Err(EBUSY);
        }
        *logged = Some(ranges);
        Ok(())
    }

    /// Logs no more, whether it did or not.
    pub(super) fn stop(&self) {
        // Freed after the lock is released.
        let _ranges = self.ranges.lock().take();
    }

    /// Looks for writes in `length` bytes from `start` on: there are none.
    ///
    /// # Errors
    ///
    /// `EINVAL` where not all of these are logged.
    fn report(&self, start: usize, length: usize) -> Result {
        let logged = self.ranges.lock();
        let ranges = logged.as_ref().ok_or(EINVAL)?;
        let Some(left) = length.checked_sub(1) else {
            return Ok(());
        };
        let last = start.checked_add(left).ok_or(EINVAL)?;
        is_covered(ranges, start, last).then_some(()).ok_or(EINVAL)
    }
}

/// Whether all addresses from `start` to `last` are in `ranges`, which are in ascending order.
fn is_covered(ranges: &[Range], start: usize, last: usize) -> bool {
    let mut next = start;
    for range in ranges.iter().skip_while(|range| range.last < start) {
        if range.start > next {
            return false;
        }
        if range.last >= last {
            return true;
        }
        next = range.last + 1;
    }
    false
}

/// Whether the next range, in ascending order, may follow the one that ends at `before`.
///
/// A range of no bytes comes as one that ends before it begins, but for the one at address 0: that looks like the
/// whole address space, which in turn cannot be asked for.
fn may_follow(before: Option<usize>, range: Range) -> bool {
    let is_empty = range.last < range.start || (range.start == 0 && range.last == usize::MAX);
    !is_empty && before.is_none_or(|before| before < range.start)
}

/// The C callbacks for the devices of `T`.
pub(super) struct DmaLogging<T: Operations>(PhantomData<T>);

impl<T: Operations> DmaLogging<T> {
    pub(super) const TABLE: &'static c::vfio_log_ops = &c::vfio_log_ops {
        log_start: Some(Self::start_callback),
        log_stop: Some(Self::stop_callback),
        log_read_and_clear: Some(Self::report_callback),
    };

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised, a tree of `count` nodes, and a valid
    /// `page_size`.
    unsafe extern "C" fn start_callback(
        raw: *mut c::vfio_device,
        tree: *mut bindings::rb_root_cached,
        count: u32,
        page_size: *mut u64,
    ) -> c_int {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        // SAFETY: It is valid, and used by nobody else.
        let page_size = unsafe { &mut *page_size };

        from_result(|| {
            if !page_size.is_power_of_two() {
                return Err(EINVAL);
            }
            // SAFETY: The tree is valid and has that many nodes.
            let ranges = unsafe { copy_ranges(tree, count) }?;
            device.dma_log().start(ranges)?;
            // The user's wish is only a hint.
            *page_size = MIN_PAGE_SIZE.max(*page_size);
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised.
    unsafe extern "C" fn stop_callback(raw: *mut c::vfio_device) -> c_int {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        device.dma_log().stop();
        0
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised.
    unsafe extern "C" fn report_callback(
        raw: *mut c::vfio_device,
        start: c_ulong,
        length: c_ulong,
        _dirty: *mut c::iova_bitmap,
    ) -> c_int {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        from_result(|| device.dma_log().report(start, length).map(|()| 0))
    }
}

/// Copies the ranges of a tree that is freed when the callback returns.
///
/// # Errors
///
/// `EINVAL` for an empty range, and for those that overlap; `ENOMEM`.
///
/// # Safety
///
/// `tree` must be valid and have `count` nodes.
unsafe fn copy_ranges(tree: *mut bindings::rb_root_cached, count: u32) -> Result<KVec<Range>> {
    let mut ranges = KVec::with_capacity(count as usize, GFP_KERNEL_ACCOUNT)?;
    // SAFETY: The tree is valid. What is asked for is every node that ends at 0 or later, which is every node.
    let mut node = unsafe { c::interval_tree_iter_first(tree, 0, usize::MAX) };
    while !node.is_null() {
        // SAFETY: The node is one of the tree.
        let (start, last) = unsafe { ((*node).start, (*node).last) };
        let range = Range { start, last };
        if !may_follow(ranges.last().map(|range: &Range| range.last), range) {
            return Err(EINVAL);
        }
        ranges.push(range, GFP_KERNEL_ACCOUNT)?;
        // SAFETY: As above.
        node = unsafe { c::interval_tree_iter_next(node, 0, usize::MAX) };
    }
    Ok(ranges)
}

#[cfg_attr(CONFIG_MIGDEV_KUNIT_TEST, kunit_tests(migdev_vfio_dma_logging))]
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
mod tests {
    use super::*;

    const RANGES: [Range; 3] = [
        range(0x1000, 0x1fff),
        range(0x2000, 0x2fff),
        range(0x8000, 0x8fff),
    ];

    const fn range(start: usize, last: usize) -> Range {
        Range { start, last }
    }

    #[test]
    fn what_is_logged_can_be_reported() {
        assert!(is_covered(&RANGES, 0x1000, 0x1000));
        assert!(is_covered(&RANGES, 0x1000, 0x2fff));
        assert!(is_covered(&RANGES, 0x1234, 0x2345));
        assert!(is_covered(&RANGES, 0x8000, 0x8fff));
    }

    #[test]
    fn what_is_not_logged_cannot() {
        assert!(!is_covered(&RANGES, 0xfff, 0x1000));
        assert!(!is_covered(&RANGES, 0x2fff, 0x3000));
        assert!(!is_covered(&RANGES, 0x1000, 0x8fff));
        assert!(!is_covered(&RANGES, 0x9000, usize::MAX));
        assert!(!is_covered(&[], 0, 0));
    }

    #[test]
    fn ranges_have_bytes_and_do_not_overlap() {
        assert!(may_follow(None, range(0, 0)));
        assert!(may_follow(None, range(0x1000, usize::MAX)));
        assert!(may_follow(Some(0xfff), range(0x1000, 0x1fff)));
        assert!(!may_follow(Some(0x1000), range(0x1000, 0x1fff)));
        assert!(!may_follow(None, range(0x1000, 0xfff)));
        assert!(!may_follow(None, range(0, usize::MAX)));
    }
}
