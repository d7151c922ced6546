// SPDX-License-Identifier: GPL-2.0-only
//! The calls that lead to an open device, by both paths.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK, VFIO_PCI_INTX_IRQ_INDEX,
};

use vfio_client::device::{ioctl, ioctl_number, open_cdev, open_rw, requests, Access, Device};
use vfio_client::ktap::{check, check_eq, Miss, Outcome};
use vfio_client::memory::Argument;
use vfio_client::migration::{logging, v2};
use vfio_client::serial::Signal;
use vfio_client::sysfs::{errno_of, Mdev};

use super::{cases, World};
use crate::sweep::{lowest_descriptor, Came};

cases![
    opens_a_group,
    sets_the_type_of_a_container,
    gives_a_device_from_a_group,
    opens_a_character_device,
    binds_a_character_device,
    attaches_an_address_space,
    attaches_another_address_space_or_keeps_the_former,
    detaches_an_address_space_or_keeps_it,
    closes_wholly_whatever_fails;
    gives_a_container_to_a_group,
];

/// open(2) for reading and writing, with a path that is made already.
fn open(path: &CString) -> Result<File, Errno> {
    // SAFETY: The path is a string that ends with a NUL.
    let fd = Errno::result(unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) })?;
    // SAFETY: The kernel has just made this descriptor for us, and nobody else knows it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

fn c_path(path: PathBuf) -> Result<CString, Miss> {
    CString::new(path.into_os_string().into_encoded_bytes())
        .map_err(|error| Miss::Failed(error.to_string()))
}

/// The group's file of a device.
fn group_path(mdev: &Mdev) -> Result<PathBuf, Errno> {
    let link = std::fs::read_link(mdev.path().join("iommu_group")).map_err(errno_of)?;
    Ok(Path::new("/dev/vfio").join(link.file_name().ok_or(Errno::ENODEV)?))
}

/// The container's and the group's file of a device, the one put into the other.
struct Group {
    group: File,
    container: File,
}

impl Group {
    fn open(mdev: &Mdev) -> Result<Self, Errno> {
        Ok(Group {
            group: open_rw(&group_path(mdev)?)?,
            container: open_rw(Path::new("/dev/vfio/vfio"))?,
        })
    }

    fn join(&self) -> Result<(), Errno> {
        let mut argument = Argument::words(&[self.container.as_raw_fd() as u32]);
        ioctl(
            self.group.as_fd(),
            requests::GROUP_SET_CONTAINER,
            &mut argument,
        )
        .map(|_| ())
    }

    fn set_type(&self) -> Result<i32, Errno> {
        let kind = vfio_bindings::bindings::vfio::VFIO_TYPE1v2_IOMMU;
        ioctl_number(self.container.as_fd(), requests::SET_IOMMU, kind as i32)
    }
}

/// Checks the answer of a step on the way to a device, and that the way is free again afterwards. What the step gave is closed
/// by then.
fn judge<R>(world: &World, mdev: &Mdev, came: Came<R>, by: Access, free: i32) -> Outcome {
    came.is_clean(&[])?;
    drop(came);
    check_eq!(lowest_descriptor()?, free, "the lowest free descriptor");
    let device = Device::open(mdev.path(), by)?;
    world.works(&device)
}

fn opens_a_group(world: &World) -> Outcome {
    let mdev = world.create()?;
    let path = c_path(group_path(&mdev)?)?;
    let free = lowest_descriptor()?;
    world.faults.each(
        || Ok(()),
        |()| open(&path),
        |(), came| judge(world, &mdev, came, Access::Group, free),
    )
}

fn gives_a_container_to_a_group(world: &World) -> Outcome {
    let mdev = world.create()?;
    let free = lowest_descriptor()?;
    world.faults.each(
        || Ok(Group::open(&mdev)?),
        |group| group.join(),
        |group, came| {
            drop(group);
            judge(world, &mdev, came, Access::Group, free)
        },
    )
}

fn sets_the_type_of_a_container(world: &World) -> Outcome {
    let mdev = world.create()?;
    let free = lowest_descriptor()?;
    world.faults.each(
        || {
            let group = Group::open(&mdev)?;
            group.join()?;
            Ok(group)
        },
        |group| group.set_type(),
        |group, came| {
            drop(group);
            judge(world, &mdev, came, Access::Group, free)
        },
    )
}

fn gives_a_device_from_a_group(world: &World) -> Outcome {
    let mdev = world.create()?;
    let free = lowest_descriptor()?;
    world.faults.each(
        || {
            let group = Group::open(&mdev)?;
            group.join()?;
            group.set_type()?;
            let mut argument = Box::new(Argument::filled(0));
            argument.put(0, mdev.uuid().as_bytes());
            Ok((group, argument))
        },
        |(group, argument)| {
            let fd = ioctl(group.group.as_fd(), requests::GROUP_GET_DEVICE_FD, argument)?;
            // SAFETY: The kernel has just made this descriptor for us, and nobody else knows it.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        },
        |(group, _), mut came| {
            // The device goes before its group.
            if let Ok(device) = came.answer {
                drop(device);
                came.answer = Err(Errno::ENOMEM);
                check!(group.set_type().is_err(), "the container's type was lost");
                drop(group);
                let device = Device::open(mdev.path(), Access::Group)?;
                return world.works(&device);
            }
            drop(group);
            judge(world, &mdev, came, Access::Group, free)
        },
    )
}

fn opens_a_character_device(world: &World) -> Outcome {
    let mdev = world.create()?;
    let directory = mdev.path().join("vfio-dev");
    let name = std::fs::read_dir(directory)?
        .next()
        .ok_or(Errno::ENOENT)??;
    let path = c_path(Path::new("/dev/vfio/devices").join(name.file_name()))?;
    let free = lowest_descriptor()?;
    world.faults.each(
        || Ok(()),
        |()| open(&path),
        |(), came| judge(world, &mdev, came, Access::Cdev, free),
    )
}

/// An argument of `VFIO_DEVICE_BIND_IOMMUFD`.
fn binding(iommufd: &File) -> Box<Argument> {
    Box::new(Argument::words(&[
        24,
        0,
        iommufd.as_raw_fd() as u32,
        0,
        0,
        0,
    ]))
}

fn binds_a_character_device(world: &World) -> Outcome {
    let mdev = world.create()?;
    let free = lowest_descriptor()?;
    world.faults.each(
        || {
            let iommufd = open_rw(Path::new("/dev/iommu"))?;
            let argument = binding(&iommufd);
            Ok((open_cdev(mdev.path())?, iommufd, argument))
        },
        |(device, _, argument)| ioctl(device.as_fd(), requests::BIND_IOMMUFD, argument),
        |(device, iommufd, _), came| {
            if came.answer.is_err() {
                // The same file can be bound when there is memory again.
                ioctl(
                    device.as_fd(),
                    requests::BIND_IOMMUFD,
                    &mut binding(&iommufd),
                )?;
            }
            drop((device, iommufd));
            judge(world, &mdev, came, Access::Cdev, free)
        },
    )
}

/// A bound character device, its iommufd, and two address spaces of that.
fn bound(mdev: &Mdev) -> Result<(File, File, [u32; 2]), Errno> {
    let iommufd = open_rw(Path::new("/dev/iommu"))?;
    let device = open_cdev(mdev.path())?;
    vfio_client::device::bind(&device, &iommufd)?;
    let mut spaces = [0; 2];
    for space in &mut spaces {
        let mut ioas = Argument::words(&[12, 0, 0]);
        ioctl(iommufd.as_fd(), requests::IOAS_ALLOC, &mut ioas)?;
        *space = ioas.get(8);
    }
    Ok((device, iommufd, spaces))
}

/// `VFIO_DEVICE_ATTACH_IOMMUFD_PT`
fn attach(device: &File, argument: &mut Argument) -> Result<i32, Errno> {
    ioctl(device.as_fd(), requests::ATTACH_IOMMUFD_PT, argument)
}

/// An argument of it.
fn attaching(space: u32) -> Box<Argument> {
    Box::new(Argument::words(&[12, 0, space]))
}

/// `VFIO_DEVICE_DETACH_IOMMUFD_PT`
fn detach(device: &File, argument: &mut Argument) -> Result<i32, Errno> {
    ioctl(device.as_fd(), requests::DETACH_IOMMUFD_PT, argument)
}

fn attaches_an_address_space(world: &World) -> Outcome {
    let mdev = world.create()?;
    let free = lowest_descriptor()?;
    world.faults.each(
        || {
            let (device, iommufd, spaces) = bound(&mdev)?;
            Ok((device, iommufd, attaching(spaces[0])))
        },
        |(device, _, argument)| attach(device, argument),
        |(device, iommufd, _), came| {
            drop((device, iommufd));
            judge(world, &mdev, came, Access::Cdev, free)
        },
    )
}

fn attaches_another_address_space_or_keeps_the_former(world: &World) -> Outcome {
    let mdev = world.create()?;
    let free = lowest_descriptor()?;
    world.faults.each(
        || {
            let (device, iommufd, [former, other]) = bound(&mdev)?;
            attach(&device, &mut attaching(former))?;
            Ok((device, iommufd, other, attaching(other)))
        },
        |(device, _, _, argument)| attach(device, argument),
        |(device, iommufd, other, _), came| {
            attach(&device, &mut attaching(other))?;
            drop((device, iommufd));
            judge(world, &mdev, came, Access::Cdev, free)
        },
    )
}

fn detaches_an_address_space_or_keeps_it(world: &World) -> Outcome {
    let mdev = world.create()?;
    let free = lowest_descriptor()?;
    world.faults.each(
        || {
            let (device, iommufd, [space, _]) = bound(&mdev)?;
            attach(&device, &mut attaching(space))?;
            let argument = Box::new(Argument::words(&[8, 0]));
            Ok((device, iommufd, space, argument))
        },
        |(device, _, _, argument)| detach(device, argument),
        |(device, iommufd, space, _), came| {
            detach(&device, &mut Argument::words(&[8, 0]))?;
            attach(&device, &mut attaching(space))?;
            drop((device, iommufd));
            judge(world, &mdev, came, Access::Cdev, free)
        },
    )
}

// close(2) tells nobody of memory that the kernel did not get for it.

fn closes_wholly_whatever_fails(world: &World) -> Outcome {
    let mdev = world.create()?;
    let free = lowest_descriptor()?;
    for by in [Access::Cdev, Access::Group] {
        world.faults.each(
            || {
                // All that a close ends: interrupts, a log of DMA, a transfer.
                let device = Device::open(mdev.path(), by)?;
                world.busy(&device)?;
                let signals = [Signal::new()?, Signal::new()?];
                let pin = VFIO_PCI_INTX_IRQ_INDEX;
                device.irq_fd(VFIO_IRQ_SET_ACTION_TRIGGER, pin, signals[0].fd())?;
                device.irq_fd(VFIO_IRQ_SET_ACTION_UNMASK, pin, signals[1].fd())?;
                logging::start(&device, 4096, &[(0x10_0000, 0x10_0000)])?;
                let file = v2::open(&device, v2::STOP_COPY)?;
                Ok((signals, file, Some(device)))
            },
            |(_, _, device)| {
                drop(device.take());
                Ok(())
            },
            |(signals, file, _), came| {
                check!(file.is_disabled(), "the transfer goes on");
                drop((signals, file));
                judge(world, &mdev, came, by, free)
            },
        )?;
    }
    Ok(())
}
