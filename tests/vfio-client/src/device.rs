// SPDX-License-Identifier: GPL-2.0-only
//! A vfio device as its user sees it: opened through a group and a type 1 container or through
//! its own character device and an iommufd, and a thin layer over its calls that keeps every
//! errno and every short count.
//!
//! It stands beside the `vfio-ioctls` crate, which a case also drives, because that crate checks
//! arguments before the kernel sees them and turns errors into log lines.

use std::ffi::c_void;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::uio::{pread, pwrite};
use vfio_bindings::bindings::vfio::{
    VFIO_BASE, VFIO_DEVICE_FEATURE_PROBE, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_BOOL,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE, VFIO_TYPE,
};

use crate::memory::{Argument, Cliff, Frozen};
use crate::sysfs::errno_of;

/// A request of the vfio family, `_IO(VFIO_TYPE, VFIO_BASE + n)` of `linux/vfio.h`.
pub const fn request(n: u32) -> u32 {
    ((VFIO_TYPE as u32) << 8) | (VFIO_BASE + n)
}

/// The requests of `linux/vfio.h` that the cases use; bindgen cannot see through `_IO()`.
pub mod requests {
    use super::request;

    /// Sets a container's IOMMU type.
    pub const SET_IOMMU: u32 = request(2);
    /// Puts a group into a container.
    pub const GROUP_SET_CONTAINER: u32 = request(4);
    /// Gives a descriptor of a device in a group.
    pub const GROUP_GET_DEVICE_FD: u32 = request(6);
    /// Says what a device is.
    pub const GET_INFO: u32 = request(7);
    /// Says what a region is.
    pub const GET_REGION_INFO: u32 = request(8);
    /// Says what an interrupt index is.
    pub const GET_IRQ_INFO: u32 = request(9);
    /// Sets signalling, masking and unmasking.
    pub const SET_IRQS: u32 = request(10);
    /// Resets the device.
    pub const RESET: u32 = request(11);
    /// Gets, sets or probes a feature.
    pub const FEATURE: u32 = request(17);
    /// Binds a character device to an iommufd.
    pub const BIND_IOMMUFD: u32 = request(18);
    /// Attaches a bound device to an address space.
    pub const ATTACH_IOMMUFD_PT: u32 = request(19);
    /// Detaches it.
    pub const DETACH_IOMMUFD_PT: u32 = request(20);
    /// Allocates an address space in an iommufd, `IOMMU_IOAS_ALLOC` of `linux/iommufd.h`.
    pub const IOAS_ALLOC: u32 =
        ((iommufd_bindings::IOMMUFD_TYPE as u32) << 8) | iommufd_bindings::IOMMUFD_CMD_IOAS_ALLOC;
}

/// The way to a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// `/dev/vfio/GROUP` and a type 1 container.
    Group,
    /// `/dev/vfio/devices/vfioN` and `/dev/iommu`.
    Cdev,
}

/// An ioctl with a page as its argument.
///
/// # Errors
///
/// What the kernel answers.
pub fn ioctl(fd: BorrowedFd<'_>, request: u32, argument: &mut Argument) -> Result<i32, Errno> {
    // SAFETY: the requests of vfio and of iommufd that carry a structure read and write within
    // `argsz` bytes of it, and the page is longer than any of them; other requests ignore it.
    unsafe { ioctl_at(fd, request, argument.as_mut_ptr()) }
}

/// An ioctl with a plain number as its argument.
///
/// # Errors
///
/// What the kernel answers.
pub fn ioctl_number(fd: BorrowedFd<'_>, request: u32, argument: i32) -> Result<i32, Errno> {
    // SAFETY: the callers pass requests that take a number; a kernel that took it for an address
    // would fault in its own copy routine, as small numbers are never mapped.
    unsafe { ioctl_at(fd, request, argument as usize as *mut c_void) }
}

/// An ioctl whose argument has only `n` accessible bytes.
///
/// # Errors
///
/// What the kernel answers; `EFAULT` when it needs more.
pub fn ioctl_cliff(
    fd: BorrowedFd<'_>,
    request: u32,
    cliff: &mut Cliff,
    n: usize,
) -> Result<i32, Errno> {
    // SAFETY: what the kernel may touch is the accessible page, borrowed exclusively; behind it
    // nothing is mapped.
    unsafe { ioctl_at(fd, request, cliff.tail(n)) }
}

/// An ioctl whose argument cannot be written to.
///
/// # Errors
///
/// What the kernel answers; `EFAULT` when it writes an answer.
pub fn ioctl_frozen(fd: BorrowedFd<'_>, request: u32, argument: &mut Frozen) -> Result<i32, Errno> {
    // SAFETY: the page is longer than any argument, and borrowed exclusively; a write to it fails in the kernel's own
    // copy routine.
    unsafe { ioctl_at(fd, request, argument.as_mut_ptr()) }
}

/// # Safety
///
/// What the request reads or writes through the argument must be the caller's to give.
unsafe fn ioctl_at(fd: BorrowedFd<'_>, request: u32, argument: *mut c_void) -> Result<i32, Errno> {
    // SAFETY: the caller answers for the argument.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), libc::Ioctl::from(request), argument) })
}

/// What a region is: `struct vfio_region_info`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Region {
    /// `VFIO_REGION_INFO_FLAG_*`.
    pub flags: u32,
    /// In bytes.
    pub size: u64,
    /// From the start of the device's file.
    pub offset: u64,
}

/// The group of a device, open and in a container of its own.
#[derive(Debug)]
pub struct Group {
    // In the order in which they must close: the group leaves the container first.
    group: File,
    _container: File,
}

impl Group {
    /// Opens the group of a device, given the device's directory in sysfs.
    ///
    /// # Errors
    ///
    /// `EBUSY` when it is open already; what the container's calls answer.
    pub fn open(device: &Path) -> Result<Self, Errno> {
        let link = fs::read_link(device.join("iommu_group")).map_err(errno_of)?;
        let number = link.file_name().ok_or(Errno::ENODEV)?;
        let group = open_rw(&Path::new("/dev/vfio").join(number))?;
        let container = open_rw(Path::new("/dev/vfio/vfio"))?;
        let mut argument = Argument::words(&[container.as_raw_fd() as u32]);
        ioctl(group.as_fd(), requests::GROUP_SET_CONTAINER, &mut argument)?;
        let kind = vfio_bindings::bindings::vfio::VFIO_TYPE1v2_IOMMU;
        ioctl_number(container.as_fd(), requests::SET_IOMMU, kind as i32)?;
        Ok(Group {
            group,
            _container: container,
        })
    }

    /// Its descriptor.
    pub fn fd(&self) -> i32 {
        self.group.as_raw_fd()
    }

    /// A new descriptor of the device with this name.
    ///
    /// # Errors
    ///
    /// `ENODEV` when the group has none of this name.
    pub fn device(&self, name: &str) -> Result<File, Errno> {
        let mut argument = Argument::filled(0);
        argument.put(0, name.as_bytes());
        let fd = ioctl(
            self.group.as_fd(),
            requests::GROUP_GET_DEVICE_FD,
            &mut argument,
        )?;
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}

/// The character device of a device, not bound to anything.
///
/// # Errors
///
/// `ENOENT` when it has none; what open(2) answers.
pub fn open_cdev(device: &Path) -> Result<File, Errno> {
    let mut entries = fs::read_dir(device.join("vfio-dev")).map_err(errno_of)?;
    let entry = entries.next().ok_or(Errno::ENOENT)?.map_err(errno_of)?;
    open_rw(&Path::new("/dev/vfio/devices").join(entry.file_name()))
}

/// Binds a character device to an iommufd.
///
/// # Errors
///
/// What the ioctl answers.
pub fn bind(cdev: &File, iommufd: &File) -> Result<(), Errno> {
    let mut argument = Argument::words(&[24, 0, iommufd.as_raw_fd() as u32, 0, 0, 0]);
    ioctl(cdev.as_fd(), requests::BIND_IOMMUFD, &mut argument).map(|_| ())
}

/// An open, usable device.
#[derive(Debug)]
pub struct Device {
    // Closed before what holds it, in this order.
    file: File,
    held_by: HeldBy,
    name: String,
}

/// What must stay open as long as a device is in use.
#[derive(Debug)]
enum HeldBy {
    Group(Group),
    Iommufd { _file: File },
}

impl Device {
    /// Opens a device, given its directory in sysfs.
    ///
    /// # Errors
    ///
    /// What any of the calls on the way answers.
    pub fn open(directory: &Path, access: Access) -> Result<Self, Errno> {
        let name = directory
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .ok_or(Errno::ENODEV)?;
        let (file, held_by) = match access {
            Access::Group => {
                let group = Group::open(directory)?;
                (group.device(&name)?, HeldBy::Group(group))
            }
            Access::Cdev => {
                let cdev = open_cdev(directory)?;
                let iommufd = open_rw(Path::new("/dev/iommu"))?;
                bind(&cdev, &iommufd)?;
                let mut ioas = Argument::words(&[12, 0, 0]);
                ioctl(iommufd.as_fd(), requests::IOAS_ALLOC, &mut ioas)?;
                let mut attach = Argument::words(&[12, 0, ioas.get(8)]);
                ioctl(cdev.as_fd(), requests::ATTACH_IOMMUFD_PT, &mut attach)?;
                (cdev, HeldBy::Iommufd { _file: iommufd })
            }
        };
        Ok(Device {
            file,
            held_by,
            name,
        })
    }

    /// Another descriptor from the same group; `None` where there is no group.
    pub fn open_again(&self) -> Option<Result<File, Errno>> {
        match &self.held_by {
            HeldBy::Group(group) => Some(group.device(&self.name)),
            HeldBy::Iommufd { .. } => None,
        }
    }

    /// The device's file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Puts another descriptor of the same device in place of the first, which is returned.
    pub fn replace_file(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    /// Any ioctl with a page as its argument.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn ioctl(&self, request: u32, argument: &mut Argument) -> Result<i32, Errno> {
        ioctl(self.file.as_fd(), request, argument)
    }

    /// `VFIO_DEVICE_GET_INFO`: flags, number of regions, number of interrupt indexes.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn info(&self) -> Result<(u32, u32, u32), Errno> {
        let mut info = Argument::words(&[16]);
        self.ioctl(requests::GET_INFO, &mut info)?;
        Ok((info.get(4), info.get(8), info.get(12)))
    }

    /// `VFIO_DEVICE_GET_REGION_INFO`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an index that the device does not have.
    pub fn region(&self, index: u32) -> Result<Region, Errno> {
        let mut info = Argument::words(&[32, 0, index]);
        self.ioctl(requests::GET_REGION_INFO, &mut info)?;
        Ok(Region {
            flags: info.get(4),
            size: info.get64(16),
            offset: info.get64(24),
        })
    }

    /// `VFIO_DEVICE_GET_IRQ_INFO`: flags and count.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an index that the device does not have.
    pub fn irq(&self, index: u32) -> Result<(u32, u32), Errno> {
        let mut info = Argument::words(&[16, 0, index]);
        self.ioctl(requests::GET_IRQ_INFO, &mut info)?;
        Ok((info.get(4), info.get(12)))
    }

    /// `VFIO_DEVICE_SET_IRQS` with the `argsz` that fits the data.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn set_irqs(
        &self,
        flags: u32,
        index: u32,
        start: u32,
        count: u32,
        data: &[u8],
    ) -> Result<(), Errno> {
        let mut set = Argument::words(&[20 + data.len() as u32, flags, index, start, count]);
        set.put(20, data);
        self.ioctl(requests::SET_IRQS, &mut set).map(|_| ())
    }

    /// Does an action to interrupt 0 of an index at once (`DATA_NONE`).
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn irq_now(&self, action: u32, index: u32) -> Result<(), Errno> {
        self.set_irqs(VFIO_IRQ_SET_DATA_NONE | action, index, 0, 1, &[])
    }

    /// Does an action to interrupt 0 of an index if the byte is not zero (`DATA_BOOL`).
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn irq_bool(&self, action: u32, index: u32, byte: u8) -> Result<(), Errno> {
        self.set_irqs(VFIO_IRQ_SET_DATA_BOOL | action, index, 0, 1, &[byte])
    }

    /// Ties an action of interrupt 0 of an index to a descriptor; -1 unties it.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn irq_fd(&self, action: u32, index: u32, fd: i32) -> Result<(), Errno> {
        let flags = VFIO_IRQ_SET_DATA_EVENTFD | action;
        self.set_irqs(flags, index, 0, 1, &fd.to_ne_bytes())
    }

    /// Disables an index as a whole.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn irq_disable(&self, index: u32) -> Result<(), Errno> {
        let flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
        self.set_irqs(flags, index, 0, 0, &[])
    }

    /// `VFIO_DEVICE_RESET`.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn reset(&self) -> Result<(), Errno> {
        self.ioctl(requests::RESET, &mut Argument::filled(0))
            .map(|_| ())
    }

    /// Probes a feature, optionally with the GET and SET flags.
    ///
    /// # Errors
    ///
    /// `ENOTTY` when the device does not offer it.
    pub fn probe_feature(&self, feature: u32, how: u32) -> Result<(), Errno> {
        let flags = feature | how | VFIO_DEVICE_FEATURE_PROBE;
        self.ioctl(requests::FEATURE, &mut Argument::words(&[8, flags]))
            .map(|_| ())
    }

    /// Reads from a region; the count may be short.
    ///
    /// # Errors
    ///
    /// What pread(2) answers.
    pub fn read(&self, index: u32, at: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        pread(&self.file, buffer, file_offset(index, at))
    }

    /// Writes to a region; the count may be short.
    ///
    /// # Errors
    ///
    /// What pwrite(2) answers.
    pub fn write(&self, index: u32, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
        pwrite(&self.file, bytes, file_offset(index, at))
    }

    /// Reads exactly `N` bytes.
    ///
    /// # Errors
    ///
    /// What pread(2) answers; `EIO` for a short count.
    pub fn get<const N: usize>(&self, index: u32, at: u64) -> Result<[u8; N], Errno> {
        let mut bytes = [0; N];
        match self.read(index, at, &mut bytes)? {
            count if count == N => Ok(bytes),
            _ => Err(Errno::EIO),
        }
    }

    /// Writes all the bytes.
    ///
    /// # Errors
    ///
    /// What pwrite(2) answers; `EIO` for a short count.
    pub fn put(&self, index: u32, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        match self.write(index, at, bytes)? {
            count if count == bytes.len() => Ok(()),
            _ => Err(Errno::EIO),
        }
    }

    /// Reads `len` bytes into a buffer of which only the first `valid` are accessible.
    ///
    /// # Errors
    ///
    /// What pread(2) answers.
    pub fn read_cliff(
        &self,
        index: u32,
        at: u64,
        len: usize,
        cliff: &mut Cliff,
        valid: usize,
    ) -> Result<usize, Errno> {
        let (fd, offset) = (self.file.as_raw_fd(), file_offset(index, at));
        // SAFETY: the kernel writes at most to the accessible page, borrowed exclusively; behind
        // it nothing is mapped.
        let count = unsafe { libc::pread(fd, cliff.tail(valid), len, offset) };
        Errno::result(count).map(|count| count as usize)
    }

    /// Writes `len` bytes from a buffer of which only the first `valid` are accessible.
    ///
    /// # Errors
    ///
    /// What pwrite(2) answers.
    pub fn write_cliff(
        &self,
        index: u32,
        at: u64,
        len: usize,
        cliff: &Cliff,
        valid: usize,
    ) -> Result<usize, Errno> {
        let (fd, offset) = (self.file.as_raw_fd(), file_offset(index, at));
        // SAFETY: the kernel reads at most the accessible page, and writes nothing.
        let count = unsafe { libc::pwrite(fd, cliff.tail(valid), len, offset) };
        Errno::result(count).map(|count| count as usize)
    }
}

/// Where a region's byte lies in the device's file: the region's index is above bit 40.
pub const fn file_offset(index: u32, at: u64) -> i64 {
    (((index as u64) << 40) + at) as i64
}

/// Opens a file for reading and writing.
///
/// # Errors
///
/// What open(2) answers.
pub fn open_rw(path: &Path) -> Result<File, Errno> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(errno_of)
}
