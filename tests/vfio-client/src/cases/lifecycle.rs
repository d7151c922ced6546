// SPDX-License-Identifier: GPL-2.0-only
//! Opening, sharing, closing, and removing the device under its user.

use std::os::fd::AsFd;
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{kill, Signal as Kill};
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::{fork, ForkResult};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK as UNMASK,
    VFIO_PCI_INTX_IRQ_INDEX as INTX, VFIO_PCI_REQ_IRQ_INDEX as REQ,
};

use super::{cases, World};
use crate::device::{bind, ioctl, open_cdev, open_rw, requests, Access, Device};
use crate::ktap::{check, check_eq, check_errno, skip, Outcome};
use crate::memory::Argument;
use crate::serial::{enable, Port, Signal, CONFIG, IER, SCR};
use crate::sysfs::{remove, Mdev};

cases![
    opens_a_hundred_times,
    refuses_a_second_user,
    refuses_a_user_of_the_other_path,
    shares_its_state_between_descriptors_of_a_group,
    lives_until_the_last_copy_of_a_descriptor_is_closed,
    answers_nothing_before_it_is_bound,
    moves_between_address_spaces,
    survives_a_child_that_exits,
    survives_a_user_that_is_killed,
    signals_req_and_waits_for_its_user_when_removed,
    can_be_removed_without_a_req_listener,
    can_be_removed_and_made_again,
];

fn opens_a_hundred_times(world: &World<'_>) -> Outcome {
    for _ in 0..100 {
        let device = world.open()?;
        check_eq!(device.get::<2>(CONFIG, 0)?, [0x36, 0x1b], "vendor");
    }
    Ok(())
}

fn refuses_a_second_user(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    // A group is refused when it is opened, a character device when it is bound.
    match world.access {
        Access::Group => check_errno!(world.open(), EBUSY, "a second user of the group"),
        Access::Cdev => check_errno!(world.open(), EINVAL, "a second user of the device"),
    }
    enable(&device, world.ports())?;
    drop(device);
    world.open()?;
    Ok(())
}

fn refuses_a_user_of_the_other_path(world: &World<'_>) -> Outcome {
    let other = match world.access {
        Access::Group => Access::Cdev,
        Access::Cdev => Access::Group,
    };
    let device = world.open()?;
    let second = Device::open(world.mdev.path(), other);
    check_errno!(second, EBUSY, "a second user by the other path");
    drop(device);
    Device::open(world.mdev.path(), other)?;
    Ok(())
}

fn shares_its_state_between_descriptors_of_a_group(world: &World<'_>) -> Outcome {
    let mut device = world.open()?;
    enable(&device, world.ports())?;
    let Some(second) = device.open_again() else {
        skip!("only a group gives a second descriptor");
    };
    Port::new(&device, 0).set(SCR, 0x71)?;
    let first = device.replace_file(second?);
    check_eq!(
        Port::new(&device, 0).get(SCR)?,
        0x71,
        "scratch through the second"
    );
    Port::new(&device, 0).set(SCR, 0x72)?;
    let second = device.replace_file(first);
    check_eq!(
        Port::new(&device, 0).get(SCR)?,
        0x72,
        "scratch through the first"
    );
    // The first goes; the device is still in use, and keeps its state.
    drop(device.replace_file(second));
    check_eq!(
        Port::new(&device, 0).get(SCR)?,
        0x72,
        "scratch after one was closed"
    );
    Ok(())
}

fn lives_until_the_last_copy_of_a_descriptor_is_closed(world: &World<'_>) -> Outcome {
    let mut device = world.open()?;
    enable(&device, world.ports())?;
    Port::new(&device, 0).set(SCR, 0x55)?;
    let copy = device.file().try_clone()?;
    drop(device.replace_file(copy));
    check_eq!(
        Port::new(&device, 0).get(SCR)?,
        0x55,
        "scratch through the copy"
    );
    let signal = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, signal.fd())?;
    device.irq_now(TRIGGER, INTX)?;
    signal.expect(1, "an interrupt through the copy")
}

fn answers_nothing_before_it_is_bound(world: &World<'_>) -> Outcome {
    if world.access == Access::Group {
        let device = world.open()?;
        let iommufd = open_rw(std::path::Path::new("/dev/iommu"))?;
        check_errno!(
            bind(device.file(), &iommufd),
            EINVAL,
            "binding a group's device"
        );
        return Ok(());
    }
    let cdev = open_cdev(world.mdev.path())?;
    for number in 7..21 {
        let request = crate::device::request(number);
        // For the request that binds, the third word is a descriptor that is none.
        let mut argument = Argument::words(&[64, 0, u32::MAX]);
        let call = ioctl(cdev.as_fd(), request, &mut argument);
        check_errno!(call, EINVAL, "request {number} of an unbound device");
    }
    let mut buffer = [0; 4];
    let read = nix::sys::uio::pread(&cdev, &mut buffer, crate::device::file_offset(CONFIG, 0));
    check_errno!(read, EINVAL, "reading an unbound device");
    Ok(())
}

fn moves_between_address_spaces(world: &World<'_>) -> Outcome {
    if world.access == Access::Group {
        skip!("address spaces belong to iommufd");
    }
    let cdev = open_cdev(world.mdev.path())?;
    let iommufd = open_rw(std::path::Path::new("/dev/iommu"))?;
    bind(&cdev, &iommufd)?;
    let mut spaces = Vec::new();
    for _ in 0..2 {
        let mut ioas = Argument::words(&[12, 0, 0]);
        ioctl(iommufd.as_fd(), requests::IOAS_ALLOC, &mut ioas)?;
        spaces.push(ioas.get(8));
    }
    for id in [spaces[0], spaces[1], spaces[0]] {
        let mut attach = Argument::words(&[12, 0, id]);
        ioctl(cdev.as_fd(), requests::ATTACH_IOMMUFD_PT, &mut attach)?;
    }
    let mut nowhere = Argument::words(&[12, 0, 0x7fff_fff0]);
    let attach = ioctl(cdev.as_fd(), requests::ATTACH_IOMMUFD_PT, &mut nowhere);
    check_errno!(attach, ENOENT, "an address space that does not exist");
    for _ in 0..2 {
        ioctl(
            cdev.as_fd(),
            requests::DETACH_IOMMUFD_PT,
            &mut Argument::words(&[8, 0]),
        )?;
    }
    let mut again = Argument::words(&[12, 0, spaces[1]]);
    ioctl(cdev.as_fd(), requests::ATTACH_IOMMUFD_PT, &mut again)?;
    Ok(())
}

/// Does something in a child process that then ends as told, and waits for it.
fn in_a_child(work: impl FnOnce(), ends_by_signal: bool) -> Outcome {
    // SAFETY: the child runs only `work` and then ends without unwinding into code of the
    // parent; what it uses of the heap is safe, because no thread of the parent allocates now:
    // the watchdog sleeps or formats a name that it has copied under its own lock.
    match unsafe { fork() }? {
        ForkResult::Child => {
            work();
            if ends_by_signal {
                let _ = kill(nix::unistd::getpid(), Kill::SIGKILL);
            }
            // SAFETY: ends the process at once, and runs nothing of the parent's exit handlers.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            let status = waitpid(child, None)?;
            let fine = match status {
                WaitStatus::Exited(_, code) => code == 0 && !ends_by_signal,
                WaitStatus::Signaled(_, signal, _) => signal == Kill::SIGKILL && ends_by_signal,
                _ => false,
            };
            check!(fine, "the child ended as {status:?}");
            Ok(())
        }
    }
}

fn survives_a_child_that_exits(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let port = Port::new(&device, 0);
    let signal = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, signal.fd())?;
    in_a_child(
        || {
            let _ = port.set(SCR, 0x64);
        },
        false,
    )?;
    check_eq!(port.get(SCR)?, 0x64, "what the child wrote");
    port.assert_interrupt()?;
    signal.expect(1, "an interrupt after the child is gone")
}

fn survives_a_user_that_is_killed(world: &World<'_>) -> Outcome {
    in_a_child(
        || {
            // A failure shows as an exit by other means than the signal.
            let (Ok(device), Ok(signal)) = (world.open(), Signal::new()) else {
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(2) }
            };
            let tied = device
                .irq_fd(TRIGGER, INTX, signal.fd())
                .and_then(|()| device.irq_fd(UNMASK, INTX, signal.fd()))
                .and_then(|()| Port::new(&device, 0).set(IER, 0x0f));
            if tied.is_err() {
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(3) }
            }
            let _ = kill(nix::unistd::getpid(), Kill::SIGKILL);
        },
        true,
    )?;
    // The kernel may still be closing what the child had open.
    let mut device = world.open();
    for _ in 0..100 {
        if device.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        device = world.open();
    }
    check_eq!(Port::new(&device?, 0).get(IER)?, 0, "IER for the next user");
    Ok(())
}

/// Removes a device that is in use; returns when and that the removal was done.
fn remove_under_its_user(world: &World<'_>, listen: bool) -> Outcome {
    let mdev = Mdev::create(world.mdev.kind())?;
    let path = mdev.path().to_owned();
    let device = Device::open(&path, world.access)?;
    let request = Signal::new()?;
    if listen {
        device.irq_fd(TRIGGER, REQ, request.fd())?;
    }
    let (done, removed) = mpsc::channel();
    let remover = {
        let path = path.clone();
        std::thread::spawn(move || {
            let _ = done.send(remove(&path));
        })
    };
    if listen {
        check!(
            request.taken(Duration::from_secs(5))? > 0,
            "REQ was not signalled"
        );
    }
    let early = removed.recv_timeout(Duration::from_millis(200));
    check!(
        early.is_err(),
        "removal did not wait for the user: {early:?}"
    );
    check_eq!(
        device.get::<2>(CONFIG, 0)?,
        [0x36, 0x1b],
        "vendor while being removed"
    );
    drop(device);
    let late = removed.recv_timeout(Duration::from_secs(30));
    let _ = remover.join();
    check_eq!(late, Ok(Ok(())), "removal after the user left");
    check!(!path.exists(), "the device is still in sysfs");
    std::mem::forget(mdev);
    Ok(())
}

fn signals_req_and_waits_for_its_user_when_removed(world: &World<'_>) -> Outcome {
    remove_under_its_user(world, true)
}

fn can_be_removed_without_a_req_listener(world: &World<'_>) -> Outcome {
    remove_under_its_user(world, false)
}

fn can_be_removed_and_made_again(world: &World<'_>) -> Outcome {
    for _ in 0..10 {
        let mdev = Mdev::create(world.mdev.kind())?;
        let uuid = mdev.uuid();
        Device::open(mdev.path(), world.access)?;
        mdev.remove()?;
        check_errno!(Mdev::existing(&uuid), ENOENT, "a removed device");
    }
    Ok(())
}
