// SPDX-License-Identifier: GPL-2.0-only
//! As much of a vfio device as it takes to move its state: protocol v2 through its character device and an iommufd.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use vfio_bindings::bindings::vfio::{
    vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY as PRE_COPY,
    vfio_device_mig_state_VFIO_DEVICE_STATE_RESUMING as RESUMING,
    vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING as RUNNING,
    vfio_device_mig_state_VFIO_DEVICE_STATE_STOP as STOP,
    vfio_device_mig_state_VFIO_DEVICE_STATE_STOP_COPY as STOP_COPY, VFIO_BASE,
    VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_SET, VFIO_TYPE,
};

const FEATURE: u32 = ((VFIO_TYPE as u32) << 8) | (VFIO_BASE + 17);
const BIND_IOMMUFD: u32 = ((VFIO_TYPE as u32) << 8) | (VFIO_BASE + 18);

/// More than any device here has.
const BUFFER: usize = 1 << 16;

/// `struct vfio_device_feature` with `struct vfio_device_feature_mig_state`, of `linux/vfio.h`.
#[repr(C)]
struct SetState {
    argsz: u32,
    flags: u32,
    device_state: u32,
    data_fd: i32,
}

/// `struct vfio_device_bind_iommufd` of `linux/vfio.h`, as it first was.
#[repr(C)]
struct Bind {
    argsz: u32,
    flags: u32,
    iommufd: i32,
    out_devid: u32,
}

/// An ioctl whose argument is a structure.
///
/// # Safety
///
/// The request must take a `T`.
unsafe fn ioctl<T>(file: &File, request: u32, argument: &mut T) -> io::Result<()> {
    // SAFETY: The argument is a `T`, borrowed exclusively, and the request takes one.
    let done = unsafe {
        libc::ioctl(
            file.as_raw_fd(),
            libc::Ioctl::from(request),
            std::ptr::from_mut(argument),
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// An open device.
pub struct Device {
    device: File,
    _iommufd: File,
}

impl Device {
    /// Opens the mediated device with that UUID.
    pub fn open(uuid: &str) -> io::Result<Self> {
        let directory = format!("/sys/bus/mdev/devices/{uuid}/vfio-dev");
        let entry = fs::read_dir(directory)?
            .next()
            .ok_or(io::ErrorKind::NotFound)??;
        let open = |path: &str| OpenOptions::new().read(true).write(true).open(path);
        let device = open(&format!(
            "/dev/vfio/devices/{}",
            entry.file_name().to_string_lossy()
        ))?;
        let iommufd = open("/dev/iommu")?;
        let mut bind = Bind {
            argsz: size_of::<Bind>() as u32,
            flags: 0,
            iommufd: iommufd.as_raw_fd(),
            out_devid: 0,
        };
        // SAFETY: It is the structure of that request.
        unsafe { ioctl(&device, BIND_IOMMUFD, &mut bind) }?;
        Ok(Self {
            device,
            _iommufd: iommufd,
        })
    }

    /// Takes the device to a state, and returns the data file if that gives one.
    fn set_state(&self, state: u32) -> io::Result<Option<File>> {
        let mut set = SetState {
            argsz: size_of::<SetState>() as u32,
            flags: VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
            device_state: state,
            data_fd: -1,
        };
        // SAFETY: It is the structure of that request.
        unsafe { ioctl(&self.device, FEATURE, &mut set) }?;
        Ok((set.data_fd >= 0).then(|| {
            // SAFETY: The kernel has just given the descriptor to us.
            File::from(unsafe { OwnedFd::from_raw_fd(set.data_fd) })
        }))
    }

    /// Stops the device, and lets it run again.
    pub fn stop(&self) -> io::Result<()> {
        self.set_state(STOP)?;
        self.set_state(RUNNING)?;
        Ok(())
    }

    /// Saves the whole state, with or without pre-copy, and lets the device run again. Returns the stream.
    pub fn save(&self, pre_copy: bool, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.resize(BUFFER, 0);
        let mut length = 0;
        let first = if pre_copy { PRE_COPY } else { STOP_COPY };
        let mut file = self.set_state(first)?.ok_or(io::ErrorKind::NotFound)?;
        if pre_copy {
            length = read_all(&mut file, buffer, length)?;
            self.set_state(STOP_COPY)?;
        }
        length = read_all(&mut file, buffer, length)?;
        drop(file);
        self.set_state(RUNNING)?;
        buffer.truncate(length);
        Ok(())
    }

    /// Restores the whole state, and lets the device run.
    pub fn restore(&self, stream: &[u8]) -> io::Result<()> {
        let mut file = self.set_state(RESUMING)?.ok_or(io::ErrorKind::NotFound)?;
        file.write_all(stream)?;
        drop(file);
        self.set_state(RUNNING)?;
        Ok(())
    }
}

/// Reads until there is no more, now or at all, and returns how far the buffer is filled.
fn read_all(file: &mut File, buffer: &mut [u8], mut length: usize) -> io::Result<usize> {
    loop {
        match file.read(&mut buffer[length..]) {
            Ok(0) => return Ok(length),
            Ok(count) => length += count,
            Err(error) if error.raw_os_error() == Some(libc::ENOMSG) => return Ok(length),
            Err(error) => return Err(error),
        }
    }
}
