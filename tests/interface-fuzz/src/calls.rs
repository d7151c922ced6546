// SPDX-License-Identifier: GPL-2.0-only
//! The calls that programs consist of: each with its name, its arguments, and the errors that are documented for it.

use nix::errno::Errno::{self, *};

use crate::kinds::Kind::{self, *};
use crate::world::{data, device, region, stream, sysfs, World};

/// What a call answered; `None` when there was nothing to make it on.
pub type Answer = Option<Result<u64, Errno>>;

/// One call.
pub struct Call {
    /// How it stands in a program.
    pub name: &'static str,
    /// What its arguments are, each by its name and kind.
    pub arguments: &'static [Kind],
    /// How often it is chosen.
    pub weight: usize,
    /// The errors that are documented for it: by `linux/vfio.h`, by the manual page of the system call, by the ABI of
    /// the driver.
    pub errnos: &'static [Errno],
    /// Makes it.
    pub run: fn(&mut World, &[u64]) -> Answer,
}

/// What a request that takes a structure answers when the structure is wrong or not there.
const STRUCTURE: &[Errno] = &[EINVAL, EFAULT];
/// What setting interrupts answers: what is no eventfd, and what is masked by one.
const INTERRUPTS: &[Errno] = &[EINVAL, EFAULT, EBADF, EBUSY, ENOTTY];
/// What a feature answers; too many ranges and too long ones are the VFIO core's.
const FEATURES: &[Errno] = &[EINVAL, ENOTTY, EFAULT, EBUSY, E2BIG, EOVERFLOW];
/// What any request answers: also that the device cannot be bound again, to what is no iommufd, nor attached by PASID.
const REQUESTS: &[Errno] = &[
    EINVAL, ENOTTY, EFAULT, EBADF, ENOENT, EBUSY, E2BIG, EOPNOTSUPP,
];
/// What reading a region answers.
const ACCESS: &[Errno] = &[EINVAL, EFAULT];
/// What asking for a state answers, also of a device that does not migrate.
const STATE: &[Errno] = &[EINVAL, ENOTTY];
/// Why a stream that comes through the region is refused, as `Documentation/migration-stream.rst` says; and that it comes
/// through a data file.
const REFUSED: &[Errno] = &[
    EINVAL, EFAULT, EBUSY, EBADMSG, EPROTO, EXDEV, ERANGE, EOPNOTSUPP, EFBIG,
];
/// The same for a data file, which may be over or one to be read, or which there is none of.
const WRITTEN: &[Errno] = &[
    EINVAL, ENOTTY, EFAULT, EBADF, ENODEV, EBADMSG, EPROTO, EXDEV, ERANGE, EOPNOTSUPP, EFBIG,
];
/// What reading a data file answers.
const READ: &[Errno] = &[EBADF, EFAULT, ENODEV, ENOMSG];
/// What comparing versions and holding a type answer, as `Documentation/ABI` says; and files that are not there or not to
/// be written.
const ATTRIBUTES: &[Errno] = &[
    E2BIG, EINVAL, EXDEV, EPROTO, EOPNOTSUPP, ERANGE, EBUSY, ESPIPE, ENOENT, EACCES,
];

macro_rules! calls {
    ($($name:literal ($($kind:ident)*) $weight:literal $errnos:expr, $run:path;)*) => {
        &[$(Call {
            name: $name,
            arguments: &[$($kind),*],
            weight: $weight,
            errnos: $errnos,
            run: $run,
        }),*]
    };
}

/// All calls.
#[rustfmt::skip]
pub const CALLS: &[Call] = calls! {
    // The device and its file.
    "open" (Device Way) 6 &[EBUSY, ENODEV, ENOENT], device::open;
    "close" (Device) 3 &[], device::close;
    "again" (Device) 2 &[ENODEV], device::again;
    "create" (Device) 1 &[], device::create;
    "remove" (Device) 1 &[], device::remove;
    // The requests of the device's file.
    "info" (Device Memory Argsz) 1 STRUCTURE, device::info;
    "region_info" (Device Memory Argsz Region) 2 STRUCTURE, device::region_info;
    "irq_info" (Device Memory Argsz Irq) 2 STRUCTURE, device::irq_info;
    "irqs" (Device Memory Argsz IrqFlags Irq Few Few Fd Fd) 8 INTERRUPTS, device::set_irqs;
    "signal" (Fd) 2 &[], device::signal;
    "reset" (Device) 2 &[], device::reset;
    "feature" (Device Memory Argsz Feature Word Word Memory Word) 6 FEATURES, device::feature;
    "ioctl" (Device Request Memory Argsz Word) 2 REQUESTS, device::any;
    // Regions.
    "read" (Device Memory Region Offset Length) 8 ACCESS, region::read;
    "write" (Device Memory Region Offset Length Value) 12 REFUSED, region::write;
    "pread" (Device Position Length) 2 ACCESS, region::read_at;
    "pwrite" (Device Position Length Value) 2 REFUSED, region::write_at;
    "mmap" (Device Mapping Region Offset Length MapFlags) 3 &[EINVAL, EACCES, ENOMEM], region::map;
    "touch" (Mapping Place Value) 2 &[], region::touch;
    "unmap" (Mapping) 1 &[], region::unmap;
    "scene" (Device Scene) 3 &[], region::scene;
    // Migration by the feature, and its data files.
    "mig" (Device File State) 12 STATE, data::set_state;
    "data_read" (File Memory Length) 6 READ, data::read;
    "data_write" (File Memory Length Value) 2 WRITTEN, data::write;
    "data_ioctl" (File Request Memory Argsz) 3 &[EINVAL, ENOTTY, EFAULT], data::ioctl;
    "data_poll" (File) 3 &[], data::poll;
    "data_seek" (File Position) 1 &[ESPIPE, EINVAL], data::seek;
    "data_dup" (File File) 1 &[], data::duplicate;
    "data_close" (File) 1 &[], data::close;
    "data_map" (File Length) 1 &[ENODEV, EACCES, EINVAL, ENOMEM], data::map;
    "data_splice" (File Length) 1 &[EINVAL, EBADF, ESPIPE], data::splice;
    "drain" (File Length) 3 READ, data::drain;
    "feed" (File Length) 6 WRITTEN, data::feed;
    "save" (Device) 2 STATE, data::save;
    "load" (Device) 2 WRITTEN, data::load;
    // Migration by the region.
    "v1_state" (Device DeviceState) 8 ACCESS, region::set_state;
    "v1_pending" (Device) 2 ACCESS, region::pending;
    "v1_take" (Device) 3 ACCESS, region::take;
    "v1_give" (Device Length) 4 REFUSED, region::give;
    "v1_save" (Device) 2 ACCESS, region::save;
    "v1_load" (Device) 2 REFUSED, region::load;
    // The stream that the next call gives to a device.
    "take" (Device) 4 &[], stream::take;
    "change" (Change Place Value) 8 &[], stream::change;
    // Attributes of the device and of its type, and its file in debugfs.
    "attr_read" (Device Attribute Length) 3 &[ENOENT, EFAULT], sysfs::read;
    "attr_write" (Device Attribute Text Place Value) 4 ATTRIBUTES, sysfs::write;
};

/// The call of a name.
pub fn find(name: &str) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.name == name)
}
