// SPDX-License-Identifier: GPL-2.0-only
//! Waiting for what comes late, but not for ever.
//!
//! A kernel gives back some things after the call that ended their use, and one with `CONFIG_DEBUG_KOBJECT_RELEASE` holds on
//! to each object for up to four seconds more.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Looks again and again, with a `pause` in between, as long as what is seen is not settled, for at most the time `limit`
/// and one look more. Returns what was seen last.
///
/// However long this process is kept from running, the last look of those that saw nothing settled begins after `limit`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use vfio_client::wait::poll_while;
///
/// let (limit, pause) = (Duration::from_secs(5), Duration::from_millis(1));
/// let mut looks = 0..;
/// assert_eq!(poll_while(limit, pause, || looks.next(), |seen| *seen < Some(3)), Some(3));
/// ```
pub fn poll_while<T>(
    limit: Duration,
    pause: Duration,
    mut look: impl FnMut() -> T,
    is_unsettled: impl Fn(&T) -> bool,
) -> T {
    let start = Instant::now();
    loop {
        let is_last = start.elapsed() >= limit;
        let seen = look();
        if is_last || !is_unsettled(&seen) {
            return seen;
        }
        sleep(pause);
    }
}

/// Looks again and again, with a `pause` in between, until it has seen the same for the time `quiet`, for at most the time
/// `limit` and one look more. Returns what was seen last.
pub fn poll_until_quiet<T: PartialEq>(
    limit: Duration,
    pause: Duration,
    quiet: Duration,
    mut look: impl FnMut() -> T,
) -> T {
    let (mut seen, mut since) = (look(), Instant::now());
    let still = || {
        let now = look();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        since.elapsed()
    };
    poll_while(limit, pause, still, |still| *still < quiet);
    seen
}

/// Whether this kernel releases objects seconds late, to find who uses them too long. It says so at each release.
pub fn releases_late() -> bool {
    fs::read_to_string("/proc/kallsyms")
        .is_ok_and(|symbols| symbols.contains(" kobject_delayed_cleanup\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_until_it_is_settled_and_no_more() {
        let mut looks = 0;
        let look = || {
            looks += 1;
            looks
        };
        let seen = poll_while(Duration::MAX, Duration::ZERO, look, |seen| *seen < 5);
        assert_eq!((seen, looks), (5, 5));
    }

    #[test]
    fn gives_up_after_the_limit_with_what_it_saw_then() {
        let limit = Duration::from_millis(20);
        let start = Instant::now();
        let look = || start.elapsed();
        let seen = poll_while(limit, Duration::from_millis(1), look, |_| true);
        assert!(seen >= limit);
    }

    #[test]
    fn looks_once_without_any_time() {
        let mut looks = 0;
        poll_while(Duration::ZERO, Duration::MAX, || looks += 1, |()| true);
        assert_eq!(looks, 1);
    }

    #[test]
    fn returns_what_stays_and_not_what_passes() {
        let mut looks = 0;
        let look = || {
            looks += 1;
            looks.min(5)
        };
        let quiet = Duration::from_millis(5);
        let seen = poll_until_quiet(Duration::MAX, Duration::from_millis(1), quiet, look);
        assert_eq!(seen, 5);
        assert!(looks > 5);
    }
}
