// SPDX-License-Identifier: GPL-2.0-only

//! Reads and writes of regions.
//!
//! User space may ask for any length at any place. What is within the region goes to the driver in pieces of up to
//! [`CHUNK`] bytes, each with one call of the driver and one copy from or to user space; what is beyond
//! it is cut off, and the shorter count returned. An error in the middle ends the access with the count of what went
//! before it. A piece of a read that cannot be copied to user space is lost, as the device has already given it.

use super::{
    pci,
    pieces,
    region::Place,
    Device,
    Operations, //
};
use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice,
        UserSliceReader,
        UserSliceWriter, //
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
    // A PCI device has these, however many more it has.
    let is_of_pci = T::IS_PCI && place.index < pci::NUM_REGIONS;
    if !is_of_pci && place.index >= T::num_regions(device.data()) {
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
    let writer = UserSlice::new(buffer, count).writer();
    // Nearly all accesses are of one register.
    match count {
        0 => Ok(0),
        1 => read_register::<T, 1>(device, place, writer),
        2 => read_register::<T, 2>(device, place, writer),
        4 => read_register::<T, 4>(device, place, writer),
        8 => read_register::<T, 8>(device, place, writer),
        _ => read_pieces(device, place, count, writer),
    }
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
    let reader = UserSlice::new(buffer, count).reader();
    match count {
        0 => Ok(0),
        1 => write_register::<T, 1>(device, place, reader),
        2 => write_register::<T, 2>(device, place, reader),
        4 => write_register::<T, 4>(device, place, reader),
        8 => write_register::<T, 8>(device, place, reader),
        _ => write_pieces(device, place, count, reader),
    }
}

/// Reads `count` bytes at `place`, in pieces. Apart from the short ones, so that those need little of the stack.
#[inline(never)]
fn read_pieces<T: Operations>(
    device: &Device<T>,
    place: Place,
    count: usize,
    mut writer: UserSliceWriter,
) -> Result<usize> {
    pieces::each::<CHUNK>(count, |done, length| {
        let offset = place.offset + done as u64;
        let mut bounce = [0; CHUNK];
        let piece = bounce.get_mut(..length).ok_or(EINVAL)?;
        let moved = T::read(device.data(), place.index, offset, piece)?;
        // A driver that claims more than it was asked for gets no more.
        writer.write_slice(piece.get(..moved).unwrap_or(piece))?;
        Ok(moved)
    })
}

/// Writes `count` bytes at `place`, as [`read_pieces`] reads them.
#[inline(never)]
fn write_pieces<T: Operations>(
    device: &Device<T>,
    place: Place,
    count: usize,
    mut reader: UserSliceReader,
) -> Result<usize> {
    pieces::each::<CHUNK>(count, |done, length| {
        let offset = place.offset + done as u64;
        let mut bounce = [0; CHUNK];
        let piece = bounce.get_mut(..length).ok_or(EINVAL)?;
        reader.read_slice(piece)?;
        T::write(device.data(), place.index, offset, piece)
    })
}

/// Reads `N` bytes at `place`, one piece, whose length the compiler knows. As with longer ones, a driver may move less, and
/// one that claims more gets no more.
#[inline]
fn read_register<T: Operations, const N: usize>(
    device: &Device<T>,
    place: Place,
    mut writer: UserSliceWriter,
) -> Result<usize> {
    let mut bytes = [0; N];
    match T::read(device.data(), place.index, place.offset, &mut bytes)? {
        moved if moved < N => {
            writer.write_slice(bytes.get(..moved).unwrap_or_default())?;
            Ok(moved)
        }
        _ => writer.write(&bytes).map(|()| N),
    }
}

/// Writes `N` bytes at `place`, as [`read_register`] reads them.
#[inline]
fn write_register<T: Operations, const N: usize>(
    device: &Device<T>,
    place: Place,
    mut reader: UserSliceReader,
) -> Result<usize> {
    let bytes: [u8; N] = reader.read()?;
    T::write(device.data(), place.index, place.offset, &bytes).map(|moved| moved.min(N))
}
