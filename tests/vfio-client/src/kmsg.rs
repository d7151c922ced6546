// SPDX-License-Identifier: GPL-2.0-only
//! The kernel's log, from a moment on: what did it say while something was done?

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;

use crate::sysfs::errno_of;

/// Lines that a kernel says by itself some time after its start, whoever does what.
const UNRELATED: [&str; 5] = ["random:", "clocksource:", "tsc:", "hrtimer:", "sched:"];

/// How a kernel with `CONFIG_DEBUG_KOBJECT_RELEASE` begins a line, at level "info", for each object that is released.
/// What it complains of under the same name is at a more urgent level, and counts.
const RELEASED: &str = "kobject: ";

/// The levels of the log, `LOGLEVEL_*` of `linux/kern_levels.h`, of which a greater one is less urgent.
const LEVEL_INFO: u32 = 6;

/// The log from the moment this was made.
pub struct Kmsg(File);

impl Kmsg {
    /// Stands at the end of the log.
    ///
    /// # Errors
    ///
    /// What open(2) of `/dev/kmsg` answers.
    pub fn from_now() -> Result<Self, Errno> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .map_err(errno_of)?;
        file.seek(SeekFrom::End(0)).map_err(errno_of)?;
        Ok(Kmsg(file))
    }

    /// The kernel's own lines since then, without those that have nothing to do with a driver.
    ///
    /// # Errors
    ///
    /// What read(2) answers.
    pub fn lines(&mut self) -> Result<Vec<String>, Errno> {
        let mut lines = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            match self.0.read(&mut buffer) {
                Ok(count) => {
                    let record = String::from_utf8_lossy(&buffer[..count]);
                    lines.extend(kernel_line(&record));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(lines),
                // Records were overwritten before they were read: so many that it matters.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {
                    lines.push("(the log overflowed)".to_owned());
                }
                Err(error) => return Err(errno_of(error)),
            }
        }
    }
}

/// The text of a record, if the kernel wrote it (facility 0) and it concerns us.
fn kernel_line(record: &str) -> Option<String> {
    let (prefix, text) = record.split_once(';')?;
    let priority: u32 = prefix.split(',').next()?.parse().ok()?;
    let text = text.lines().next().unwrap_or_default();
    let (facility, level) = (priority >> 3, priority & 7);
    let related = !UNRELATED.iter().any(|start| text.starts_with(start));
    let released = level >= LEVEL_INFO && text.starts_with(RELEASED);
    (facility == 0 && related && !released).then(|| text.to_owned())
}
