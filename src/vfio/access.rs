// SPDX-License-Identifier: GPL-2.0-only

//! Reads and writes of regions.
//!
//! User space may ask for any length at any place. What is within the region goes to the driver in pieces of up to
//! [`CHUNK`] bytes, each with one call of the driver and one copy from or to user space; what is beyond
//! it is cut off, and the shorter count returned. An error in the middle ends the access with the count of what went
//! before it. A piece of a read that cannot be copied to user space is lost, as the device has already given it.

use super::{
    region::Place,
    Device,
    Operations, //
};
use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// The length of a piece, in bytes: all of a PCI configuration space, and little enough for the stack.
const CHUNK: usize = 256;

/// Returns how many of `count` bytes at `place` are within the region.
///
/// # Errors
///
/// `EINVAL` when the place is not.
fn clamp<T: Operations>(device: &Device<T>, place: Place, count: usize) -> Result<usize> {
    if place.index >= T::num_regions(device.data()) {
        return Err(EINVAL);
    }
    let size = T::region_info(device.data(), place.index).size();
    match size.checked_sub(place.offset) {
        None | Some(0) => Err(EINVAL),
        Some(left) => Ok(count.min(usize::try_from(left).unwrap_or(usize::MAX))),
    }
}

/// Does an access of `count` bytes piece by piece. `step` is told where a piece begins and how long it is at most, and
/// returns how much of it was done; less than all ends the access, and so does an error.
fn each_chunk(
    place: Place,
    count: usize,
    mut step: impl FnMut(u64, usize) -> Result<usize>,
) -> Result<usize> {
    let mut done = 0;
    while done < count {
        let length = CHUNK.min(count - done);
        match step(place.offset + done as u64, length) {
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

/// Reads `count` bytes of the device file from `position` into `buffer`.
///
/// # Errors
///
/// `EINVAL` when there is nothing at the position, `EFAULT`, or what the driver says.
pub(super) fn read<T: Operations>(
    device: &Device<T>,
    buffer: UserPtr,
    count: usize,
    position: i64,
) -> Result<usize> {
    let place = Place::new(position)?;
    let count = clamp(device, place, count)?;
    let mut writer = UserSlice::new(buffer, count).writer();

    each_chunk(place, count, |offset, length| {
        let mut bounce = [0; CHUNK];
        let piece = bounce.get_mut(..length).ok_or(EINVAL)?;
        let moved = T::read(device.data(), place.index, offset, piece)?;
        // A driver that claims more than it was asked for gets no more.
        writer.write_slice(piece.get(..moved).unwrap_or(piece))?;
        Ok(moved)
    })
}

/// Writes `count` bytes from `buffer` to the device file at `position`.
///
/// # Errors
///
/// As for [`read`].
pub(super) fn write<T: Operations>(
    device: &Device<T>,
    buffer: UserPtr,
    count: usize,
    position: i64,
) -> Result<usize> {
    let place = Place::new(position)?;
    let count = clamp(device, place, count)?;
    let mut reader = UserSlice::new(buffer, count).reader();

    each_chunk(place, count, |offset, length| {
        let mut bounce = [0; CHUNK];
        let piece = bounce.get_mut(..length).ok_or(EINVAL)?;
        reader.read_slice(piece)?;
        T::write(device.data(), place.index, offset, piece)
    })
}

#[cfg_attr(CONFIG_MIGDEV_KUNIT_TEST, kunit_tests(migdev_vfio_access))]
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        index: 0,
        offset: 16,
    };

    #[test]
    fn pieces_follow_one_another_to_the_last_byte() {
        let mut next = PLACE.offset;
        let done = each_chunk(PLACE, 2 * CHUNK + 3, |offset, length| {
            assert_eq!(offset, next);
            assert!(length <= CHUNK);
            next += length as u64;
            Ok(length)
        });
        assert!(done == Ok(2 * CHUNK + 3));
        assert_eq!(next, PLACE.offset + 2 * CHUNK as u64 + 3);
    }

    #[test]
    fn up_to_a_configuration_space_is_one_piece() {
        for count in [1, 2, 4, 8, CHUNK] {
            let mut pieces = 0;
            let done = each_chunk(PLACE, count, |_, length| {
                pieces += 1;
                Ok(length)
            });
            assert!(done == Ok(count));
            assert_eq!(pieces, 1);
        }
    }

    #[test]
    fn an_error_after_some_bytes_ends_the_access_with_their_count() {
        let fail_at = |piece: u64| {
            move |offset: u64, length: usize| {
                if offset == PLACE.offset + piece * CHUNK as u64 {
                    Err(EFAULT)
                } else {
                    Ok(length)
                }
            }
        };
        assert!(each_chunk(PLACE, 3 * CHUNK, fail_at(2)) == Ok(2 * CHUNK));
        assert!(each_chunk(PLACE, 3 * CHUNK, fail_at(0)) == Err(EFAULT));
    }

    #[test]
    fn less_than_was_asked_for_ends_the_access() {
        assert!(each_chunk(PLACE, 3 * CHUNK, |_, length| Ok(length - 1)) == Ok(CHUNK - 1));
    }

    #[test]
    fn a_driver_that_claims_too_much_gets_what_was_asked_for() {
        assert!(each_chunk(PLACE, 2 * CHUNK, |_, _| Ok(usize::MAX)) == Ok(2 * CHUNK));
    }
}
