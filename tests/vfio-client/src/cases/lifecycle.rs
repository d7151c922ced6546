// SPDX-License-Identifier: GPL-2.0-only
//! Opening, sharing, closing, and removing the device under its user.

use std::os::fd::AsFd;
use std::os::unix::thread::JoinHandleExt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{kill, sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal as Kill};
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::{fork, ForkResult, Pid};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK as UNMASK,
    VFIO_PCI_INTX_IRQ_INDEX as INTX, VFIO_PCI_REQ_IRQ_INDEX as REQ,
};

use super::{cases, World};
use vfio_client::device::{bind, ioctl, open_cdev, open_rw, requests, Access, Device};
use vfio_client::kmsg::Kmsg;
use vfio_client::ktap::{check, check_eq, check_errno, skip, Outcome};
use vfio_client::memory::Argument;
use vfio_client::serial::{enable, Port, Signal, CONFIG, IER, SCR};
use vfio_client::sysfs::{remove, Mdev};
use vfio_client::wait::poll_while;

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
    warns_once_when_removed_without_a_req_listener,
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
        let iommufd = open_rw(Path::new("/dev/iommu"))?;
        check_errno!(
            bind(device.file(), &iommufd),
            EINVAL,
            "binding a group's device"
        );
        return Ok(());
    }
    let cdev = open_cdev(world.mdev.path())?;
    for number in 7..21 {
        let request = vfio_client::device::request(number);
        // For the request that binds, the third word is a descriptor that is none.
        let mut argument = Argument::words(&[64, 0, u32::MAX]);
        let call = ioctl(cdev.as_fd(), request, &mut argument);
        check_errno!(call, EINVAL, "request {number} of an unbound device");
    }
    let mut buffer = [0; 4];
    let read = nix::sys::uio::pread(
        &cdev,
        &mut buffer,
        vfio_client::device::file_offset(CONFIG, 0),
    );
    check_errno!(read, EINVAL, "reading an unbound device");
    Ok(())
}

fn moves_between_address_spaces(world: &World<'_>) -> Outcome {
    if world.access == Access::Group {
        skip!("address spaces belong to iommufd");
    }
    let cdev = open_cdev(world.mdev.path())?;
    let iommufd = open_rw(Path::new("/dev/iommu"))?;
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

/// A child process, which has a copy of every descriptor that was open when it was made.
struct Child(Pid);

impl Child {
    /// Makes a child that does something and then ends by itself.
    ///
    /// # Errors
    ///
    /// What fork(2) answers.
    ///
    /// # Safety
    ///
    /// `work` must make system calls and nothing else. The child is a copy of this thread alone: a lock that another
    /// thread holds now, the allocator's or that of standard output, is never released there.
    unsafe fn new(work: impl FnOnce()) -> Result<Self, Errno> {
        // SAFETY: the child does the work, for which the caller answers, and ends without unwinding into code of
        // the parent.
        match unsafe { fork() }? {
            ForkResult::Child => {
                work();
                // SAFETY: ends the process at once, and runs nothing of the parent's exit handlers.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => Ok(Child(child)),
        }
    }

    /// Waits for its end.
    fn wait(self) -> Result<WaitStatus, Errno> {
        waitpid(self.0, None)
    }
}

fn survives_a_child_that_exits(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let port = Port::new(&device, 0);
    let signal = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, signal.fd())?;
    // SAFETY: writing a register is one pwrite(2).
    let child = unsafe {
        Child::new(|| {
            let _ = port.set(SCR, 0x64);
        })
    }?;
    let status = child.wait()?;
    let exited = matches!(status, WaitStatus::Exited(_, 0));
    check!(exited, "the child ended as {status:?}");
    check_eq!(port.get(SCR)?, 0x64, "what the child wrote");
    port.assert_interrupt()?;
    signal.expect(1, "an interrupt after the child is gone")
}

fn survives_a_user_that_is_killed(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let signal = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, signal.fd())?;
    device.irq_fd(UNMASK, INTX, signal.fd())?;
    Port::new(&device, 0).set(IER, 0x0f)?;
    let hold = || {
        // SAFETY: neither has a precondition. The alarm ends a child that nobody kills.
        unsafe {
            libc::alarm(30);
            libc::pause();
        }
    };
    // SAFETY: those two are system calls.
    let child = unsafe { Child::new(hold) }?;
    // Now the child is the only user.
    drop((device, signal));
    let refused = world.open();
    let killed = kill(child.0, Kill::SIGKILL);
    let status = child.wait()?;
    killed?;
    let by_us = matches!(status, WaitStatus::Signaled(_, Kill::SIGKILL, _));
    check!(by_us, "the child ended as {status:?}");
    check!(
        refused.is_err(),
        "the device was free while the child had it"
    );
    // The kernel may still be closing what the child had open.
    let (limit, pause) = (Duration::from_secs(5), Duration::from_millis(10));
    let device = poll_while(limit, pause, || world.open(), Result::is_err);
    check_eq!(Port::new(&device?, 0).get(IER)?, 0, "IER for the next user");
    Ok(())
}

/// What the log says of a removal that has to wait for a user that cannot be asked.
const NOT_LISTENING: &str =
    "in use, and its user does not listen for requests: removal waits until it is closed";

/// The removal of a device that somebody has open, in a thread of its own.
struct Removal {
    thread: JoinHandle<()>,
    result: Receiver<Result<(), Errno>>,
}

impl Removal {
    fn start(path: &Path) -> Self {
        let path = path.to_owned();
        let (done, result) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let _ = done.send(remove(&path));
        });
        Removal { thread, result }
    }

    /// Interrupts the wait for the user, upon which the kernel asks it again instead of ten seconds later.
    fn interrupt(&self) -> Result<(), Errno> {
        extern "C" fn ignore(_: libc::c_int) {}
        let action = SigAction::new(
            SigHandler::Handler(ignore),
            SaFlags::empty(),
            SigSet::empty(),
        );
        // SAFETY: the handler does nothing, which is safe at any moment.
        unsafe { sigaction(Kill::SIGUSR1, &action) }?;
        // SAFETY: the thread has not been joined, so that its handle is valid.
        let sent = unsafe { libc::pthread_kill(self.thread.as_pthread_t(), libc::SIGUSR1) };
        match sent {
            0 => Ok(()),
            errno => Err(Errno::from_raw(errno)),
        }
    }

    /// Checks that it is not done yet, nor in a moment.
    fn expect_to_wait(&self) -> Outcome {
        let early = self.result.recv_timeout(Duration::from_millis(200));
        check!(
            early.is_err(),
            "removal did not wait for the user: {early:?}"
        );
        Ok(())
    }

    /// Waits for its end, which is to be a success.
    fn finish(self) -> Outcome {
        let late = self.result.recv_timeout(Duration::from_secs(30));
        check_eq!(late, Ok(Ok(())), "removal after the user left");
        let _ = self.thread.join();
        Ok(())
    }
}

/// Removes a device that is in use, and lets the kernel ask for it twice. Then the user leaves.
fn remove_under_its_user(world: &World<'_>, listen: bool) -> Outcome {
    let mdev = Mdev::create(world.mdev.kind())?;
    let (path, uuid) = (mdev.path().to_owned(), mdev.uuid());
    let device = Device::open(&path, world.access)?;
    let request = Signal::new()?;
    if listen {
        device.irq_fd(TRIGGER, REQ, request.fd())?;
    }
    let mut log = Kmsg::from_now()?;
    let removal = Removal::start(&path);
    for round in ["first", "second"] {
        if listen {
            let asked = request.taken(Duration::from_secs(5))?;
            check_eq!(asked, 1, "signals of REQ, {round} time");
        }
        removal.expect_to_wait()?;
        check_eq!(
            device.get::<2>(CONFIG, 0)?,
            [0x36, 0x1b],
            "vendor while being removed"
        );
        if round == "first" {
            removal.interrupt()?;
        }
    }
    drop(device);
    removal.finish()?;
    check!(!path.exists(), "the device is still in sysfs");
    std::mem::forget(mdev);

    // The core has a line of its own, "Device is currently in use", for whom the interruption wakes.
    let mut warnings = log.lines()?;
    warnings.retain(|line| line.contains(&format!("{uuid}: in use")));
    if listen {
        check!(
            warnings.is_empty(),
            "the user listened, and the kernel said:\n{}",
            warnings.join("\n")
        );
    } else {
        let once = matches!(&warnings[..], [line] if line.ends_with(NOT_LISTENING));
        check!(once, "not one warning, but:\n{}", warnings.join("\n"));
    }
    Ok(())
}

fn signals_req_and_waits_for_its_user_when_removed(world: &World<'_>) -> Outcome {
    remove_under_its_user(world, true)
}

fn warns_once_when_removed_without_a_req_listener(world: &World<'_>) -> Outcome {
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
