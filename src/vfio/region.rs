// SPDX-License-Identifier: GPL-2.0-only

//! What a device says about its regions (`VFIO_DEVICE_GET_REGION_INFO`).

use crate::bindings as c;
use core::{
    marker::PhantomData,
    mem::offset_of, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// What user space may do with a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionInfo {
    size: u64,
    flags: u32,
}

impl RegionInfo {
    /// A region that the device does not have: the index is in range, its size is 0, nothing may be done.
    pub const ABSENT: Self = Self { size: 0, flags: 0 };

    /// A region of `size` bytes that is read and written through the driver.
    ///
    /// A size of 0 makes the region [absent](Self::ABSENT); one above 2^40, the distance of two regions in the
    /// device file, is cut to that.
    pub const fn read_write(size: u64) -> Self {
        if size == 0 {
            return Self::ABSENT;
        }
        Self {
            size: if size > MAX_SIZE { MAX_SIZE } else { size },
            flags: c::VFIO_REGION_INFO_FLAG_READ | c::VFIO_REGION_INFO_FLAG_WRITE,
        }
    }

    /// Says that parts of the region, those that [`Capabilities::add_sparse_mmap`] names, may be mapped.
    pub const fn mappable(self) -> Self {
        Self {
            flags: self.flags | c::VFIO_REGION_INFO_FLAG_MMAP,
            ..self
        }
    }

    /// Returns whether parts of the region may be mapped.
    pub(super) const fn is_mappable(&self) -> bool {
        self.flags & c::VFIO_REGION_INFO_FLAG_MMAP != 0
    }

    /// Returns the size in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Stores what user space is told of region `index`.
    pub(super) fn fill(&self, index: u32, raw: &mut c::vfio_region_info) {
        raw.flags = self.flags;
        raw.size = self.size;
        raw.offset = u64::from(index) << OFFSET_SHIFT;
    }
}

/// Each region has 2^40 bytes of the device file to itself, as `vfio-pci` does it.
pub(super) const OFFSET_SHIFT: u32 = 40;

/// The largest size of a region, in bytes.
const MAX_SIZE: u64 = 1 << OFFSET_SHIFT;

/// A place in the device file: a byte of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: u32,
    pub(super) offset: u64,
}

impl Place {
    /// Finds the place of a file position, which user space may choose freely.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a negative position.
    pub(super) fn new(position: i64) -> Result<Self> {
        let position = u64::try_from(position).map_err(|_| EINVAL)?;
        Ok(Self {
            index: u32::try_from(position >> OFFSET_SHIFT).map_err(|_| EINVAL)?,
            offset: position & (MAX_SIZE - 1),
        })
    }
}

/// A part of a region that may be mapped, in bytes from the region's start; both are multiples of the page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseArea {
    /// Where the part begins.
    pub offset: u64,
    /// Its length.
    pub size: u64,
}

/// The chain of capabilities of a region, which says what the flags cannot.
///
/// # Invariants
///
/// The pointer is to a valid `vfio_info_cap` that nobody else uses for `'a`.
pub struct Capabilities<'a>(*mut c::vfio_info_cap, PhantomData<&'a mut ()>);

impl Capabilities<'_> {
    /// Borrows the chain that the VFIO core passes.
    ///
    /// # Safety
    ///
    /// `raw` must be valid, and used by nobody else, for the lifetime of the returned value.
    pub(super) unsafe fn from_raw(raw: *mut c::vfio_info_cap) -> Self {
        // INVARIANT: The requirement is the invariant.
        Self(raw, PhantomData)
    }

    /// Says of which device-specific type the region is (`VFIO_REGION_INFO_CAP_TYPE`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn add_type(&mut self, ty: u32, subtype: u32) -> Result {
        let mut capability = c::vfio_region_info_cap_type {
            header: header(c::VFIO_REGION_INFO_CAP_TYPE, 1)?,
            type_: ty,
            subtype,
        };
        let size = size_of_val(&capability);
        // SAFETY: By the type invariant the chain is valid. The capability begins with its header, is `size` bytes
        // long, and is copied.
        to_result(unsafe {
            c::vfio_info_add_capability(self.0, (&raw mut capability).cast(), size)
        })
    }

    /// Says that it is the migration region of protocol v1 (`VFIO_REGION_TYPE_MIGRATION_DEPRECATED`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn add_migration_type(&mut self) -> Result {
        self.add_type(
            c::VFIO_REGION_TYPE_MIGRATION_DEPRECATED,
            c::VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED,
        )
    }

    /// Says which parts of the region may be mapped (`VFIO_REGION_INFO_CAP_SPARSE_MMAP`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EOVERFLOW` for more areas than the capability can count.
    pub fn add_sparse_mmap(&mut self, areas: &[SparseArea]) -> Result {
        const AREAS: usize = offset_of!(c::vfio_region_info_cap_sparse_mmap, areas);

        let head = c::vfio_region_info_cap_sparse_mmap {
            header: header(c::VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1)?,
            nr_areas: u32::try_from(areas.len()).map_err(|_| EOVERFLOW)?,
            ..Default::default()
        };
        let words_in_head = AREAS.div_ceil(size_of::<u64>());
        let capacity = areas
            .len()
            .checked_mul(2)
            .and_then(|words| words.checked_add(words_in_head))
            .ok_or(EOVERFLOW)?;

        // In words of 64 bits, so that the header and the areas are aligned.
        let mut words: KVec<u64> = KVec::with_capacity(capacity, GFP_KERNEL)?;
        words.extend_with(words_in_head, 0, GFP_KERNEL)?;
        for area in areas {
            words.push(area.offset, GFP_KERNEL)?;
            words.push(area.size, GFP_KERNEL)?;
        }
        let raw = words
            .as_mut_ptr()
            .cast::<c::vfio_region_info_cap_sparse_mmap>();
        // SAFETY: The words begin with room for the head, which is aligned as they are.
        unsafe { raw.write(head) };

        // SAFETY: By the type invariant the chain is valid. The capability begins with its header, is as long as
        // the words are, and is copied.
        to_result(unsafe {
            c::vfio_info_add_capability(self.0, raw.cast(), size_of_val(words.as_slice()))
        })
    }
}

/// Returns the header of a capability. The core links it into the chain.
fn header(id: u32, version: u16) -> Result<c::vfio_info_cap_header> {
    Ok(c::vfio_info_cap_header {
        id: u16::try_from(id).map_err(|_| EINVAL)?,
        version,
        next: 0,
    })
}

#[cfg_attr(CONFIG_MIGDEV_KUNIT_TEST, kunit_tests(migdev_vfio_region))]
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
mod tests {
    use super::*;

    fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
        let word = bytes.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(*word))
    }

    fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
        let word = bytes.get(at..)?.first_chunk::<8>()?;
        Some(u64::from_ne_bytes(*word))
    }

    #[test]
    fn a_place_is_a_region_and_an_offset_in_it() {
        assert!(
            Place::new(0)
                == Ok(Place {
                    index: 0,
                    offset: 0
                })
        );
        let config = (i64::from(super::super::pci::CONFIG_REGION) << 40) + 0x3c;
        assert!(
            Place::new(config)
                == Ok(Place {
                    index: 7,
                    offset: 0x3c
                })
        );
        assert!(Place::new(i64::MAX).is_ok_and(|place| place.offset == (1 << 40) - 1));
        assert!(Place::new(-1).is_err());
    }

    #[test]
    fn capabilities_form_a_chain() {
        let mut raw = c::vfio_info_cap::default();
        // SAFETY: `raw` is valid, and used through this alone until it is looked at below.
        let mut capabilities = unsafe { Capabilities::from_raw(&mut raw) };
        assert!(capabilities.add_type(3, 1).is_ok());
        let areas = [
            SparseArea {
                offset: 0x1000,
                size: 0x2000,
            },
            SparseArea {
                offset: 0x8000,
                size: 0x1000,
            },
        ];
        assert!(capabilities.add_sparse_mmap(&areas).is_ok());

        // SAFETY: The core allocated `size` bytes at `buf` for the two capabilities above.
        let bytes = unsafe { core::slice::from_raw_parts(raw.buf.cast::<u8>(), raw.size) };
        let expected = [
            Some(c::VFIO_REGION_INFO_CAP_TYPE | 1 << 16),
            Some(16),
            Some(3),
            Some(1),
        ];
        assert!([0, 4, 8, 12].map(|at| u32_at(bytes, at)) == expected);
        assert!(u32_at(bytes, 16) == Some(c::VFIO_REGION_INFO_CAP_SPARSE_MMAP | 1 << 16));
        assert!(u32_at(bytes, 24) == Some(2));
        let expected = [Some(0x1000), Some(0x2000), Some(0x8000), Some(0x1000)];
        assert!([32, 40, 48, 56].map(|at| u64_at(bytes, at)) == expected);
        assert_eq!(bytes.len(), 64);

        // SAFETY: The core allocated it with `krealloc()`, and nothing refers to it any more.
        unsafe { kernel::bindings::kfree(raw.buf.cast()) };
    }
}
