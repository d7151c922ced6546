// SPDX-License-Identifier: GPL-2.0-only
//! Calls that ask an open device something, and change nothing.

use std::os::fd::AsFd;

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
    VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_MIGRATION,
    VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
    VFIO_DEVICE_FEATURE_PROBE, VFIO_DEVICE_FEATURE_SET, VFIO_PCI_INTX_IRQ_INDEX,
    VFIO_PCI_MSI_IRQ_INDEX,
};

use vfio_client::device::{ioctl, requests, Access, Device};
use vfio_client::ktap::{check, check_eq, Outcome};
use vfio_client::memory::Argument;
use vfio_client::migration::v1::Region;
use vfio_client::migration::{guest, logging, v2};
use vfio_client::serial::CONFIG;

use super::{cases, World};

cases![
    says_what_it_is,
    says_what_a_region_is,
    says_what_the_migration_region_can,
    says_what_an_interrupt_is,
    says_how_it_migrates,
    says_how_long_its_state_is,
    says_what_state_it_is_in,
    says_which_features_it_has,
    says_how_much_is_left_in_pre_copy,
    takes_the_newer_form_of_pre_copy_or_does_not,
    starts_to_log_dma_or_does_not,
    stops_logging_dma_or_goes_on,
    reports_the_log_of_dma_again_and_again,
];

/// Sweeps over an ioctl of the device that answers in its argument: what it answers is always the same, and nothing changes.
fn asks(world: &World, request: u32, argument: &[u32]) -> Outcome {
    let (_mdev, device) = world.opened()?;
    asks_of(world, &device, request, Argument::words(argument))
}

fn asks_of(world: &World, device: &Device, request: u32, argument: Argument) -> Outcome {
    let view = world.busy(device)?;
    let mut want = argument.clone();
    device.ioctl(request, &mut want)?;
    world.faults.each(
        || Ok(Box::new(argument.clone())),
        |asked| device.ioctl(request, asked),
        |asked, came| {
            came.is_clean(&[])?;
            if came.answer.is_ok() {
                check_eq!(asked.rest(0), want.rest(0), "the answer");
            }
            guest::same(&guest::glance(device, world.ports)?, &view, "asked")?;
            check_eq!(v2::state(device)?, v2::RUNNING, "the state");
            let mut again = argument.clone();
            device.ioctl(request, &mut again)?;
            check_eq!(again.rest(0), want.rest(0), "the next answer");
            Ok(())
        },
    )?;
    world.works(device)
}

fn says_what_it_is(world: &World) -> Outcome {
    asks(world, requests::GET_INFO, &[16])
}

fn says_what_a_region_is(world: &World) -> Outcome {
    asks(world, requests::GET_REGION_INFO, &[32, 0, CONFIG])
}

fn says_what_the_migration_region_can(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let index = Region::of(&device)?.index;
    let argument = Argument::words(&[4096, 0, index]);
    asks_of(world, &device, requests::GET_REGION_INFO, argument)
}

fn says_what_an_interrupt_is(world: &World) -> Outcome {
    for index in [VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX] {
        asks(world, requests::GET_IRQ_INFO, &[16, 0, index])?;
    }
    Ok(())
}

fn says_how_it_migrates(world: &World) -> Outcome {
    let feature = VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET;
    asks(world, requests::FEATURE, &[16, feature])
}

fn says_how_long_its_state_is(world: &World) -> Outcome {
    let feature = VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET;
    asks(world, requests::FEATURE, &[16, feature])
}

fn says_what_state_it_is_in(world: &World) -> Outcome {
    let feature = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_GET;
    asks(world, requests::FEATURE, &[16, feature])
}

fn says_which_features_it_has(world: &World) -> Outcome {
    let how = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_PROBE;
    asks(
        world,
        requests::FEATURE,
        &[8, VFIO_DEVICE_FEATURE_MIGRATION | how],
    )
}

/// The argument that asks for the newer form of `struct vfio_precopy_info`, whose flags mean something.
fn newer_form() -> Box<Argument> {
    let feature = v2::PRECOPY_INFO_V2 | VFIO_DEVICE_FEATURE_SET;
    Box::new(Argument::words(&[8, feature]))
}

fn says_how_much_is_left_in_pre_copy(world: &World) -> Outcome {
    for newer in [false, true] {
        let (_mdev, device) = world.opened()?;
        if newer {
            device.ioctl(requests::FEATURE, &mut newer_form())?;
        }
        world.busy(&device)?;
        let file = v2::open(&device, v2::PRE_COPY)?;
        let want = file.precopy_info(24)?;
        world.faults.each(
            || Ok(Box::new(Argument::words(&[24, u32::MAX]))),
            |asked| ioctl(file.fd().as_fd(), v2::GET_PRECOPY_INFO, asked),
            |asked, came| {
                came.is_clean(&[])?;
                if came.answer.is_ok() {
                    check_eq!(asked.get(4), 0, "flags");
                    check_eq!(asked.get64(8), want.initial, "initial_bytes");
                    check_eq!(asked.get64(16), want.dirty, "dirty_bytes");
                }
                check_eq!(file.precopy_info(24)?, want, "the next answer");
                check_eq!(v2::state(&device)?, v2::PRE_COPY, "the state");
                Ok(())
            },
        )?;
        check_eq!(
            file.drain(4096)?.len() as u64,
            want.initial,
            "what can be read of it"
        );
        drop(file);
        world.works(&device)?;
    }
    Ok(())
}

fn takes_the_newer_form_of_pre_copy_or_does_not(world: &World) -> Outcome {
    let mdev = world.create()?;
    world.faults.each(
        // It is taken once for as long as the device is open.
        || {
            let device = Device::open(mdev.path(), Access::Cdev)?;
            Ok((device, newer_form()))
        },
        |(device, asked)| device.ioctl(requests::FEATURE, asked),
        |(device, _), came| {
            came.is_clean(&[])?;
            device.ioctl(requests::FEATURE, &mut newer_form())?;
            world.busy(&device)?;
            let file = v2::open(&device, v2::PRE_COPY)?;
            let info = file.precopy_info(24)?;
            check!(info.initial > 0, "nothing to send first");
            check_eq!((info.flags, info.dirty), (0, 0), "flags, and dirty_bytes");
            drop(file);
            world.works(&device)
        },
    )
}

/// A megabyte, and its pages.
const RANGE: (u64, u64) = (0x10_0000, 0x10_0000);
const PAGE_SIZE: u64 = 4096;

/// Whether there is a log: only then can it be asked for a report.
fn is_logging(device: &Device) -> Result<bool, Errno> {
    let mut bitmap = [0; 4];
    match logging::report(device, RANGE, PAGE_SIZE, &mut bitmap) {
        Ok(()) => Ok(true),
        Err(Errno::EINVAL) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn starts_to_log_dma_or_does_not(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let ranges = [RANGE.0, RANGE.1, 0x40_0000, 0x1000];
    let feature = VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET;
    let mut argument = Argument::words(&[32, feature]);
    argument.put(8, &PAGE_SIZE.to_ne_bytes());
    argument.set(16, 2);
    argument.put(24, &(ranges.as_ptr() as u64).to_ne_bytes());
    world.faults.each(
        || Ok(Box::new(argument.clone())),
        |asked| device.ioctl(requests::FEATURE, asked),
        |_, came| {
            came.is_clean(&[])?;
            let started = came.answer.is_ok();
            check_eq!(is_logging(&device)?, started, "whether there is a log");
            if !started {
                logging::start(&device, PAGE_SIZE, &[RANGE])?;
                check!(is_logging(&device)?, "no log after the next try");
            }
            logging::stop(&device)?;
            Ok(())
        },
    )?;
    world.works(&device)
}

fn stops_logging_dma_or_goes_on(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let feature = VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | VFIO_DEVICE_FEATURE_SET;
    world.faults.each(
        || {
            logging::start(&device, PAGE_SIZE, &[RANGE])?;
            Ok(Box::new(Argument::words(&[8, feature])))
        },
        |asked| device.ioctl(requests::FEATURE, asked),
        |_, came| {
            came.is_clean(&[])?;
            let stopped = came.answer.is_ok();
            check_eq!(is_logging(&device)?, !stopped, "whether there is a log");
            if !stopped {
                logging::stop(&device)?;
            }
            check!(!is_logging(&device)?, "a log after the next try");
            Ok(())
        },
    )?;
    world.works(&device)
}

fn reports_the_log_of_dma_again_and_again(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    logging::start(&device, PAGE_SIZE, &[RANGE])?;
    let mut bitmap = vec![0_u64; 4];
    let feature = VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT | VFIO_DEVICE_FEATURE_GET;
    let mut argument = Argument::words(&[40, feature]);
    let words = [RANGE.0, RANGE.1, PAGE_SIZE, bitmap.as_mut_ptr() as u64];
    for (index, word) in words.iter().enumerate() {
        argument.put(8 + 8 * index, &word.to_ne_bytes());
    }
    world.faults.each(
        || Ok(Box::new(argument.clone())),
        |asked| device.ioctl(requests::FEATURE, asked),
        |_, came| {
            came.is_clean(&[])?;
            check!(is_logging(&device)?, "the log is gone");
            Ok(())
        },
    )?;
    check!(bitmap.iter().all(|word| *word == 0), "pages without DMA");
    logging::stop(&device)?;
    world.works(&device)
}
