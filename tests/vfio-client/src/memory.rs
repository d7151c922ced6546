// SPDX-License-Identifier: GPL-2.0-only
//! Memory that calls point at: a page for an argument, and a page that ends where the
//! accessible world ends.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{madvise, mmap_anonymous, mprotect, munmap, MapFlags, MmapAdvise, ProtFlags};

/// The size of one page, and of an [`Argument`].
pub const PAGE: usize = 4096;

/// The argument of an ioctl: a page, of which the request uses the start.
///
/// The rest shows what a request that writes too much would write, and makes any `argsz` up to a
/// page a true statement.
#[repr(C, align(8))]
#[derive(Clone)]
pub struct Argument([u8; PAGE]);

impl Argument {
    /// A page filled with one byte.
    pub fn filled(byte: u8) -> Self {
        Argument([byte; PAGE])
    }

    /// A zeroed page that starts with these 32-bit words.
    pub fn words(words: &[u32]) -> Self {
        let mut page = Argument::filled(0);
        for (index, word) in words.iter().enumerate() {
            page.set(index * 4, *word);
        }
        page
    }

    /// Stores a 32-bit word at a byte offset.
    pub fn set(&mut self, offset: usize, word: u32) {
        self.0[offset..offset + 4].copy_from_slice(&word.to_ne_bytes());
    }

    /// The 32-bit word at a byte offset.
    pub fn get(&self, offset: usize) -> u32 {
        u32::from_ne_bytes(self.bytes::<4>(offset))
    }

    /// The 64-bit word at a byte offset.
    pub fn get64(&self, offset: usize) -> u64 {
        u64::from_ne_bytes(self.bytes::<8>(offset))
    }

    /// Stores bytes at an offset.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// What stands from the offset to the end of the page.
    pub fn rest(&self, offset: usize) -> &[u8] {
        &self.0[offset..]
    }

    /// Where the page begins.
    pub fn as_mut_ptr(&mut self) -> *mut c_void {
        self.0.as_mut_ptr().cast()
    }

    fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[offset..offset + N]);
        bytes
    }
}

/// A page of memory with an inaccessible page behind it.
///
/// A call that is given its last `n` bytes and touches one more gets `EFAULT`, and corrupts
/// nothing.
pub struct Cliff {
    start: NonNull<c_void>,
}

impl Cliff {
    /// Maps the two pages; the accessible one is zero.
    ///
    /// # Errors
    ///
    /// What mmap(2) and mprotect(2) answer.
    pub fn new() -> Result<Self, Errno> {
        let size = NonZeroUsize::MIN.saturating_add(2 * PAGE - 1);
        // SAFETY: an anonymous mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe {
            mmap_anonymous(
                None,
                size,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_PRIVATE,
            )
        }?;
        let cliff = Cliff { start };
        // SAFETY: the second page is ours, and no reference points into it.
        unsafe { mprotect(cliff.edge(), PAGE, ProtFlags::PROT_NONE) }?;
        Ok(cliff)
    }

    /// The address of the last `n` accessible bytes; `n` is at most a page.
    pub fn tail(&self, n: usize) -> *mut c_void {
        assert!(n <= PAGE);
        self.edge().as_ptr().wrapping_byte_sub(n)
    }

    /// Puts bytes at the end of the accessible page.
    pub fn put(&mut self, bytes: &[u8]) {
        let to = self.tail(bytes.len()).cast::<u8>();
        // SAFETY: tail() gives that many accessible bytes, and `bytes` is not among them: they
        // are reachable only through this object, which is borrowed exclusively.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Gives the accessible page back to the kernel: it is zero, and not there until it is touched again.
    ///
    /// # Errors
    ///
    /// What madvise(2) answers.
    pub fn evict(&mut self) -> Result<(), Errno> {
        // SAFETY: the page is ours, anonymous, and borrowed exclusively; that it is zero then is as good as any content.
        unsafe { madvise(self.start, PAGE, MmapAdvise::MADV_DONTNEED) }
    }

    /// What stands in the last `n` accessible bytes; `n` is at most a page.
    pub fn bytes(&self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        let from = self.tail(n).cast::<u8>();
        // SAFETY: tail() gives that many accessible bytes, and the new vector is not among them.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), n) };
        bytes
    }

    fn edge(&self) -> NonNull<c_void> {
        // SAFETY: the mapping is two pages long, so that one page on is still inside it.
        unsafe { self.start.byte_add(PAGE) }
    }
}

impl Drop for Cliff {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no pointer into it is used after this.
        let _ = unsafe { munmap(self.start, 2 * PAGE) };
    }
}

/// The argument of an ioctl that the kernel can read and not answer: a page without the right to write.
pub struct Frozen {
    start: NonNull<c_void>,
}

impl Frozen {
    /// Maps a page that starts with these 32-bit words, and takes the right away.
    ///
    /// # Errors
    ///
    /// What mmap(2) and mprotect(2) answer.
    pub fn words(words: &[u32]) -> Result<Self, Errno> {
        assert!(4 * words.len() <= PAGE);
        let size = NonZeroUsize::MIN.saturating_add(PAGE - 1);
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe { mmap_anonymous(None, size, rights, MapFlags::MAP_PRIVATE) }?;
        let frozen = Frozen { start };
        let to = start.cast::<u32>().as_ptr();
        // SAFETY: the page is new and long enough, so that nothing else refers to it.
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr(), to, words.len()) };
        // SAFETY: the page is ours, and no reference points into it.
        unsafe { mprotect(start, PAGE, ProtFlags::PROT_READ) }?;
        Ok(frozen)
    }

    /// Where the page begins.
    pub fn as_mut_ptr(&mut self) -> *mut c_void {
        self.start.as_ptr()
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no pointer into it is used after this.
        let _ = unsafe { munmap(self.start, PAGE) };
    }
}
