// SPDX-License-Identifier: GPL-2.0-only
//! Devices come and go.

use std::fs::File;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::stat::{makedev, mknod, Mode, SFlag};
use nix::sys::uio::pwrite;
use vfio_bindings::bindings::vfio::{VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_REQ_IRQ_INDEX};

use vfio_client::device::{Access, Device};
use vfio_client::ktap::{check, Miss, Outcome};
use vfio_client::serial::Signal;
use vfio_client::sysfs::{errno_of, Mdev};

use super::{cases, World};
use crate::sweep::Part;

cases![
    creates_a_device_or_leaves_nothing,
    removes_a_device_or_leaves_it_whole,
    removes_a_device_in_use_or_leaves_it_to_its_user,
];

/// All but what the kernel itself does not cope with: where the core of vfio cannot make the group of a device, it warns
/// (`vfio_group_release()`) and does not give back the group of the IOMMU, for each driver that there is.
const CREATE: Part = Part {
    within: None,
    without: Some("vfio_create_group"),
    most: None,
};

fn creates_a_device_or_leaves_nothing(world: &World) -> Outcome {
    let before = world.available()?;
    let create = write_only(&world.kind.path().join("create"))?;
    world.faults.each_of(
        &CREATE,
        || Ok(uuid()?),
        |uuid| pwrite(&create, uuid.as_bytes(), 0),
        |uuid, came| {
            came.is_clean(&[])?;
            let path = Path::new("/sys/bus/mdev/devices").join(&uuid);
            if came.answer.is_err() {
                check!(!path.exists(), "the device is there");
                let next = world.create()?;
                next.remove()?;
                return Ok(());
            }
            let mdev = Mdev::existing(&uuid)?;
            let nodes = nodes(&mdev)?;
            make_nodes(&nodes)?;
            world.opens_and_works(&mdev)?;
            vfio_client::sysfs::remove(mdev.path())?;
            remove_nodes(&nodes)
        },
    )?;
    world.gave_back(before)
}

fn removes_a_device_or_leaves_it_whole(world: &World) -> Outcome {
    let before = world.available()?;
    world.faults.each(
        || removable(world),
        |(_, _, remove)| pwrite(remove, b"1", 0),
        |(mdev, nodes, _), came| {
            came.is_clean(&[])?;
            is_removed_or_whole(world, mdev, &nodes, came.answer.is_ok())
        },
    )?;
    world.gave_back(before)
}

fn removes_a_device_in_use_or_leaves_it_to_its_user(world: &World) -> Outcome {
    let before = world.available()?;
    world.faults.each(
        || {
            let removable = removable(world)?;
            let user = User::of(&removable.0)?;
            Ok((removable, user))
        },
        |((_, _, remove), _)| pwrite(remove, b"1", 0),
        |((mdev, nodes, _), user), came| {
            let asked = user.asked()?;
            came.is_clean(&[])?;
            check!(asked == came.answer.is_ok(), "asked for it back: {asked}");
            is_removed_or_whole(world, mdev, &nodes, came.answer.is_ok())
        },
    )?;
    world.gave_back(before)
}

/// Files in /dev, each with where it is shown.
type Nodes = Vec<(PathBuf, PathBuf)>;

/// A device, the files that lead to it, and the file that removes it.
fn removable(world: &World) -> Result<(Mdev, Nodes, File), Miss> {
    let mdev = world.create()?;
    let remove = write_only(&mdev.path().join("remove"))?;
    let nodes = nodes(&mdev)?;
    Ok((mdev, nodes, remove))
}

/// Checks that a device is gone if it was removed, and otherwise that it works and can be removed.
fn is_removed_or_whole(
    world: &World,
    mdev: Mdev,
    nodes: &[(PathBuf, PathBuf)],
    removed: bool,
) -> Outcome {
    let path: PathBuf = mdev.path().into();
    if removed {
        // It is not there to be removed when this goes out of scope.
        std::mem::forget(mdev);
    } else {
        check!(path.exists(), "the device is gone");
        world.opens_and_works(&mdev)?;
        mdev.remove()?;
    }
    check!(!path.exists(), "the device is still there");
    remove_nodes(nodes)
}

/// Who has a device open and closes it when asked to.
struct User {
    thread: JoinHandle<Result<bool, Errno>>,
    leaves: Arc<AtomicBool>,
}

impl User {
    fn of(mdev: &Mdev) -> Result<Self, Errno> {
        let device = Device::open(mdev.path(), Access::Cdev)?;
        let request = Signal::new()?;
        let trigger = VFIO_IRQ_SET_ACTION_TRIGGER;
        device.irq_fd(trigger, VFIO_PCI_REQ_IRQ_INDEX, request.fd())?;
        let leaves = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let leaves = leaves.clone();
            move || loop {
                // Asked last: who was asked before it was to leave says so.
                let is_last = leaves.load(Ordering::SeqCst);
                let asked = request.taken(Duration::from_millis(20))? > 0;
                if asked || is_last {
                    drop(device);
                    return Ok(asked);
                }
            }
        });
        Ok(User { thread, leaves })
    }

    /// Lets the user go, and says whether it was asked to.
    fn asked(self) -> Result<bool, Miss> {
        self.leaves.store(true, Ordering::SeqCst);
        let asked = self.thread.join();
        let asked = asked.map_err(|_| Miss::Failed("the user panicked".to_owned()))?;
        Ok(asked?)
    }
}

/// The files in /dev that lead to a device.
fn nodes(mdev: &Mdev) -> Result<Nodes, Miss> {
    let group = std::fs::read_link(mdev.path().join("iommu_group"))?;
    let group = group.file_name().ok_or(Errno::ENODEV)?;
    let groups = Path::new("/sys/class/vfio").join(group);
    let mut nodes = vec![(groups, Path::new("/dev/vfio").join(group))];
    for entry in std::fs::read_dir(mdev.path().join("vfio-dev"))? {
        let entry = entry?;
        let node = Path::new("/dev/vfio/devices").join(entry.file_name());
        nodes.push((entry.path(), node));
    }
    Ok(nodes)
}

/// Makes these files where they are missing: devtmpfs could not make them, which the driver core does not tell anybody; udev would
/// make them.
fn make_nodes(nodes: &[(PathBuf, PathBuf)]) -> Outcome {
    for (shown, node) in nodes {
        if node.exists() {
            continue;
        }
        let number = std::fs::read_to_string(shown.join("dev"))?;
        let number = number
            .trim()
            .split_once(':')
            .and_then(|(major, minor)| Some(makedev(major.parse().ok()?, minor.parse().ok()?)));
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        // The directory comes with the first file in it.
        node.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        mknod(node, SFlag::S_IFCHR, mode, number.ok_or(Errno::EPROTO)?)?;
    }
    Ok(())
}

/// Removes these files where they are left over: devtmpfs did not make them, or could not remove them, of which the driver core says
/// nothing either.
fn remove_nodes(nodes: &[(PathBuf, PathBuf)]) -> Outcome {
    for (_, node) in nodes {
        if node.exists() {
            std::fs::remove_file(node)?;
        }
    }
    Ok(())
}

/// A file of sysfs, to be written.
fn write_only(path: &Path) -> Result<File, Errno> {
    OpenOptions::new().write(true).open(path).map_err(errno_of)
}

/// A name that no device has had.
fn uuid() -> Result<String, Errno> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(errno_of)?;
    Ok(text.trim().to_owned())
}
