// SPDX-License-Identifier: GPL-2.0-only
//! What was allocated and is not referred to any more, after all the faults.

use std::fs;
use std::time::Duration;

use vfio_client::ktap::{check, skip, Outcome};

/// Where the kernel tells what it found.
const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// Forgets what there is to be found already; false where the kernel does not look.
pub fn forget() -> bool {
    fs::write(KMEMLEAK, "scan").is_ok() && fs::write(KMEMLEAK, "clear").is_ok()
}

/// Checks that nothing was found since.
///
/// # Errors
///
/// Fails the case with what the kernel tells of it.
pub fn nothing_leaked(looks: bool) -> Outcome {
    if !looks {
        skip!("this kernel does not look for leaks");
    }
    // What is new is not looked at, and releases come late.
    let wait = Duration::from_secs(6);
    let mut found = String::new();
    for _ in 0..2 {
        std::thread::sleep(wait);
        fs::write(KMEMLEAK, "scan")?;
        found = fs::read_to_string(KMEMLEAK)?;
    }
    check!(found.is_empty(), "{found}");
    Ok(())
}
