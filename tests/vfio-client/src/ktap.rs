// SPDX-License-Identifier: GPL-2.0-only
//! What a case answers, and how a run is told: KTAP version 1 on standard output.
//!
//! A case returns `Ok(())` when the device kept its promise, a [`Miss`] otherwise. A run that
//! hangs is ended by a watchdog that names the case, so that a guest never waits for it.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::errno::Errno;

/// How long one case may take: many times what the slowest needs on an emulated machine that others keep busy.
pub const CASE_LIMIT: Duration = Duration::from_secs(60);

/// Why a case did not pass.
#[derive(Debug)]
pub enum Miss {
    /// The promise was broken; the text says what was expected and what came.
    Failed(String),
    /// The case does not apply to this device or path; the text says why.
    Skipped(String),
}

/// What a case returns.
pub type Outcome = Result<(), Miss>;

impl From<Errno> for Miss {
    fn from(errno: Errno) -> Self {
        Miss::Failed(format!("a call that should succeed failed: {errno}"))
    }
}

impl From<std::io::Error> for Miss {
    fn from(error: std::io::Error) -> Self {
        Miss::Failed(format!("a call that should succeed failed: {error}"))
    }
}

/// Skips the case with a formatted reason.
#[macro_export]
macro_rules! skip {
    ($($text:tt)+) => {
        return Err($crate::ktap::Miss::Skipped(format!($($text)+)))
    };
}

/// Fails the case unless the condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::ktap::Miss::Failed(format!($($text)+)));
        }
    };
}

/// Fails the case unless both sides are equal; says what was compared.
#[macro_export]
macro_rules! check_eq {
    ($got:expr, $want:expr, $($text:tt)+) => {{
        let (got, want) = (&$got, &$want);
        if got != want {
            return Err($crate::ktap::Miss::Failed(format!(
                "{}: got {:x?}, want {:x?}", format!($($text)+), got, want)));
        }
    }};
}

/// Fails the case unless the call failed with this error.
#[macro_export]
macro_rules! check_errno {
    ($call:expr, $want:ident, $($text:tt)+) => {
        match $call {
            Err(nix::errno::Errno::$want) => {}
            other => return Err($crate::ktap::Miss::Failed(format!(
                "{}: got {:?}, want {}", format!($($text)+), other, stringify!($want)))),
        }
    };
}

pub use crate::{check, check_eq, check_errno, skip};

/// Writes the report and counts what was in it.
pub struct Report {
    next: usize,
    failed: usize,
    current: Arc<Mutex<Option<(String, Instant)>>>,
    stop: Arc<AtomicBool>,
}

impl Report {
    /// Prints the header and the plan, and starts the watchdog.
    pub fn start(planned: usize) -> Self {
        Report::start_with_limit(planned, CASE_LIMIT)
    }

    /// The same for cases that may take up to `limit` each.
    pub fn start_with_limit(planned: usize, limit: Duration) -> Self {
        println!("KTAP version 1\n1..{planned}");
        let current = Arc::new(Mutex::new(None::<(String, Instant)>));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, ended) = (Arc::clone(&current), Arc::clone(&stop));
        std::thread::spawn(move || watch(&seen, &ended, limit));
        Report {
            next: 1,
            failed: 0,
            current,
            stop,
        }
    }

    /// Runs one case and prints its line.
    pub fn run(&mut self, name: &str, case: impl FnOnce() -> Outcome) {
        let number = self.next;
        self.next += 1;
        *self.current.lock().expect("the watchdog does not panic") =
            Some((format!("{number} {name}"), Instant::now()));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(case));
        *self.current.lock().expect("the watchdog does not panic") = None;
        match caught {
            Ok(Ok(())) => println!("ok {number} {name}"),
            Ok(Err(Miss::Skipped(reason))) => println!("ok {number} {name} # SKIP {reason}"),
            Ok(Err(Miss::Failed(reason))) => {
                self.failed += 1;
                for line in reason.lines() {
                    println!("# {line}");
                }
                println!("not ok {number} {name}");
            }
            Err(_) => {
                self.failed += 1;
                println!("# the client panicked; see standard error\nnot ok {number} {name}");
            }
        }
        // A guest may be cut off at any time: what is known must have left by then.
        let _ = std::io::stdout().flush();
    }

    /// Ends the run; true when nothing failed.
    pub fn finish(self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        println!("# {} cases, {} failed", self.next - 1, self.failed);
        self.failed == 0
    }
}

fn watch(current: &Mutex<Option<(String, Instant)>>, stop: &AtomicBool, limit: Duration) {
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(500));
        let stuck = match &*current.lock().expect("the runner does not panic here") {
            Some((name, since)) if since.elapsed() > limit => Some(name.clone()),
            _ => None,
        };
        if let Some(name) = stuck {
            println!("# still running after {limit:?}; the run ends here\nnot ok {name}");
            let _ = std::io::stdout().flush();
            std::process::exit(1);
        }
    }
}
