// SPDX-License-Identifier: GPL-2.0-only
//! Saving and restoring by the feature protocol: as many system calls as it takes, and no more.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_SET,
};
use vfio_client::device::requests;
use vfio_client::migration::v2::{PRE_COPY, RESUMING, RUNNING, STOP, STOP_COPY};

use crate::calls;

/// More than any device here has.
pub const BUFFER: usize = 4096;

/// Takes the device to a state, and returns the data file if that gives one.
fn set_state(device: RawFd, state: u32) -> Result<Option<OwnedFd>, Errno> {
    let feature = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
    // `struct vfio_device_feature` with `struct vfio_device_feature_mig_state`, of `linux/vfio.h`.
    let mut argument = [16, feature, state, u32::MAX];
    calls::ioctl(device, requests::FEATURE, &mut argument)?;
    let fd = argument[3] as i32;
    Ok((fd >= 0).then(|| calls::owned(fd)))
}

/// Stops the device, and lets it run again.
///
/// # Errors
///
/// What the kernel answers.
pub fn stop_and_run(device: RawFd) -> Result<(), Errno> {
    set_state(device, STOP)?;
    set_state(device, RUNNING).map(drop)
}

/// Saves the whole state, with or without pre-copy, and lets the device run again. Returns the stream's length.
///
/// # Errors
///
/// What the kernel answers; `ENOSPC` for a stream that fills the buffer.
pub fn save(device: RawFd, pre_copy: bool, buffer: &mut [u8; BUFFER]) -> Result<usize, Errno> {
    let mut length = 0;
    let first = if pre_copy { PRE_COPY } else { STOP_COPY };
    let file = set_state(device, first)?.ok_or(Errno::EBADF)?;
    if pre_copy {
        length = read_all(file.as_raw_fd(), buffer, length)?;
        set_state(device, STOP_COPY)?;
    }
    length = read_all(file.as_raw_fd(), buffer, length)?;
    drop(file);
    set_state(device, RUNNING)?;
    Ok(length)
}

/// Restores the whole state, and lets the device run.
///
/// # Errors
///
/// What the kernel answers.
pub fn restore(device: RawFd, stream: &[u8]) -> Result<(), Errno> {
    let file = set_state(device, RESUMING)?.ok_or(Errno::EBADF)?;
    calls::write(file.as_raw_fd(), stream)?;
    drop(file);
    set_state(device, RUNNING).map(drop)
}

/// Reads until there is no more, now or at all, and returns how far the buffer is filled.
fn read_all(file: RawFd, buffer: &mut [u8; BUFFER], mut length: usize) -> Result<usize, Errno> {
    loop {
        let rest = buffer.get_mut(length..).ok_or(Errno::ENOSPC)?;
        match calls::read(file, rest) {
            Ok(0) | Err(Errno::ENOMSG) => return Ok(length),
            Ok(count) => length += count,
            Err(errno) => return Err(errno),
        }
    }
}
