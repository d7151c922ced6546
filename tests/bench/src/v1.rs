// SPDX-License-Identifier: GPL-2.0-only
//! Saving and restoring by the migration region, which the peer does not have: a read or write for each field, as the
//! protocol wants it, and one for the data.

use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use vfio_client::device::{file_offset, Device};
use vfio_client::migration::v1::{
    Region, DATA_OFFSET, DATA_SIZE, DEVICE_STATE, PENDING_BYTES, RESUMING, RUNNING, STOP_COPY,
};

use crate::calls;
use crate::v2::BUFFER;

/// The migration region of an open device.
pub struct Window {
    fd: RawFd,
    region: u32,
}

impl Window {
    /// The region of a device.
    ///
    /// # Errors
    ///
    /// `ENODEV` for a device that has none.
    pub fn new(device: &Device) -> Result<Self, Errno> {
        Ok(Window {
            fd: device.file().as_raw_fd(),
            region: Region::of(device)?.index,
        })
    }

    fn at(&self, offset: u64) -> i64 {
        file_offset(self.region, offset)
    }

    fn set_state(&self, state: u32) -> Result<(), Errno> {
        calls::pwrite(self.fd, &state.to_ne_bytes(), self.at(DEVICE_STATE))
    }

    fn field(&self, offset: u64) -> Result<u64, Errno> {
        let mut bytes = [0; 8];
        calls::pread(self.fd, &mut bytes, self.at(offset))?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Saves the whole state, and lets the device run again. Returns the stream's length.
    ///
    /// # Errors
    ///
    /// What an access answers; `ENOSPC` for a stream longer than the buffer.
    pub fn save(&self, buffer: &mut [u8; BUFFER]) -> Result<usize, Errno> {
        let mut length = 0;
        self.set_state(STOP_COPY)?;
        while self.field(PENDING_BYTES)? > 0 {
            let offset = self.field(DATA_OFFSET)?;
            let size = self.field(DATA_SIZE)? as usize;
            let chunk = buffer.get_mut(length..length + size);
            calls::pread(self.fd, chunk.ok_or(Errno::ENOSPC)?, self.at(offset))?;
            length += size;
        }
        self.set_state(RUNNING)?;
        Ok(length)
    }

    /// Restores the whole state, and lets the device run.
    ///
    /// # Errors
    ///
    /// What an access answers.
    pub fn restore(&self, stream: &[u8]) -> Result<(), Errno> {
        self.set_state(RESUMING)?;
        let offset = self.field(DATA_OFFSET)?;
        calls::pwrite(self.fd, stream, self.at(offset))?;
        let size = stream.len() as u64;
        calls::pwrite(self.fd, &size.to_ne_bytes(), self.at(DATA_SIZE))?;
        self.set_state(RUNNING)
    }
}
