// SPDX-License-Identifier: GPL-2.0-only
//! What is refused is refused for its own reason or for the fault, and changes nothing.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::uio::pwrite;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_DMA_LOGGING_START, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
    VFIO_DEVICE_FEATURE_SET, VFIO_IRQ_SET_ACTION_MASK as MASK,
    VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK as UNMASK,
    VFIO_IRQ_SET_DATA_BOOL as BOOL, VFIO_IRQ_SET_DATA_EVENTFD as EVENTFD,
    VFIO_IRQ_SET_DATA_NONE as NONE, VFIO_PCI_INTX_IRQ_INDEX as INTX, VFIO_PCI_MSI_IRQ_INDEX as MSI,
};

use vfio_client::device::{ioctl, open_rw, requests};
use vfio_client::ktap::{check, check_eq, Miss, Outcome};
use vfio_client::memory::Argument;
use vfio_client::migration::{logging, v1, v2};
use vfio_client::serial::Signal;

use super::interrupts::{set, signals, INDEXES};
use super::{cases, World};

cases![
    refuses_to_be_masked_by_an_eventfd,
    refuses_to_mask_what_is_no_level,
    refuses_what_is_no_eventfd,
    refuses_a_state_that_there_is_none,
    refuses_to_tell_what_is_left_once_stopped,
    refuses_a_damaged_stream,
    refuses_a_damaged_section,
    refuses_to_log_dma_twice,
    refuses_a_baseline_for_its_own_reason,
    refuses_a_device_that_exists,
];

/// Checks that something is as it was.
fn stays<T: Debug + PartialEq>(now: T, before: T, what: &str) -> Outcome {
    check_eq!(now, before, "{what}");
    Ok(())
}

/// Sweeps over a call that is refused: with `want`, or with the error of the fault, and the next time with `want`.
/// `unchanged` checks what must be as it was.
fn refused<S, R: Debug>(
    world: &World,
    want: Errno,
    mut prepare: impl FnMut() -> Result<S, Miss>,
    call: impl Fn(&mut S) -> Result<R, Errno>,
    mut unchanged: impl FnMut(&S) -> Outcome,
) -> Outcome {
    world.faults.each(&mut prepare, &call, |mut state, came| {
        check!(came.answer.is_err(), "not refused: {:?}", came.answer);
        if came.fault.is_some() {
            came.is_clean(&[want])?;
        } else {
            check_eq!(came.answer.err(), Some(want), "without faults");
        }
        unchanged(&state)?;
        check_eq!(call(&mut state).err(), Some(want), "the next try");
        unchanged(&state)
    })
}

/// Sweeps over `VFIO_DEVICE_SET_IRQS` that is refused while an eventfd is tied to the index, which goes on being signalled.
fn refuses_irqs(world: &World, flags: u32, index: u32, data: &[u8], want: Errno) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let signal = Signal::new()?;
    device.irq_fd(TRIGGER, index, signal.fd())?;
    refused(
        world,
        want,
        || Ok(set(flags, index, data)),
        |argument| device.ioctl(requests::SET_IRQS, argument),
        |_| {
            check_eq!(signal.taken(Duration::ZERO)?, 0, "index {index}, by itself");
            check_eq!(signals(&device, index, &signal)?, 1, "index {index}");
            Ok(())
        },
    )?;
    device.irq_disable(index)?;
    world.works(&device)
}

fn refuses_to_be_masked_by_an_eventfd(world: &World) -> Outcome {
    let other = Signal::new()?;
    let data = other.fd().to_ne_bytes();
    for index in INDEXES {
        refuses_irqs(world, EVENTFD | MASK, index, &data, Errno::ENOTTY)?;
        if index != INTX {
            refuses_irqs(world, EVENTFD | UNMASK, index, &data, Errno::ENOTTY)?;
        }
    }
    check_eq!(other.taken(Duration::ZERO)?, 0, "what was not taken");
    Ok(())
}

fn refuses_to_mask_what_is_no_level(world: &World) -> Outcome {
    for action in [MASK, UNMASK] {
        refuses_irqs(world, NONE | action, MSI, &[], Errno::ENOTTY)?;
        refuses_irqs(world, BOOL | action, MSI, &[1], Errno::ENOTTY)?;
    }
    Ok(())
}

fn refuses_what_is_no_eventfd(world: &World) -> Outcome {
    let null = File::open("/dev/null")?;
    for (fd, want) in [
        (null.as_raw_fd(), Errno::EINVAL),
        (9999, Errno::EBADF),
        (-2, Errno::EINVAL),
    ] {
        for (action, index) in [(TRIGGER, INTX), (TRIGGER, MSI), (UNMASK, INTX)] {
            refuses_irqs(world, EVENTFD | action, index, &fd.to_ne_bytes(), want)?;
        }
    }
    Ok(())
}

fn refuses_a_state_that_there_is_none(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let feature = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET;
    for state in [v2::ERROR, 99] {
        refused(
            world,
            Errno::EINVAL,
            || Ok(Box::new(Argument::words(&[16, feature, state, 0]))),
            |argument| device.ioctl(requests::FEATURE, argument),
            |_| stays(v2::state(&device)?, v2::RUNNING, "the state"),
        )?;
    }
    world.works(&device)
}

fn refuses_to_tell_what_is_left_once_stopped(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    world.busy(&device)?;
    let file = v2::open(&device, v2::STOP_COPY)?;
    refused(
        world,
        Errno::EINVAL,
        || Ok(Box::new(Argument::words(&[24]))),
        |asked| ioctl(file.fd().as_fd(), v2::GET_PRECOPY_INFO, asked),
        |asked| {
            check!(asked.rest(4).iter().all(|byte| *byte == 0), "an answer");
            stays(v2::state(&device)?, v2::STOP_COPY, "the state")
        },
    )?;
    drop(file);
    world.works(&device)
}

fn refuses_a_damaged_stream(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    world.busy(&device)?;
    let stream = v2::save(&device)?;
    // What it begins with, and its last byte.
    for at in [0, stream.len() - 1] {
        let mut damaged = stream.clone();
        damaged[at] ^= 0x55;
        device.reset()?;
        let file = v2::open(&device, v2::RESUMING)?;
        let Err(want) = file.feed(&damaged, damaged.len()) else {
            return Err(Miss::Failed(format!("byte {at} does not matter")));
        };
        world.faults.each(
            || {
                device.reset()?;
                Ok(v2::open(&device, v2::RESUMING)?)
            },
            |file| file.feed(&damaged, damaged.len()),
            |_, came| {
                check!(came.answer.is_err(), "byte {at}: taken");
                match came.fault {
                    Some(_) => came.is_clean(&[want])?,
                    None => check_eq!(came.answer, Err(want), "byte {at}"),
                }
                check!(v2::set(&device, v2::RUNNING).is_err(), "byte {at}: it runs");
                device.reset()?;
                v2::load(&device, &stream)?;
                world.works(&device)
            },
        )?;
    }
    device.reset()?;
    world.works(&device)
}

fn refuses_a_damaged_section(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    world.busy(&device)?;
    let region = v1::Region::of(&device)?;
    let mut damaged = region.save()?;
    damaged.truncate(4096);
    damaged[0] ^= 0x55;
    let length = damaged.len() as u64;
    let prepare = || -> Result<(), Miss> {
        device.reset()?;
        region.set_state(v1::RESUMING)?;
        let at = region.data_offset()?;
        Ok(device.put(region.index, at, &damaged)?)
    };
    prepare()?;
    let Err(want) = region.set_data_size(length) else {
        return Err(Miss::Failed(
            "what it begins with does not matter".to_owned(),
        ));
    };
    refused(
        world,
        want,
        prepare,
        |()| region.set_data_size(length),
        |()| stays(region.state()?, v1::RESUMING, "the state"),
    )?;
    device.reset()?;
    world.works(&device)
}

fn refuses_to_log_dma_twice(world: &World) -> Outcome {
    const PAGE_SIZE: u64 = 4096;
    let range = (0x10_0000, 0x10_0000);
    let (_mdev, device) = world.opened()?;
    logging::start(&device, PAGE_SIZE, &[range])?;
    let words = [0x80_0000_u64, PAGE_SIZE];
    let feature = VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET;
    let mut argument = Argument::words(&[32, feature]);
    argument.put(8, &PAGE_SIZE.to_ne_bytes());
    argument.set(16, 1);
    argument.put(24, &(words.as_ptr() as u64).to_ne_bytes());
    refused(
        world,
        Errno::EBUSY,
        || Ok(Box::new(argument.clone())),
        |asked| device.ioctl(requests::FEATURE, asked),
        |_| {
            let mut bitmap = [0; 4];
            logging::report(&device, range, PAGE_SIZE, &mut bitmap)?;
            let other = (words[0], words[1]);
            let report = logging::report(&device, other, PAGE_SIZE, &mut bitmap);
            stays(report, Err(Errno::EINVAL), "what was refused")
        },
    )?;
    logging::stop(&device)?;
    world.works(&device)
}

fn refuses_a_baseline_for_its_own_reason(world: &World) -> Outcome {
    let path = world.kind.baseline();
    let levels = fs::read_to_string(world.kind.path().join("migration_baselines"))?;
    let oldest = levels.lines().last().ok_or(Errno::ENODATA)?;
    let before = fs::read_to_string(&path)?;
    check!(before.trim() != oldest, "there is one baseline only");
    let mdev = world.create()?;
    let file = open_rw(&path)?;
    for (text, want) in [
        ("none\n", Errno::EINVAL),
        ("abi=99.0\n", Errno::EOPNOTSUPP),
        (oldest, Errno::EBUSY),
    ] {
        refused(
            world,
            want,
            || Ok(()),
            |()| pwrite(&file, text.as_bytes(), 0),
            |()| stays(fs::read_to_string(&path)?.as_str(), &before, "the baseline"),
        )?;
    }
    world.opens_and_works(&mdev)
}

fn refuses_a_device_that_exists(world: &World) -> Outcome {
    let mdev = world.create()?;
    let create = OpenOptions::new()
        .write(true)
        .open(world.kind.path().join("create"))?;
    let left = world.available()?;
    let uuid = mdev.uuid();
    refused(
        world,
        Errno::EEXIST,
        || Ok(()),
        |()| pwrite(&create, uuid.as_bytes(), 0),
        |()| stays(world.available()?, left, "instances available"),
    )?;
    world.opens_and_works(&mdev)
}
