// SPDX-License-Identifier: GPL-2.0-only
//! The feature protocol, `VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE` and what belongs to it, and its data file.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::unistd::{read, write};
use vfio_bindings::bindings::vfio::{
    vfio_device_mig_state_VFIO_DEVICE_STATE_ERROR,
    vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY,
    vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY_P2P,
    vfio_device_mig_state_VFIO_DEVICE_STATE_RESUMING,
    vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING,
    vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING_P2P,
    vfio_device_mig_state_VFIO_DEVICE_STATE_STOP,
    vfio_device_mig_state_VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_FEATURE_GET,
    VFIO_DEVICE_FEATURE_MIGRATION, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
    VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_SET,
};

use crate::device::{ioctl, request, requests, Device};
use crate::memory::{Argument, Cliff};
use crate::sysfs::errno_of;

/// Failed; left by a reset only.
pub const ERROR: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_ERROR;
/// Does nothing by itself.
pub const STOP: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_STOP;
/// As it is when opened.
pub const RUNNING: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING;
/// Stopped, and its state can be read.
pub const STOP_COPY: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_STOP_COPY;
/// Stopped, and a state can be written.
pub const RESUMING: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_RESUMING;
/// Running, and it starts no DMA to other devices.
pub const RUNNING_P2P: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING_P2P;
/// Running, and what can be sent early can be read.
pub const PRE_COPY: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY;
/// Both of that.
pub const PRE_COPY_P2P: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY_P2P;

/// All states that a device can be asked for, and that it can be in without having failed.
pub const STATES: [u32; 7] = [
    STOP,
    RUNNING,
    STOP_COPY,
    RESUMING,
    RUNNING_P2P,
    PRE_COPY,
    PRE_COPY_P2P,
];

/// `VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2`.
pub const PRECOPY_INFO_V2: u32 = 12;

/// `VFIO_MIG_GET_PRECOPY_INFO`, a request to a data file.
pub const GET_PRECOPY_INFO: u32 = request(21);

/// Whether this is one of the states that share a data file for saving.
pub fn saves(state: u32) -> bool {
    [PRE_COPY, PRE_COPY_P2P, STOP_COPY].contains(&state)
}

/// `VFIO_DEVICE_FEATURE_MIGRATION`: which states there are.
///
/// # Errors
///
/// `ENOTTY` for a device that does not migrate.
pub fn flags(device: &Device) -> Result<u64, Errno> {
    get64(device, VFIO_DEVICE_FEATURE_MIGRATION)
}

/// `VFIO_DEVICE_FEATURE_MIG_DATA_SIZE`: how many bytes stop-copy will take.
///
/// # Errors
///
/// What the kernel answers.
pub fn data_size(device: &Device) -> Result<u64, Errno> {
    get64(device, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE)
}

fn get64(device: &Device, feature: u32) -> Result<u64, Errno> {
    let mut argument = Argument::words(&[16, feature | VFIO_DEVICE_FEATURE_GET]);
    device.ioctl(requests::FEATURE, &mut argument)?;
    Ok(argument.get64(8))
}

/// The state that the device is in.
///
/// # Errors
///
/// What the kernel answers; `EBADFD` when it gives a data file, which only a change of state does.
pub fn state(device: &Device) -> Result<u32, Errno> {
    let feature = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_GET;
    let mut argument = Argument::words(&[16, feature, u32::MAX, 0]);
    device.ioctl(requests::FEATURE, &mut argument)?;
    match argument.get(12) as i32 {
        -1 => Ok(argument.get(8)),
        _ => Err(Errno::EBADFD),
    }
}

/// Asks for a state, and returns the data file if one was opened.
///
/// # Errors
///
/// What the kernel answers.
pub fn set(device: &Device, state: u32) -> Result<Option<DataFile>, Errno> {
    let feature = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET;
    let mut argument = Argument::words(&[16, feature, state, 0]);
    device.ioctl(requests::FEATURE, &mut argument)?;
    match argument.get(12) as i32 {
        -1 => Ok(None),
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        fd => Ok(Some(DataFile(File::from(unsafe {
            OwnedFd::from_raw_fd(fd)
        })))),
    }
}

/// Asks for a state that opens a data file.
///
/// # Errors
///
/// What the kernel answers; `EBADF` when it gave none.
pub fn open(device: &Device, state: u32) -> Result<DataFile, Errno> {
    set(device, state)?.ok_or(Errno::EBADF)
}

/// The whole state of a device that runs, which is stopped afterwards.
///
/// # Errors
///
/// What the kernel answers.
pub fn save(device: &Device) -> Result<Vec<u8>, Errno> {
    let file = open(device, STOP_COPY)?;
    let stream = file.drain(4096)?;
    set(device, STOP)?;
    Ok(stream)
}

/// Gives a state to a device, which runs with it afterwards.
///
/// # Errors
///
/// What the kernel answers.
pub fn load(device: &Device, stream: &[u8]) -> Result<(), Errno> {
    let file = open(device, RESUMING)?;
    file.feed(stream, stream.len())?;
    set(device, RUNNING).map(|_| ())
}

/// What is left to read, as `struct vfio_precopy_info` has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PrecopyInfo {
    /// `VFIO_PRECOPY_INFO_*`.
    pub flags: u32,
    /// Of what is sent first.
    pub initial: u64,
    /// Of what changed since.
    pub dirty: u64,
}

/// The file through which a state leaves or enters a device.
#[derive(Debug)]
pub struct DataFile(File);

impl From<File> for DataFile {
    fn from(file: File) -> Self {
        DataFile(file)
    }
}

impl DataFile {
    /// Reads; the count may be short.
    ///
    /// # Errors
    ///
    /// What read(2) answers.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        read(&self.0, buffer)
    }

    /// Writes; the count may be short.
    ///
    /// # Errors
    ///
    /// What write(2) answers.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        write(&self.0, bytes)
    }

    /// Reads pieces until there is no more, for good or for now.
    ///
    /// # Errors
    ///
    /// What read(2) answers, `ENOMSG` excepted.
    pub fn drain(&self, piece: usize) -> Result<Vec<u8>, Errno> {
        let (mut all, mut buffer) = (Vec::new(), vec![0; piece]);
        loop {
            match self.read(&mut buffer) {
                Ok(0) | Err(Errno::ENOMSG) => return Ok(all),
                Ok(count) => all.extend(&buffer[..count]),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Writes all, in pieces.
    ///
    /// # Errors
    ///
    /// What write(2) answers; `EIO` when it takes nothing.
    pub fn feed(&self, mut bytes: &[u8], piece: usize) -> Result<(), Errno> {
        while !bytes.is_empty() {
            match self.write(&bytes[..piece.min(bytes.len())])? {
                0 => return Err(Errno::EIO),
                count => bytes = &bytes[count..],
            }
        }
        Ok(())
    }

    /// Reads `length` bytes into a buffer of which only the first `valid` are accessible.
    ///
    /// # Errors
    ///
    /// What read(2) answers.
    pub fn read_cliff(
        &self,
        length: usize,
        cliff: &mut Cliff,
        valid: usize,
    ) -> Result<usize, Errno> {
        // SAFETY: the kernel writes at most to the accessible page, borrowed exclusively; behind
        // it nothing is mapped.
        let count = unsafe { libc::read(self.0.as_raw_fd(), cliff.tail(valid), length) };
        Errno::result(count).map(|count| count as usize)
    }

    /// Writes `length` bytes from a buffer of which only the first `valid` are accessible.
    ///
    /// # Errors
    ///
    /// What write(2) answers.
    pub fn write_cliff(&self, length: usize, cliff: &Cliff, valid: usize) -> Result<usize, Errno> {
        // SAFETY: the kernel reads at most the accessible page, and writes nothing.
        let count = unsafe { libc::write(self.0.as_raw_fd(), cliff.tail(valid), length) };
        Errno::result(count).map(|count| count as usize)
    }

    /// What poll(2) says of it after at most this long; empty when it has nothing to say.
    ///
    /// # Errors
    ///
    /// What poll(2) answers.
    pub fn events(&self, wait: Duration) -> Result<PollFlags, Errno> {
        let timeout = PollTimeout::try_from(wait).map_err(|_| Errno::EINVAL)?;
        let asked = PollFlags::POLLIN | PollFlags::POLLOUT;
        let mut fds = [PollFd::new(self.0.as_fd(), asked)];
        poll(&mut fds, timeout)?;
        Ok(fds[0].revents().unwrap_or(PollFlags::empty()))
    }

    /// `VFIO_MIG_GET_PRECOPY_INFO` with this `argsz`.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn precopy_info(&self, argsz: u32) -> Result<PrecopyInfo, Errno> {
        let mut argument = Argument::filled(0xa5);
        argument.set(0, argsz);
        ioctl(self.0.as_fd(), GET_PRECOPY_INFO, &mut argument)?;
        Ok(PrecopyInfo {
            flags: argument.get(4),
            initial: argument.get64(8),
            dirty: argument.get64(16),
        })
    }

    /// Whether it has been cut off from its device. Asks by moving a byte.
    pub fn is_disabled(&self) -> bool {
        let moved = match self.read(&mut [0]) {
            Err(Errno::EBADF) => self.write(&[0]),
            moved => moved,
        };
        moved == Err(Errno::ENODEV)
    }

    /// Another descriptor of it.
    ///
    /// # Errors
    ///
    /// What dup(2) answers.
    pub fn duplicate(&self) -> Result<Self, Errno> {
        self.0.try_clone().map(DataFile).map_err(errno_of)
    }

    /// Its descriptor, for other calls.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
