// SPDX-License-Identifier: GPL-2.0-only
//! Runs each case in a process of its own, so that one that hangs or dies loses one case, and listens to the kernel
//! meanwhile: a case during which the kernel complains has failed, whatever it found itself.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{kill, Signal};
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::{fork, pipe, ForkResult, Pid};
use vfio_client::kmsg::Kmsg;
use vfio_client::ktap::{Miss, Outcome};
use vfio_client::sysfs::remove;
use vfio_client::wait::poll_while;

use crate::case::Case;
use crate::world::{devices, World};

/// What in the kernel's log tells that something is wrong; as in tools/guest/run.
const TROUBLE: [&str; 12] = [
    "cut here ]",
    "BUG: ",
    "Oops",
    "WARNING: ",
    "UBSAN: ",
    "KCSAN: ",
    "possible recursive locking",
    "suspicious RCU",
    "possible circular locking",
    "inconsistent lock state",
    "unreferenced object",
    "blocked for more than",
];

/// How long a process may take to die, and a device to be removed, before it is left where it is.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// Runs cases and prints what came of them.
pub struct Runner<'a> {
    world: &'a World,
    /// The parent whose devices are removed after a case that did not.
    parent: &'a str,
    limit: Duration,
    next: usize,
    failed: usize,
}

impl<'a> Runner<'a> {
    /// Prints the header of a report with this many cases, of which each may take this long.
    pub fn start(world: &'a World, parent: &'a str, limit: Duration, planned: usize) -> Self {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        println!("KTAP version 1\n1..{planned}");
        println!("# device {}\n# kernel {}", world.name(), release.trim());
        Runner {
            world,
            parent,
            limit,
            next: 1,
            failed: 0,
        }
    }

    /// Runs one case and prints its line.
    pub fn run(&mut self, name: &str, case: &Case) {
        let number = self.next;
        self.next += 1;
        // If the kernel dies of it, the console shows where.
        let _ = fs::write("/dev/kmsg", format!("<5>conformance: {name}"));
        let before = devices(self.parent);
        let mut log = Kmsg::from_now();
        let outcome = self.alone(case);
        for uuid in devices(self.parent) {
            if !before.contains(&uuid) {
                remove_late(&uuid);
            }
        }
        let said = match log.as_mut().map(Kmsg::lines) {
            Ok(Ok(lines)) => lines,
            Ok(Err(errno)) | Err(&mut errno) => {
                self.failed(number, name, &format!("the kernel's log: {errno}"));
                return;
            }
        };
        let complaint = said.into_iter().find(|line| {
            TROUBLE.iter().any(|trouble| line.contains(trouble)) && !line.contains("cut here ]")
        });
        match (complaint, outcome) {
            (Some(line), _) => self.failed(number, name, &format!("kernel: {}", short(&line))),
            (None, Ok(())) => println!("ok {number} {name}"),
            (None, Err(Miss::Skipped(reason))) => println!("ok {number} {name} # SKIP {reason}"),
            (None, Err(Miss::Failed(reason))) => self.failed(number, name, &reason),
        }
        // A guest may be cut off at any time: what is known must have left by then.
        let _ = std::io::stdout().flush();
    }

    fn failed(&mut self, number: usize, name: &str, reason: &str) {
        self.failed += 1;
        for line in reason.lines() {
            println!("# {line}");
        }
        println!("not ok {number} {name}");
    }

    /// Ends the run; true when nothing failed.
    pub fn finish(self) -> bool {
        println!("# {} cases, {} failed", self.next - 1, self.failed);
        self.failed == 0
    }

    fn alone(&self, case: &Case) -> Outcome {
        let (reader, writer) = pipe()?;
        // SAFETY: this process has one thread, so that the child may do whatever it likes.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(reader);
                answer(writer, self.world, case)
            }
            ForkResult::Parent { child } => {
                drop(writer);
                self.outcome(reader, child)
            }
        }
    }

    /// What the child tells before it ends, or how it ended.
    fn outcome(&self, reader: OwnedFd, child: Pid) -> Outcome {
        let end = Instant::now() + self.limit;
        let mut text = String::new();
        let mut reader = File::from(reader);
        let told = loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) => break false,
                Err(Errno::EINTR) => {}
                _ => break reader.read_to_string(&mut text).is_ok(),
            }
        };
        if !told {
            let _ = kill(child, Signal::SIGKILL);
            let how = if reap(child) {
                "was ended"
            } else {
                "cannot be ended"
            };
            let text = format!("hung: after {:?} it {how}", self.limit);
            return Err(Miss::Failed(text));
        }
        let ended = waitpid(child, None);
        match text.split_once(' ') {
            Some(("ok", _)) => Ok(()),
            Some(("skip", reason)) => Err(Miss::Skipped(reason.to_owned())),
            Some(("failed", reason)) => Err(Miss::Failed(reason.to_owned())),
            _ => Err(Miss::Failed(format!("the client died: {ended:?}"))),
        }
    }
}

/// A line of the log without where the kernel was built: paths begin in its source.
fn short(line: &str) -> String {
    let word = |word: &str| match word.rsplit_once("/linux/") {
        Some((_, path)) if word.starts_with('/') => path.to_owned(),
        _ => word.to_owned(),
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The child's part.
fn answer(writer: OwnedFd, world: &World, case: &Case) -> ! {
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (case.run)(world)));
    let text = match tried {
        Ok(Ok(())) => "ok ".to_owned(),
        Ok(Err(Miss::Skipped(reason))) => format!("skip {reason}"),
        Ok(Err(Miss::Failed(reason))) => format!("failed {reason}"),
        Err(_) => "failed the client panicked; see standard error".to_owned(),
    };
    let _ = File::from(writer).write_all(text.as_bytes());
    // SAFETY: the process ends here; nothing of what it holds is needed again.
    unsafe { libc::_exit(0) }
}

/// Waits for a process to end, for [`LAST_CHANCE`]. Whether it did.
fn reap(child: Pid) -> bool {
    let look = || waitpid(child, Some(WaitPidFlag::WNOHANG));
    let is_alive = |status: &_| *status == Ok(WaitStatus::StillAlive);
    let status = poll_while(LAST_CHANCE, Duration::from_millis(20), look, is_alive);
    !is_alive(&status)
}

/// Removes a device that a case left, unless that takes too long: a process of its own does it.
fn remove_late(uuid: &str) {
    // SAFETY: this process has one thread, so that the child may do whatever it likes.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            let _ = remove(&std::path::Path::new("/sys/bus/mdev/devices").join(uuid));
            // SAFETY: the process ends here; nothing of what it holds is needed again.
            unsafe { libc::_exit(0) }
        }
        Ok(ForkResult::Parent { child }) => {
            if !reap(child) {
                println!("# {uuid} cannot be removed");
            }
        }
        Err(errno) => println!("# {uuid} was not removed: {errno}"),
    }
}
