// SPDX-License-Identifier: GPL-2.0-only
//! The log of DMA, `VFIO_DEVICE_FEATURE_DMA_LOGGING_*`.

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
    VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_SET,
};

use crate::device::{requests, Device};
use crate::memory::Argument;

/// Starts the log for these ranges, each an address and a length, and returns the page size that the device took.
///
/// # Errors
///
/// What the kernel answers.
pub fn start(device: &Device, page_size: u64, ranges: &[(u64, u64)]) -> Result<u64, Errno> {
    let list: Vec<u64> = ranges.iter().flat_map(|(at, size)| [*at, *size]).collect();
    start_at(device, page_size, ranges.len() as u32, list.as_ptr() as u64)
}

/// Starts the log for as many ranges as are said to be at an address.
///
/// # Errors
///
/// What the kernel answers.
pub fn start_at(device: &Device, page_size: u64, count: u32, ranges: u64) -> Result<u64, Errno> {
    let feature = VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET;
    let mut argument = Argument::words(&[32, feature]);
    argument.put(8, &page_size.to_ne_bytes());
    argument.set(16, count);
    argument.put(24, &ranges.to_ne_bytes());
    device.ioctl(requests::FEATURE, &mut argument)?;
    Ok(argument.get64(8))
}

/// Stops the log.
///
/// # Errors
///
/// What the kernel answers.
pub fn stop(device: &Device) -> Result<(), Errno> {
    let feature = VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | VFIO_DEVICE_FEATURE_SET;
    let mut argument = Argument::words(&[8, feature]);
    device.ioctl(requests::FEATURE, &mut argument).map(|_| ())
}

/// Adds what was written to memory to a bitmap, which must be long enough.
///
/// # Errors
///
/// What the kernel answers.
pub fn report(
    device: &Device,
    (at, size): (u64, u64),
    page_size: u64,
    bitmap: &mut [u64],
) -> Result<(), Errno> {
    let feature = VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT | VFIO_DEVICE_FEATURE_GET;
    let mut argument = Argument::words(&[40, feature]);
    for (index, value) in [at, size, page_size, bitmap.as_mut_ptr() as u64]
        .iter()
        .enumerate()
    {
        argument.put(8 + 8 * index, &value.to_ne_bytes());
    }
    device.ioctl(requests::FEATURE, &mut argument).map(|_| ())
}
