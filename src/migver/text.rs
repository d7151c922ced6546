// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Characters, names and their order.
//!
//! The functions that a driver's own description goes through are `const`, so that a wrong
//! description can fail the build instead of the load.

use super::MAX_NAME_LEN;

use core::cmp::Ordering;

/// Whether a byte may stand in a string at all.
///
/// These bytes need no quoting in a shell, in XML, in JSON and in one segment of a URL path.
pub(super) const fn is_text(byte: u8) -> bool {
    is_value(byte) || matches!(byte, b',' | b'=')
}

/// Whether a byte may stand in the value of an extension.
pub(super) const fn is_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'+' | b'-')
}

/// Whether a byte may stand in a name.
pub(super) const fn is_name(byte: u8) -> bool {
    is_name_core(byte) || matches!(byte, b'.' | b'_' | b'-')
}

/// Whether a byte may begin and end a name.
const fn is_name_core(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether `name` is a name: at most [`MAX_NAME_LEN`] lower-case letters and digits, with single
/// `.`, `_` or `-` between them.
pub(super) const fn name_is_valid(name: &str) -> bool {
    name_error(name).is_none()
}

/// Returns the offset at which `name` stops being a name, or [`None`] if it is one.
///
/// The offset is the length of `name` if something is missing at its end.
pub(super) const fn name_error(name: &str) -> Option<usize> {
    let mut rest = name.as_bytes();
    let mut at: usize = 0;
    let mut after_core = false;
    while let [byte, tail @ ..] = rest {
        if at == MAX_NAME_LEN {
            return Some(at);
        } else if is_name_core(*byte) {
            after_core = true;
        } else if after_core && is_name(*byte) {
            after_core = false;
        } else {
            return Some(at);
        }
        at = at.saturating_add(1);
        rest = tail;
    }
    if after_core {
        None
    } else {
        Some(at)
    }
}

/// Whether `value` is the value of an extension: 1 to [`MAX_NAME_LEN`] bytes of its characters.
pub(super) const fn value_is_valid(value: &str) -> bool {
    let mut rest = value.as_bytes();
    if rest.is_empty() || rest.len() > MAX_NAME_LEN {
        return false;
    }
    while let [byte, tail @ ..] = rest {
        if !is_value(*byte) {
            return false;
        }
        rest = tail;
    }
    true
}

/// Orders two names by their bytes, as `Ord for str` does, where that cannot be called yet.
pub(super) const fn order(left: &str, right: &str) -> Ordering {
    let mut left = left.as_bytes();
    let mut right = right.as_bytes();
    loop {
        match (left, right) {
            ([], []) => return Ordering::Equal,
            ([], _) => return Ordering::Less,
            (_, []) => return Ordering::Greater,
            ([a, left_tail @ ..], [b, right_tail @ ..]) => {
                if *a < *b {
                    return Ordering::Less;
                }
                if *a > *b {
                    return Ordering::Greater;
                }
                left = left_tail;
                right = right_tail;
            }
        }
    }
}

/// Splits `text` after its longest beginning all of whose bytes `belong`.
pub(super) fn split(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    let mut rest = text.as_bytes();
    let mut length: usize = 0;
    while let [byte, tail @ ..] = rest {
        if !belongs(*byte) {
            break;
        }
        length = length.saturating_add(1);
        rest = tail;
    }
    // All of our text is ASCII, so that it can be split anywhere.
    match (text.get(..length), text.get(length..)) {
        (Some(before), Some(rest)) => (before, rest),
        _ => (text, ""),
    }
}

/// Splits `text` before and after the first `separator` in it.
pub(super) fn split_once(text: &str, separator: u8) -> Option<(&str, &str)> {
    let (before, rest) = split(text, |byte| byte != separator);
    match rest.as_bytes() {
        [_, ..] => Some((before, rest.get(1..)?)),
        [] => None,
    }
}

/// Returns the number of which `text` is the only spelling: decimal digits without leading zeros.
pub(super) const fn number(text: &str) -> Option<u64> {
    let mut rest = text.as_bytes();
    if matches!(rest, [] | [b'0', _, ..]) {
        return None;
    }
    let mut number: u64 = 0;
    while let [byte, tail @ ..] = rest {
        if !byte.is_ascii_digit() {
            return None;
        }
        let digit = byte.saturating_sub(b'0') as u64;
        number = match number.checked_mul(10) {
            Some(tens) => match tens.checked_add(digit) {
                Some(sum) => sum,
                None => return None,
            },
            None => return None,
        };
        rest = tail;
    }
    Some(number)
}

/// Returns the number of decimal digits of `number`.
pub(super) const fn digits(mut number: u64) -> usize {
    let mut count: usize = 1;
    while number >= 10 {
        number /= 10;
        // At most 20 digits.
        count = count.saturating_add(1);
    }
    count
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_text)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn takes_names() {
        for name in ["a", "0", "3com", "hisi_acc", "example.com", "a-b.c_d"] {
            assert!(name_is_valid(name));
        }
    }

    #[test]
    fn refuses_what_is_not_a_name() {
        for name in [
            "", "A", "a--b", "-a", "a-", ".", "a/b", "a=b", "a b", "a+b", "é",
        ] {
            assert!(!name_is_valid(name));
        }
    }

    #[test]
    fn bounds_the_length_of_names() {
        let longest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";
        let longer = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        assert_eq!(longest.len(), MAX_NAME_LEN);
        assert!(name_is_valid(longest));
        assert!(!name_is_valid(longer));
        assert!(value_is_valid(longest));
        assert!(!value_is_valid(longer));
    }

    #[test]
    fn tells_where_a_name_breaks() {
        assert!(name_error("") == Some(0));
        assert!(name_error("A") == Some(0));
        assert!(name_error("ab--c") == Some(3));
        assert!(name_error("ab-") == Some(3));
        assert!(name_error("ab-c").is_none());
    }

    #[test]
    fn takes_no_byte_that_needs_quoting() {
        for byte in 0..=u8::MAX {
            let plain = byte.is_ascii_alphanumeric() || b"._:,+=-".contains(&byte);
            assert_eq!(is_text(byte), plain);
        }
    }

    #[test]
    fn orders_as_str_does() {
        let names = ["", "a", "a-b", "a.b", "a0", "aa", "ab", "b"];
        for left in names {
            for right in names {
                assert!(order(left, right) == left.cmp(right));
            }
        }
    }

    #[test]
    fn splits_before_the_first_byte_that_does_not_belong() {
        assert!(split("", is_name) == ("", ""));
        assert!(split("a=b", is_name) == ("a", "=b"));
        assert!(split("=b", is_name) == ("", "=b"));
        assert!(split("ab", is_name) == ("ab", ""));
        assert!(split_once("a=b=c", b'=') == Some(("a", "b=c")));
        assert!(split_once("a=", b'=') == Some(("a", "")));
        assert!(split_once("a", b'=').is_none());
    }

    #[test]
    fn reads_one_spelling_of_each_number() {
        assert!(number("0") == Some(0));
        assert!(number("10") == Some(10));
        assert!(number("18446744073709551615") == Some(u64::MAX));
        for text in ["", "00", "01", "+1", "-1", "1a", "18446744073709551616"] {
            assert!(number(text).is_none());
        }
    }

    #[test]
    fn counts_digits() {
        assert_eq!(digits(0), 1);
        assert_eq!(digits(9), 1);
        assert_eq!(digits(10), 2);
        assert_eq!(digits(u64::from(u32::MAX)), 10);
        assert_eq!(digits(u64::MAX), 20);
    }
}
