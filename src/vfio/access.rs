// SPDX-License-Identifier: GPL-2.0-only

//! Reads and writes of regions.
//!
//! User space may ask for any length at any place. What is within the region goes to the driver in pieces of up to
//! [`CHUNK`] bytes, each with one call of the driver and one copy from or to user space; what is beyond
//! it is cut off, and the shorter count returned. An error in the middle ends the access with the count of what went
//! before it. A piece of a read that cannot be copied to user space is lost, as the device has already given it.

use super::{
    pieces,
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

    pieces::each::<CHUNK>(count, |done, length| {
        let mut bounce = [0; CHUNK];
        let piece = bounce.get_mut(..length).ok_or(EINVAL)?;
        let offset = place.offset + done as u64;
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

    pieces::each::<CHUNK>(count, |done, length| {
        let mut bounce = [0; CHUNK];
        let piece = bounce.get_mut(..length).ok_or(EINVAL)?;
        reader.read_slice(piece)?;
        let offset = place.offset + done as u64;
        T::write(device.data(), place.index, offset, piece)
    })
}
