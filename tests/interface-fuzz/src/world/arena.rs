// SPDX-License-Identifier: GPL-2.0-only
//! Memory that calls are given: enough of it, the end of it, memory that cannot be written to, and none.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::memfd::{memfd_create, MFdFlags};
use nix::sys::mman::{mmap, mmap_anonymous, munmap, MapFlags, ProtFlags};
use nix::unistd::ftruncate;

use crate::kinds::memory;

/// How much memory there is: more than any stream has, so that what a call moves ends in it or behind its end.
pub const LENGTH: usize = 256 << 10;

/// The page behind the end.
const GUARD: usize = 4096;

/// The memory, twice: once to be written to and with nothing behind it, once to be read only.
pub struct Arena {
    writable: NonNull<c_void>,
    frozen: NonNull<c_void>,
}

impl Arena {
    /// Maps it.
    ///
    /// # Errors
    ///
    /// What the calls answer.
    pub fn new() -> Result<Self, Errno> {
        let length = NonZeroUsize::new(LENGTH).ok_or(Errno::EINVAL)?;
        let both = NonZeroUsize::new(LENGTH + GUARD).ok_or(Errno::EINVAL)?;
        let file = memfd_create(c"arena", MFdFlags::MFD_CLOEXEC)?;
        ftruncate(&file, LENGTH as i64)?;
        let nothing = ProtFlags::PROT_NONE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice replaces nothing.
        let room = unsafe { mmap_anonymous(None, both, nothing, MapFlags::MAP_PRIVATE) }?;
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let place = NonZeroUsize::new(room.as_ptr() as usize);
        // SAFETY: what it replaces is the room that was just mapped, to which nothing refers.
        let writable = unsafe {
            mmap(
                place,
                length,
                rights,
                MapFlags::MAP_SHARED | MapFlags::MAP_FIXED,
                &file,
                0,
            )
        }?;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let frozen = unsafe {
            mmap(
                None,
                length,
                ProtFlags::PROT_READ,
                MapFlags::MAP_SHARED,
                &file,
                0,
            )
        }?;
        Ok(Arena { writable, frozen })
    }

    /// Where the memory is that a value of [`memory`] means.
    pub fn place(&self, memory: u64) -> *mut c_void {
        match memory {
            memory::NULL => std::ptr::null_mut(),
            memory::KERNEL => 0xffff_8880_0000_1000_usize as *mut c_void,
            memory::NOWHERE => 0x8000_0000_0000_0000_usize as *mut c_void,
            memory::FROZEN => self.frozen.as_ptr(),
            memory::ODD => self.writable.as_ptr().wrapping_byte_add(1),
            bytes @ 1..=memory::CLIFF_MOST => self
                .writable
                .as_ptr()
                .wrapping_byte_add(LENGTH - bytes as usize),
            _ => self.writable.as_ptr(),
        }
    }

    /// Puts bytes where the memory is, as far as it goes, and returns the place.
    pub fn put(&mut self, memory: u64, bytes: &[u8]) -> *mut c_void {
        if let Some(at) = self.offset(memory) {
            let bytes = &bytes[..bytes.len().min(LENGTH - at)];
            let to = self.writable.as_ptr().wrapping_byte_add(at).cast::<u8>();
            // SAFETY: as many bytes are mapped there, to write to, and nothing else refers to them.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        }
        self.place(memory)
    }

    /// What stands where the memory is, as far as it goes.
    pub fn get(&self, memory: u64, length: usize) -> Vec<u8> {
        let Some(at) = self.offset(memory) else {
            return Vec::new();
        };
        let mut bytes = vec![0; length.min(LENGTH - at)];
        let from = self.writable.as_ptr().wrapping_byte_add(at).cast::<u8>();
        // SAFETY: as many bytes are mapped there, and the new vector is not among them.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
        bytes
    }

    /// The offset in the memory, whichever way it is mapped.
    fn offset(&self, memory: u64) -> Option<usize> {
        match memory {
            memory::NULL | memory::KERNEL | memory::NOWHERE => None,
            memory::ODD => Some(1),
            bytes @ 1..=memory::CLIFF_MOST => Some(LENGTH - bytes as usize),
            _ => Some(0),
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: both mappings are ours, and no pointer into them is used after this.
        unsafe {
            let _ = munmap(self.writable, LENGTH + GUARD);
            let _ = munmap(self.frozen, LENGTH);
        }
    }
}
