// SPDX-License-Identifier: GPL-2.0-only
//! What the processes of a race share: one clock, and a few notes by which they keep out of each other's way where they must.
//!
//! The clock counts. What one process does before another looks at it has the smaller number, on whatever processors they run.

use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use nix::errno::Errno;
use nix::sys::mman::{mmap, munmap, MapFlags, ProtFlags};
use vfio_client::sysfs::errno_of;

/// How many places for devices there are. A place has one device at a time, as a rule under the same UUID again and again.
pub const SLOTS: usize = 4;

/// What is shared.
#[repr(C)]
pub struct Notes {
    clock: AtomicU64,
    names: AtomicU64,
    go: AtomicU64,
    /// Of each place: which UUID in turn it has.
    pub epoch: [AtomicU64; SLOTS],
    /// Of each place: how many are creating a device there.
    pub coming: [AtomicU64; SLOTS],
    /// Of each place: how many are removing the device there, and wait for those who have it open.
    pub leaving: [AtomicU64; SLOTS],
    /// How many are removing a parent, and wait for everybody.
    pub sweeping: AtomicU64,
}

/// The notes, mapped. All bytes 0 is their beginning.
pub struct Board(NonNull<Notes>);

// SAFETY: The notes are atomic, and the mapping is of no thread.
unsafe impl Send for Board {}

// SAFETY: As above.
unsafe impl Sync for Board {}

const LENGTH: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

impl Board {
    /// Makes a board in a file, which others open by [`at`](Self::at).
    ///
    /// # Errors
    ///
    /// What the file system answers.
    pub fn create(path: &Path) -> Result<Self, Errno> {
        let file = File::create_new(path).map_err(errno_of)?;
        file.set_len(LENGTH.get() as u64).map_err(errno_of)?;
        Board::at(path)
    }

    /// Maps the board in a file.
    ///
    /// # Errors
    ///
    /// What open(2) and mmap(2) answer.
    pub fn at(path: &Path) -> Result<Self, Errno> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(errno_of)?;
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe { mmap(None, LENGTH, rights, MapFlags::MAP_SHARED, &file, 0) }?;
        Ok(Board(start.cast()))
    }

    /// What is shared.
    pub fn notes(&self) -> &Notes {
        // SAFETY: the mapping is there until this is dropped, aligned to a page, longer than the notes, and any content makes
        // notes. Others change it by atomic operations only.
        unsafe { self.0.as_ref() }
    }

    /// A moment, later than all before.
    pub fn now(&self) -> u64 {
        self.notes().clock.fetch_add(1, SeqCst) + 1
    }

    /// How many moments there have been.
    pub fn moments(&self) -> u64 {
        self.notes().clock.load(SeqCst)
    }

    /// A name that nothing else has.
    pub fn name(&self) -> u64 {
        self.notes().names.fetch_add(1, SeqCst) + 1
    }

    /// Lets everybody begin.
    pub fn start(&self) {
        self.notes().go.store(1, SeqCst);
    }

    /// Waits until everybody may begin.
    pub fn wait(&self) {
        while self.notes().go.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
    }

    /// The number of the device that a place has now.
    pub fn device(&self, slot: usize) -> usize {
        slot + SLOTS * self.notes().epoch[slot].load(SeqCst) as usize
    }

    /// Gives up a device that can neither be removed nor made again: the place gets another one.
    pub fn give_up(&self, device: usize) {
        let (slot, epoch) = (device % SLOTS, (device / SLOTS) as u64);
        let _ = self.notes().epoch[slot].compare_exchange(epoch, epoch + 1, SeqCst, SeqCst);
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference into it outlives this.
        let _ = unsafe { munmap(self.0.cast(), LENGTH.get()) };
    }
}

/// Counts up as long as it lives.
pub struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    /// Counts up.
    pub fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, SeqCst);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
