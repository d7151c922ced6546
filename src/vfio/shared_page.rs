// SPDX-License-Identifier: GPL-2.0-only

//! Pages of a region that user space maps, and that the kernel reads and writes beside it.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use super::{
    region::OFFSET_SHIFT,
    Device,
    Operations, //
};
use core::ptr::{
    read_volatile,
    write_volatile, //
};
use kernel::{
    bindings,
    mm::virt::{
        flags,
        VmaNew, //
    },
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// A page of memory that user space may have mapped, and so may change at any time.
///
/// A mapping keeps the memory, not the value: when the value is dropped, who has the page mapped goes on seeing it, and
/// nobody else.
pub struct SharedPage(Page);

impl SharedPage {
    /// The length, in bytes.
    pub const LEN: usize = PAGE_SIZE;

    /// Allocates a page of zeroes.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        Ok(Self(Page::alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO)?))
    }

    /// Copies from the page, from `at` on. Each byte is read once. What is beyond the page's end is left as it is.
    pub fn read(&self, at: usize, out: &mut [u8]) {
        self.with_each(at, out.iter_mut(), |byte, place| {
            // SAFETY: The place is in the page, which is mapped. User space may write to it meanwhile; a volatile read of
            // a byte gives some value of it.
            *byte = unsafe { read_volatile(place) };
        });
    }

    /// Copies to the page, from `at` on. What does not fit is left out.
    pub fn write(&self, at: usize, bytes: &[u8]) {
        self.with_each(at, bytes.iter(), |byte, place| {
            // SAFETY: The place is in the page, which is mapped. User space may access it meanwhile, byte by byte.
            unsafe { write_volatile(place, *byte) };
        });
    }

    /// Passes each of `bytes`, as far as the page goes, with its place in the page, to `copy`.
    fn with_each<B>(&self, at: usize, bytes: impl Iterator<Item = B>, copy: impl Fn(B, *mut u8)) {
        // SAFETY: The page is valid.
        let base = unsafe { bindings::kmap_local_page(self.0.as_ptr()) };
        for (byte, offset) in bytes.zip(at..Self::LEN) {
            copy(byte, base.cast::<u8>().wrapping_add(offset));
        }
        // SAFETY: It was mapped above; what is mapped in between is unmapped before.
        unsafe { bindings::kunmap_local(base) };
    }
}

/// Maps a part of a region for user space.
///
/// # Errors
///
/// `EINVAL` for what is not in a region that may be mapped, or for a private mapping; what [`Operations::page`] says;
/// `ENOMEM`.
pub(super) fn map<T: Operations>(device: &Device<T>, vma: &VmaNew) -> Result {
    const PAGES_SHIFT: u32 = OFFSET_SHIFT - PAGE_SIZE.trailing_zeros();

    // SAFETY: The area is valid, and the field does not change.
    let place = unsafe { (*vma.as_ptr()).vm_pgoff } as u64;
    let index = u32::try_from(place >> PAGES_SHIFT)?;
    let first = (place & ((1 << PAGES_SHIFT) - 1)) * PAGE_SIZE as u64;
    let length = (vma.end() - vma.start()) as u64;

    if index >= T::num_regions(device.data()) || vma.flags() & flags::SHARED == 0 {
        return Err(EINVAL);
    }
    let info = T::region_info(device.data(), index);
    if !info.is_mappable()
        || first
            .checked_add(length)
            .is_none_or(|end| end > info.size())
    {
        return Err(EINVAL);
    }

    vma.set_dontexpand();
    vma.set_dontdump();
    let area = vma.set_mixedmap();
    for (address, offset) in (vma.start()..vma.end())
        .step_by(PAGE_SIZE)
        .zip((first..).step_by(PAGE_SIZE))
    {
        T::page(device.data(), index, offset, &mut |page| {
            area.vm_insert_page(address, &page.0)
        })?;
    }
    Ok(())
}
