// SPDX-License-Identifier: GPL-2.0-only
//! One fault at a time: the call in the kernel that is to fail is the n-th of this thread that could.
//!
//! The kernel counts them down in `fail-nth` of the thread (`Documentation/fault-injection/fault-injection.rst`):
//! allocations of objects (failslab) and of pages (fail_page_alloc), and copies from and to user space (fail_usercopy).
//! What was counted down to zero has failed. Each of the three kinds counts its faults in its own `times`, which tells the
//! kind.

use std::cell::RefCell;
use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::uio::{pread, pwrite};

use vfio_client::device::open_rw;
use vfio_client::sysfs::errno_of;

/// Where the kernel has the settings of each kind.
const DEBUGFS: &str = "/sys/kernel/debug";

/// What `times` starts from: more than there will ever be, so that nothing is held back.
const TIMES: u32 = 1_000_000_000;

/// What fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An allocation of an object.
    Object,
    /// An allocation of pages.
    Page,
    /// A copy from or to user space.
    Copy,
}

/// In the order of the indexes of [`Injector::times`].
const KINDS: [(Kind, &str); 3] = [
    (Kind::Object, "failslab"),
    (Kind::Page, "fail_page_alloc"),
    (Kind::Copy, "fail_usercopy"),
];

/// Which kinds are counted. Copies always are.
///
/// Objects and pages take turns: now and then, an allocation of an object takes a page, and when it does depends on what
/// was there before. If both were counted, what is the n-th in one try would be the one after it in the next, and some
/// would never fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pass {
    /// Objects, and copies.
    Objects,
    /// Pages, and copies.
    Pages,
}

/// Makes calls fail.
pub struct Injector {
    nth: File,
    times: [PathBuf; 3],
    before: [(PathBuf, String); 10],
    /// What [`filter`](Self::filter) was last asked for: to find where a function is takes long.
    filtered: RefCell<Option<(Option<String>, Option<String>)>>,
}

impl Injector {
    /// Prepares this thread. Faults hit the thread that this was made in.
    ///
    /// # Errors
    ///
    /// `ENOENT` where the kernel injects no faults.
    pub fn new() -> Result<Self, Errno> {
        let nth = open_rw(Path::new("/proc/thread-self/fail-nth"))?;
        let setting = |at: &str, value: &str| -> Result<(PathBuf, String), Errno> {
            let path = Path::new(DEBUGFS).join(at);
            let before = fs::read_to_string(&path).map_err(errno_of)?;
            fs::write(&path, value).map_err(errno_of)?;
            Ok((path, before.trim().to_owned()))
        };
        let many = TIMES.to_string();
        let before = [
            // Without these, what may sleep does not fail, nor does a single page.
            setting("failslab/ignore-gfp-wait", "N")?,
            setting("fail_page_alloc/ignore-gfp-wait", "N")?,
            setting("fail_page_alloc/ignore-gfp-highmem", "N")?,
            setting("fail_page_alloc/min-order", "0")?,
            setting("failslab/cache-filter", "N")?,
            // The faults are thousands: the log is for what comes of them.
            setting("failslab/verbose", "0")?,
            setting("fail_page_alloc/verbose", "0")?,
            setting("fail_usercopy/verbose", "0")?,
            setting("failslab/times", &many)?,
            setting("fail_page_alloc/times", &many)?,
        ];
        setting("fail_usercopy/times", &many)?;
        Ok(Injector {
            nth,
            times: KINDS.map(|(_, name)| Path::new(DEBUGFS).join(name).join("times")),
            before,
            filtered: RefCell::default(),
        })
    }

    /// Says which kinds count from now on.
    ///
    /// # Errors
    ///
    /// What the settings answer.
    pub fn choose(&self, pass: Pass) -> Result<(), Errno> {
        // No cache is marked for the filter, and no allocation is of so high an order.
        let (filter, order) = match pass {
            Pass::Objects => ("N", "64"),
            Pass::Pages => ("Y", "0"),
        };
        let set = |at, value| fs::write(Path::new(DEBUGFS).join(at), value).map_err(errno_of);
        set("failslab/cache-filter", filter)?;
        set("fail_page_alloc/min-order", order)
    }

    /// Says from where on the stack faults come from now on: only from below the function `within`, if there is one, and not from
    /// below the function `without`. Both are the kernel's own. There can only be one of the latter; if there is none, it is the
    /// one that notes allocations for kmemleak.
    ///
    /// # Errors
    ///
    /// `ENOENT` where the kernel cannot look at the stack (`CONFIG_FAULT_INJECTION_STACKTRACE_FILTER`), or has no such function.
    pub fn filter(&self, within: Option<&str>, without: Option<&str>) -> Result<(), Errno> {
        let asked = Some((within.map(str::to_owned), without.map(str::to_owned)));
        if *self.filtered.borrow() == asked {
            return Ok(());
        }
        let depth = Path::new(DEBUGFS).join("failslab/stacktrace-depth");
        fs::metadata(depth).map_err(errno_of)?;
        self.filtered.replace(None);
        let within = within.map(function).transpose()?.unwrap_or(0..u64::MAX);
        // What the kernel notes of an allocation to find leaks is no part of a call, and has a reserve where there is no memory.
        let notes = || function("__alloc_object").unwrap_or(0..0);
        let without = without.map_or_else(|| Ok(notes()), function)?;
        for (_, kind) in KINDS {
            let folder = Path::new(DEBUGFS).join(kind);
            for (name, value) in [
                ("stacktrace-depth", 32),
                ("require-start", within.start),
                ("require-end", within.end),
                ("reject-start", without.start),
                ("reject-end", without.end),
            ] {
                fs::write(folder.join(name), format!("{value:#x}")).map_err(errno_of)?;
            }
        }
        self.filtered.replace(asked);
        Ok(())
    }

    /// Calls `call` while its `nth` fallible call in the kernel fails, and returns what kind that was; `None` when it made
    /// fewer.
    ///
    /// # Errors
    ///
    /// What `fail-nth` answers where it must not.
    pub fn armed<R>(&self, nth: u32, call: impl FnOnce() -> R) -> Result<(R, Option<Kind>), Errno> {
        let before = self.counts()?;
        let number = nth.to_string();
        // Touched already, so that the kernel need not find a page for it.
        let mut left = [0xff_u8; 16];
        pwrite(&self.nth, number.as_bytes(), 0)?;
        let result = call();
        let count = pread(&self.nth, &mut left, 0);
        // Whatever comes of this, nothing is left to fail: the copy that it begins with is counted too.
        let _ = pwrite(&self.nth, b"0", 0);
        let fired = match count {
            Ok(count) => left[..count].trim_ascii_end() == b"0",
            // The one that failed is the copy of the answer.
            Err(Errno::EFAULT) => false,
            Err(errno) => return Err(errno),
        };
        if !fired {
            return Ok((result, None));
        }
        let after = self.counts()?;
        let mut kinds = KINDS.iter().zip(before.iter().zip(&after));
        let kind = kinds.find(|(_, (before, after))| before != after);
        // One of them has counted, or the kernel is not what this was made for.
        let ((kind, _), _) = kind.ok_or(Errno::EPROTO)?;
        Ok((result, Some(*kind)))
    }

    /// How many fallible calls there are in `call`, of which none fails.
    ///
    /// # Errors
    ///
    /// What `fail-nth` answers.
    pub fn count<R>(&self, call: impl FnOnce() -> R) -> Result<(R, u32), Errno> {
        let mut left = [0xff_u8; 16];
        pwrite(&self.nth, TIMES.to_string().as_bytes(), 0)?;
        let result = call();
        let count = pread(&self.nth, &mut left, 0);
        let _ = pwrite(&self.nth, b"0", 0);
        let text = std::str::from_utf8(&left[..count?]).map_err(|_| Errno::EPROTO)?;
        let left: u32 = text.trim().parse().map_err(|_| Errno::EPROTO)?;
        Ok((result, TIMES - left))
    }

    fn counts(&self) -> Result<[u32; 3], Errno> {
        let mut counts = [0; 3];
        for (count, path) in counts.iter_mut().zip(&self.times) {
            let text = fs::read_to_string(path).map_err(errno_of)?;
            *count = text.trim().parse().map_err(|_| Errno::EPROTO)?;
        }
        Ok(counts)
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        for (path, value) in &self.before {
            if let Err(error) = fs::write(path, value) {
                println!("# {} was not set back: {error}", path.display());
            }
        }
    }
}

/// Where a function of the kernel's own is.
fn function(name: &str) -> Result<Range<u64>, Errno> {
    let text = fs::read_to_string("/proc/kallsyms").map_err(errno_of)?;
    let address = |line: &str| u64::from_str_radix(line.split(' ').next()?, 16).ok();
    let is_it = |line: &&str| line.split_ascii_whitespace().nth(2) == Some(name);
    let start = text
        .lines()
        .find(is_it)
        .and_then(address)
        .ok_or(Errno::ENOENT)?;
    // It ends where the next one begins, whatever that is.
    let next = text.lines().filter_map(address).filter(|at| *at > start);
    let end = next.min().ok_or(Errno::ENOENT)?;
    Ok(start..end)
}

/// Whether opening the settings failed because the kernel has none.
pub fn is_absent(errno: Errno) -> bool {
    errno == Errno::ENOENT
}
