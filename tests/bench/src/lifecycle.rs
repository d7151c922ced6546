// SPDX-License-Identifier: GPL-2.0-only
//! Devices that come and go: create and remove, open and close.

use std::cell::RefCell;
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;
use vfio_client::device::{requests, Group};
use vfio_client::sysfs::{self, Mdev};

use crate::attributes::{c_path, only_entry};
use crate::calls;
use crate::measure::{Bench, Operation};
use crate::World;

/// All of them.
///
/// # Errors
///
/// What finding the files answers.
pub fn add<'a>(world: &'a World, benches: &mut Vec<Bench<'a>>) -> Result<(), Errno> {
    let (ours, peer) = (&world.ours, &world.peer);
    benches.push(
        Bench::new("create a device")
            .ours(create(ours.kind.path())?)
            .peer(create(peer.kind.path())?),
    );
    benches.push(
        Bench::new("remove a device")
            .ours(remove(ours.kind.path())?)
            .peer(remove(peer.kind.path())?),
    );
    benches.push(
        Bench::new("open: character device, bind, attach")
            .ours(open(by_cdev(world, &ours.by_cdev)?))
            .peer(open(by_cdev(world, &peer.by_cdev)?))
            .limit("open of /dev/zero", open(zero)),
    );
    benches.push(
        Bench::new("close: character device")
            .ours(close(by_cdev(world, &ours.by_cdev)?))
            .peer(close(by_cdev(world, &peer.by_cdev)?))
            .limit("close of /dev/zero", close(zero)),
    );
    benches.push(
        Bench::new("open: from a group")
            .ours(open(by_group(&ours.by_group)))
            .peer(open(by_group(&peer.by_group)))
            .limit("open of /dev/zero", open(zero)),
    );
    benches.push(
        Bench::new("close: from a group")
            .ours(close(by_group(&ours.by_group)))
            .peer(close(by_group(&peer.by_group)))
            .limit("close of /dev/zero", close(zero)),
    );
    Ok(())
}

/// A device that is there or not, and not when this is gone.
pub struct Tenant {
    create: OwnedFd,
    uuid: String,
    exists: bool,
}

impl Tenant {
    /// One of a type, given the type's directory, that is not there yet.
    ///
    /// # Errors
    ///
    /// What opening the type's `create` answers.
    pub fn new(kind: &Path) -> Result<Self, Errno> {
        Ok(Tenant {
            create: calls::open(&c_path(&kind.join("create"))?, libc::O_WRONLY)?,
            uuid: String::new(),
            exists: false,
        })
    }

    /// Makes up another name, after removing what has the present one.
    ///
    /// # Errors
    ///
    /// What removing it answers.
    pub fn renew(&mut self) -> Result<(), Errno> {
        if self.exists {
            sysfs::remove(&self.path())?;
            self.exists = false;
        }
        let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
        self.uuid = uuid.map_err(sysfs::errno_of)?.trim().to_owned();
        Ok(())
    }

    /// Creates it.
    ///
    /// # Errors
    ///
    /// What the write answers.
    pub fn create(&mut self) -> Result<(), Errno> {
        calls::pwrite(self.create.as_raw_fd(), self.uuid.as_bytes(), 0)?;
        self.exists = true;
        Ok(())
    }

    /// Its directory.
    pub fn path(&self) -> PathBuf {
        Path::new("/sys/bus/mdev/devices").join(&self.uuid)
    }

    /// Its `remove`, open for writing.
    fn remover(&self) -> Result<OwnedFd, Errno> {
        calls::open(&c_path(&self.path().join("remove"))?, libc::O_WRONLY)
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        if let Err(errno) = self.renew() {
            eprintln!("{} was not removed: {errno}", self.path().display());
        }
    }
}

/// Creates a device of a type, given the type's directory.
///
/// # Errors
///
/// What opening the type's `create` answers.
pub fn create<'a>(kind: &Path) -> Result<Operation<'a>, Errno> {
    let tenant = Rc::new(RefCell::new(Tenant::new(kind)?));
    let before = tenant.clone();
    Ok(Operation::new(move || tenant.borrow_mut().create())
        .after(move || before.borrow_mut().renew()))
}

/// Removes one.
///
/// # Errors
///
/// What opening the type's `create` answers.
pub fn remove<'a>(kind: &Path) -> Result<Operation<'a>, Errno> {
    let state = Rc::new(RefCell::new((Tenant::new(kind)?, None::<OwnedFd>)));
    let before = state.clone();
    Ok(Operation::new(move || {
        let (tenant, remover) = &mut *state.borrow_mut();
        calls::pwrite(remover.as_ref().ok_or(Errno::EBADF)?.as_raw_fd(), b"1", 0)?;
        tenant.exists = false;
        Ok(())
    })
    .after(move || {
        let (tenant, remover) = &mut *before.borrow_mut();
        tenant.renew()?;
        tenant.create()?;
        *remover = Some(tenant.remover()?);
        Ok(())
    }))
}

/// Opens, after closing what was open.
fn open<'a>(mut way: impl FnMut() -> Result<OwnedFd, Errno> + 'a) -> Operation<'a> {
    let place = Rc::new(RefCell::new(None));
    let before = place.clone();
    Operation::new(move || {
        *place.borrow_mut() = Some(way()?);
        Ok(())
    })
    .after(move || {
        before.borrow_mut().take();
        Ok(())
    })
}

/// Closes what was opened before.
fn close<'a>(mut way: impl FnMut() -> Result<OwnedFd, Errno> + 'a) -> Operation<'a> {
    let place = Rc::new(RefCell::new(None));
    let before = place.clone();
    Operation::new(move || {
        place.borrow_mut().take();
        Ok(())
    })
    .after(move || {
        *before.borrow_mut() = Some(way()?);
        Ok(())
    })
}

fn zero() -> Result<OwnedFd, Errno> {
    calls::open(c"/dev/zero", libc::O_RDWR)
}

/// The way by a device's character device, up to where a VMM can map memory for it.
fn by_cdev<'a>(
    world: &'a World,
    mdev: &Mdev,
) -> Result<impl FnMut() -> Result<OwnedFd, Errno> + 'a, Errno> {
    let entry = only_entry(&mdev.path().join("vfio-dev"))?;
    let name = entry.file_name().ok_or(Errno::ENOENT)?;
    let path = c_path(&Path::new("/dev/vfio/devices").join(name))?;
    Ok(move || {
        let file = calls::open(&path, libc::O_RDWR)?;
        let mut bind = [16, 0, world.iommufd.as_raw_fd() as u32, 0];
        calls::ioctl(file.as_raw_fd(), requests::BIND_IOMMUFD, &mut bind)?;
        let mut attach = [12, 0, world.ioas];
        calls::ioctl(file.as_raw_fd(), requests::ATTACH_IOMMUFD_PT, &mut attach)?;
        Ok(file)
    })
}

/// The way from a device's group, which stays open between. The group is opened at the first time: while it is, the
/// character device cannot be.
fn by_group(mdev: &Mdev) -> impl FnMut() -> Result<OwnedFd, Errno> + '_ {
    let mut group = None;
    let name = CString::new(mdev.uuid()).unwrap_or_default();
    move || {
        let group = match &mut group {
            Some(group) => group,
            none => none.insert(Group::open(mdev.path())?),
        };
        let fd = calls::ioctl_text(group.fd(), requests::GROUP_GET_DEVICE_FD, &name)?;
        Ok(calls::owned(fd))
    }
}
