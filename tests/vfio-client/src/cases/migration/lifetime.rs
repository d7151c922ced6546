// SPDX-License-Identifier: GPL-2.0-only
//! What a data file survives, and what it keeps alive.

use std::fs;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::kmod::{delete_module, DeleteModuleFlags};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::super::{cases, World};
use super::busy;
use vfio_client::device::Device;
use vfio_client::kmsg::Kmsg;
use vfio_client::ktap::{check, check_eq, check_errno, skip, Miss, Outcome};
use vfio_client::memory::PAGE;
use vfio_client::migration::guest;
use vfio_client::migration::stream::Stream;
use vfio_client::migration::v1::{Mapping, Region};
use vfio_client::migration::v2::{self, DataFile, PRE_COPY, RESUMING, RUNNING, STATES, STOP_COPY};
use vfio_client::serial::{Port, SCR};
use vfio_client::wait::poll_while;

cases![
    outlives_its_device_and_the_removal_of_it,
    keeps_the_module_loaded,
    has_no_part_in_what_the_next_user_does,
    is_cut_off_in_every_state_by_close_and_reset,
    can_be_removed_in_every_state,
    is_closed_without_a_trace,
    survives_a_close_in_the_middle_of_reads_and_writes,
    keeps_two_devices_apart,
    goes_on_until_the_last_descriptor_of_the_device_is_closed,
];

/// Tries everything on a file whose device is gone.
fn is_dead(file: &DataFile, state: u32) -> Outcome {
    for _ in 0..2 {
        if state == RESUMING {
            check_errno!(file.write(&[0; 64]), ENODEV, "a write");
            check_errno!(file.write(&[0; PAGE]), ENODEV, "a long write");
        } else {
            check_errno!(file.read(&mut [0; 64]), ENODEV, "a read");
            check!(file.precopy_info(24).is_err(), "it tells what is left");
        }
        check!(
            !file.events(Duration::from_millis(500))?.is_empty(),
            "silent to poll"
        );
    }
    Ok(())
}

fn outlives_its_device_and_the_removal_of_it(world: &World<'_>) -> Outcome {
    let mut log = Kmsg::from_now()?;
    for state in [PRE_COPY, STOP_COPY, RESUMING] {
        let (mdev, device) = world.another()?;
        let file = v2::open(&device, state)?;
        drop(device);
        is_dead(&file, state)?;
        mdev.remove()?;
        is_dead(&file, state)?;
    }
    let lines = ours(&mut log)?;
    check!(lines.is_empty(), "the kernel said:\n{}", lines.join("\n"));
    Ok(())
}

/// The lines of the log but those of the core that say that a device comes and goes.
fn ours(log: &mut Kmsg) -> Result<Vec<String>, Errno> {
    let mut lines = log.lines()?;
    lines.retain(|line| !line.contains(" iommu group "));
    Ok(lines)
}

/// How often the module is in use.
fn uses() -> Result<u32, Errno> {
    let count =
        fs::read_to_string("/sys/module/migdev/refcnt").map_err(vfio_client::sysfs::errno_of)?;
    count.trim().parse().map_err(|_| Errno::EINVAL)
}

/// How often it is in use, once the kernel has let go of what was given up; whatever it is, if it does not come to that.
fn uses_come_to(wanted: u32) -> Result<u32, Errno> {
    let (limit, pause) = (Duration::from_secs(5), Duration::from_millis(5));
    poll_while(limit, pause, uses, |now| now.is_ok_and(|now| now != wanted))
}

fn keeps_the_module_loaded(world: &World<'_>) -> Outcome {
    let before = uses()?;
    let (mdev, device) = world.another()?;
    let file = v2::open(&device, STOP_COPY)?;
    drop(device);
    mdev.remove()?;
    check_eq!(
        uses_come_to(before + 1)?,
        before + 1,
        "uses of the module with only the file left"
    );
    let name = c"migdev";
    let unloaded = delete_module(name, DeleteModuleFlags::O_NONBLOCK);
    check_errno!(unloaded, EAGAIN, "unloading the module");
    is_dead(&file, STOP_COPY)?;
    drop(file);
    check_eq!(
        uses_come_to(before)?,
        before,
        "uses of the module once the file is closed"
    );
    Ok(())
}

fn is_cut_off_in_every_state_by_close_and_reset(world: &World<'_>) -> Outcome {
    for state in STATES {
        for close in [false, true] {
            let mut device = world.open()?;
            guest::play(&device, world.ports(), 1)?;
            let file = v2::set(&device, state)?;
            if close {
                drop(device);
                device = world.open()?;
            } else {
                device.reset()?;
            }
            if let Some(file) = file {
                is_dead(&file, state)?;
            }
            check_eq!(v2::state(&device)?, RUNNING, "state after {state}");
            let seen = guest::examine(&device, world.ports())?;
            device.reset()?;
            let fresh = guest::examine(&device, world.ports())?;
            guest::same(
                &seen,
                &fresh,
                &format!("after state {state}, close {close}"),
            )?;
        }
    }
    Ok(())
}

/// Tells of changes in what a file can do, as they come.
struct Watch(Epoll);

impl Watch {
    fn new(file: &DataFile) -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        epoll.add(file.fd(), EpollEvent::new(flags, 0))?;
        Ok(Watch(epoll))
    }

    /// How often it told of one since it was asked last.
    fn told(&self) -> Result<usize, Errno> {
        let (mut events, mut count) = ([EpollEvent::empty()], 0);
        while self.0.wait(&mut events, EpollTimeout::from(5_u8))? > 0 {
            count += 1;
        }
        Ok(count)
    }
}

/// Who keeps the file of a transfer that is over hears of its end, and of nothing after it.
fn has_no_part_in_what_the_next_user_does(world: &World<'_>) -> Outcome {
    for state in [PRE_COPY, STOP_COPY, RESUMING] {
        let device = busy(world)?;
        let file = v2::open(&device, state)?;
        let watch = Watch::new(&file)?;
        if state != RESUMING {
            file.drain(4096)?;
        }
        watch.told()?;
        drop(device);
        check_eq!(watch.told()?, 1, "what is told of the end in {state}");

        let is_left_alone = |what: &str| {
            if state == RESUMING {
                check_errno!(file.write(&[0; 64]), ENODEV, "a write, {what}");
                check_errno!(file.read(&mut [0; 64]), EBADF, "a read, {what}");
            } else {
                check_errno!(file.read(&mut [0; 64]), ENODEV, "a read, {what}");
                check_errno!(file.write(&[0; 64]), EBADF, "a write, {what}");
            }
            check_errno!(file.precopy_info(24), EINVAL, "what is left, {what}");
            check_eq!(watch.told()?, 0, "what is told of the next user, {what}");
            Ok::<_, Miss>(())
        };
        let device = busy(world)?;
        is_left_alone("opened")?;
        for next in STATES {
            v2::set(&device, next)?;
            is_left_alone(&format!("in state {next}"))?;
            device.reset()?;
            is_left_alone(&format!("reset in state {next}"))?;
        }
        guest::play(&device, world.ports(), 1)?;
        let saving = v2::open(&device, PRE_COPY)?;
        let mut stream = saving.drain(16)?;
        is_left_alone("in the middle of a save")?;
        v2::set(&device, STOP_COPY)?;
        stream.extend(saving.drain(16)?);
        is_left_alone("at the end of a save")?;
        device.reset()?;
        let loading = v2::open(&device, RESUMING)?;
        let (first, second) = stream.split_at(stream.len() / 2);
        loading.feed(first, 16)?;
        is_left_alone("in the middle of a load")?;
        loading.feed(second, 16)?;
        v2::set(&device, RUNNING)?;
        is_left_alone("after a load")?;
        check_eq!(v2::save(&device)?, stream, "what the next user moved");
        drop(device);
        is_left_alone("closed")?;
    }
    Ok(())
}

fn can_be_removed_in_every_state(world: &World<'_>) -> Outcome {
    for state in STATES {
        for keep in [false, true] {
            let (mdev, device) = world.another()?;
            let file = v2::set(&device, state)?.filter(|_| keep);
            let path = mdev.path().to_owned();
            // Removal waits for the user: it is another thread that removes.
            let remover = std::thread::spawn(move || mdev.remove());
            std::thread::sleep(Duration::from_millis(5));
            drop(device);
            let removed = remover.join().unwrap_or(Err(Errno::EIO));
            check_eq!(removed, Ok(()), "removal in state {state}");
            check!(!path.exists(), "it is still there");
            if let Some(file) = file {
                is_dead(&file, state)?;
            }
        }
    }
    Ok(())
}

fn is_closed_without_a_trace(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let want = v2::save(&device)?;
    for state in [PRE_COPY, STOP_COPY] {
        v2::set(&device, RUNNING)?;
        let file = v2::open(&device, state)?;
        file.read(&mut [0; 11])?;
        drop(file);
        check_eq!(v2::state(&device)?, state, "state once the file is closed");
        v2::set(&device, RUNNING)?;
        check_eq!(v2::save(&device)?, want, "the next stream");
    }
    drop(v2::open(&device, RESUMING)?);
    check_errno!(v2::set(&device, RUNNING), EINVAL, "to run with nothing");
    device.reset()?;
    Ok(())
}

/// How long a file may live on without its device.
const SPAN: Duration = Duration::from_secs(2);

fn survives_a_close_in_the_middle_of_reads_and_writes(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let stream = v2::save(&device)?;
    drop(device);
    for round in 0..40 {
        let device = world.open()?;
        let state = [STOP_COPY, RESUMING, PRE_COPY][round % 3];
        let file = v2::open(&device, state)?;
        let ends = std::thread::scope(|scope| {
            let user = scope.spawn(|| {
                let start = Instant::now();
                let mut bytes = (0..stream.len()).cycle();
                while let (Some(at), true) = (bytes.next(), start.elapsed() < SPAN) {
                    let done = match state {
                        RESUMING => file.write(&stream[at..=at]),
                        _ => file.read(&mut [0; 1]),
                    };
                    if done == Err(Errno::ENODEV) {
                        return true;
                    }
                }
                false
            });
            std::thread::sleep(Duration::from_micros(300 * (round as u64 % 7)));
            if round % 2 == 0 {
                drop(device);
            } else {
                let _ = device.reset();
                drop(device);
            }
            user.join().unwrap_or(false)
        });
        check!(ends, "the file of round {round} lived on");
    }
    let device = world.open()?;
    let seen = guest::examine(&device, world.ports())?;
    device.reset()?;
    guest::same(
        &seen,
        &guest::examine(&device, world.ports())?,
        "for the next user",
    )
}

fn keeps_two_devices_apart(world: &World<'_>) -> Outcome {
    let first = world.open()?;
    let (_mdev, second) = world.another()?;
    let set = |device: &Device, value| Port::new(device, 0).set(SCR, value);
    set(&first, 1)?;
    set(&second, 2)?;
    let (one, two) = (v2::open(&first, STOP_COPY)?, v2::open(&second, STOP_COPY)?);
    let (mut a, mut b) = (one.drain(50)?, two.drain(70)?);
    check!(a != b, "both streams are the same");
    v2::set(&first, RUNNING)?;
    check!(!two.is_disabled(), "the other's file was cut off");
    let (to, fro) = (v2::open(&first, RESUMING)?, v2::open(&second, RESUMING)?);
    for at in 0..a.len() {
        to.feed(&b[at..=at], 1)?;
        fro.feed(&a[at..=at], 1)?;
    }
    v2::set(&first, RUNNING)?;
    v2::set(&second, RUNNING)?;
    std::mem::swap(&mut a, &mut b);
    check_eq!(v2::save(&first)?, a, "the stream of the first");
    check_eq!(v2::save(&second)?, b, "the stream of the second");
    let (here, there) = (Region::of(&first)?, Region::of(&second)?);
    let (here, there) = (Mapping::new(&here)?, Mapping::new(&there)?);
    here.write(&[1; 16]);
    there.write(&[2; 16]);
    let mut seen = [0; 16];
    here.read(&mut seen);
    check_eq!(seen, [1; 16], "the data section of the first");
    Ok(())
}

fn goes_on_until_the_last_descriptor_of_the_device_is_closed(world: &World<'_>) -> Outcome {
    let mut device = world.open()?;
    let Some(second) = device.open_again() else {
        skip!("only a group gives a second descriptor");
    };
    guest::play(&device, world.ports(), 1)?;
    let file = v2::open(&device, PRE_COPY)?;
    let mut bytes = file.drain(4096)?;
    // The descriptor by which the transfer began goes.
    drop(device.replace_file(second?));
    check_eq!(v2::state(&device)?, PRE_COPY, "state through the second");
    v2::set(&device, STOP_COPY)?;
    bytes.extend(file.drain(4096)?);
    check!(Stream::parse(&bytes).is_ok(), "not a whole stream");
    drop(device);
    is_dead(&file, STOP_COPY)
}
