// SPDX-License-Identifier: GPL-2.0-only
//! Which code of the kernel a thread has reached, as KCOV records it (`Documentation/dev-tools/kcov.rst`).

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use vfio_client::sysfs::errno_of;

/// `KCOV_INIT_TRACE`, `_IOR('c', 1, unsigned long)`.
const INIT_TRACE: libc::Ioctl = 0x8008_6301_u32 as libc::Ioctl;
/// `KCOV_ENABLE`, `_IO('c', 100)`.
const ENABLE: libc::Ioctl = 0x6364;
/// `KCOV_DISABLE`, `_IO('c', 101)`.
const DISABLE: libc::Ioctl = 0x6365;
/// `KCOV_TRACE_PC`.
const TRACE_PC: usize = 0;

/// The record's length in words: more than one call reaches.
const WORDS: usize = 256 << 10;

/// The record of one thread.
pub struct Kcov {
    file: File,
    words: &'static [AtomicU64],
}

impl Kcov {
    /// A record, not in use.
    ///
    /// # Errors
    ///
    /// `ENOENT` for a kernel without KCOV; what the calls answer.
    pub fn new() -> Result<Self, Errno> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .open("/sys/kernel/debug/kcov")
            .map_err(errno_of)?;
        // SAFETY: the argument is a number.
        Errno::result(unsafe { libc::ioctl(file.as_raw_fd(), INIT_TRACE, WORDS) })?;
        let (rights, fd) = (libc::PROT_READ | libc::PROT_WRITE, file.as_raw_fd());
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                WORDS * 8,
                rights,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        // SAFETY: the mapping is as long, aligned to a page, and stays until the process ends; the kernel changes it only
        // as this thread's calls do, and atomics allow for that.
        let words = unsafe { std::slice::from_raw_parts(start.cast::<AtomicU64>(), WORDS) };
        Ok(Kcov { file, words })
    }

    /// Begins to record what this thread reaches.
    pub fn enable(&mut self) {
        // SAFETY: the argument is a number.
        unsafe { libc::ioctl(self.file.as_raw_fd(), ENABLE, TRACE_PC) };
        self.forget();
    }

    /// Records no more.
    pub fn disable(&mut self) {
        // SAFETY: the argument is a number.
        unsafe { libc::ioctl(self.file.as_raw_fd(), DISABLE, 0) };
    }

    /// Forgets what was recorded.
    pub fn forget(&mut self) {
        self.words[0].store(0, Ordering::Relaxed);
    }

    /// The addresses that were reached, as often as they were.
    pub fn reached(&self) -> impl Iterator<Item = u64> + '_ {
        let count = self.words[0].load(Ordering::Relaxed) as usize;
        let reached = &self.words[1..=count.min(WORDS - 1)];
        reached.iter().map(|word| word.load(Ordering::Relaxed))
    }
}
