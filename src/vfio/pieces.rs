// SPDX-License-Identifier: GPL-2.0-only

//! Long reads and writes, done in pieces that fit the stack.

use kernel::prelude::*;

/// Does an access of `count` bytes in pieces of up to `N`, and returns how many were done.
///
/// `step` is told how many bytes were done before and how long the piece is at most, and returns how much of it was done. Less
/// than all ends the access.
///
/// # Errors
///
/// What the first `step` fails with. An error after some bytes ends the access with their count.
pub(super) fn each<const N: usize>(
    count: usize,
    mut step: impl FnMut(usize, usize) -> Result<usize>,
) -> Result<usize> {
    let mut done = 0;
    while done < count {
        let length = N.min(count - done);
        match step(done, length) {
            Ok(moved) => {
                done += moved.min(length);
                if moved < length {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

#[cfg_attr(CONFIG_MIGDEV_KUNIT_TEST, kunit_tests(migdev_vfio_pieces))]
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
mod tests {
    use super::*;

    const N: usize = 256;

    #[test]
    fn pieces_follow_one_another_to_the_last_byte() {
        let mut next = 0;
        let done = each::<N>(2 * N + 3, |done, length| {
            assert_eq!(done, next);
            assert!(length <= N);
            next += length;
            Ok(length)
        });
        assert!(done == Ok(2 * N + 3));
        assert_eq!(next, 2 * N + 3);
    }

    #[test]
    fn what_fits_is_one_piece() {
        for count in [1, 3, N] {
            let mut pieces = 0;
            let done = each::<N>(count, |_, length| {
                pieces += 1;
                Ok(length)
            });
            assert!(done == Ok(count));
            assert_eq!(pieces, 1);
        }
    }

    #[test]
    fn an_error_after_some_bytes_ends_the_access_with_their_count() {
        let fail_at = |at: usize| {
            move |done: usize, length: usize| {
                if done == at {
                    Err(EFAULT)
                } else {
                    Ok(length)
                }
            }
        };
        assert!(each::<N>(3 * N, fail_at(2 * N)) == Ok(2 * N));
        assert!(each::<N>(3 * N, fail_at(0)) == Err(EFAULT));
    }

    #[test]
    fn less_than_was_asked_for_ends_the_access() {
        assert!(each::<N>(3 * N, |_, length| Ok(length - 1)) == Ok(N - 1));
    }

    #[test]
    fn a_step_that_claims_too_much_gets_what_was_asked_for() {
        assert!(each::<N>(2 * N, |_, _| Ok(usize::MAX)) == Ok(2 * N));
    }
}
