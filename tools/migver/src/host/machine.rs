// SPDX-License-Identifier: GPL-2.0-only

//! What an inventory says of the machine itself: its name, its kernel, and the time.

use crate::Error;

use std::{
    env,
    path::Path,
    time::{
        SystemTime,
        UNIX_EPOCH, //
    }, //
};

/// Reads a value of `sys/kernel` in the procfs that is mounted beside `sysfs`; empty if it cannot
/// be read.
pub fn kernel_value(sysfs: &Path, name: &str) -> String {
    let path = sysfs.join("../proc/sys/kernel").join(name);
    let value = super::attribute::read(&path);
    value.ok().flatten().unwrap_or_default()
}

/// Returns the time as RFC 3339 writes it in UTC, to the second: that of `SOURCE_DATE_EPOCH`, if
/// the environment has it, else now.
///
/// # Errors
///
/// If `SOURCE_DATE_EPOCH` is not a number of seconds since 1970, before the year 10000.
pub fn time() -> Result<String, Error> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let Some(value) = env::var_os(NAME) else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        return Ok(rfc3339(now.map_or(0, |now| now.as_secs())).unwrap_or_default());
    };
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .and_then(rfc3339)
        .ok_or_else(|| {
            Error::new(NAME, "not a number of seconds since 1970")
                .hint("unset it to have the time of now")
        })
}

/// Writes seconds since 1970 as a date and time; [`None`] from the year 10000 on.
fn rfc3339(seconds: u64) -> Option<String> {
    const DAY: u64 = 24 * 60 * 60;
    let (mut day, second) = (seconds / DAY, seconds % DAY);
    let mut year = 1970;
    loop {
        let days = if is_leap(year) { 366 } else { 365 };
        if day < days {
            break;
        }
        day -= days;
        year += 1;
        if year == 10_000 {
            return None;
        }
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let day = day + 1;
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
}

const fn is_leap(year: u64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_dates_as_date_does() {
        // Each is what `date -u -d @SECONDS +%FT%TZ` of coreutils prints.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds).as_deref(), Some(text));
        }
        assert_eq!(rfc3339(253_402_300_800), None);
    }
}
