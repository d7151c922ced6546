// SPDX-License-Identifier: GPL-2.0-only
//! The log of DMA: complete, strict, and empty, as the card writes to no memory.

use std::os::fd::AsFd;

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT as REPORT,
    VFIO_DEVICE_FEATURE_DMA_LOGGING_START as START, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP as STOP,
    VFIO_DEVICE_FEATURE_GET as GET, VFIO_DEVICE_FEATURE_SET as SET,
};

use super::super::{cases, World};
use vfio_client::device::{ioctl_frozen, requests, Device};
use vfio_client::ktap::{check, check_eq, check_errno, skip, Miss, Outcome};
use vfio_client::memory::Frozen;
use vfio_client::migration::{guest, logging};

cases![
    answers_probes_of_its_dma_log,
    logs_no_page_as_it_writes_none,
    takes_as_many_ranges_as_fit_a_page,
    refuses_a_second_log,
    refuses_ranges_that_make_no_sense,
    refuses_pages_that_make_no_sense,
    reports_only_while_it_logs,
    can_be_stopped_and_started_again,
    forgets_the_log_of_the_last_user,
    logs_nothing_when_its_answer_is_lost,
];

/// Opens a device whose log can be read; skips the case where the kernel has nothing to read one with.
fn open(world: &World<'_>) -> Result<Device, Miss> {
    let device = world.open()?;
    logging::start(&device, PAGE, &[RANGE])?;
    let report = logging::report(&device, RANGE, PAGE, &mut [0; 4]);
    logging::stop(&device)?;
    if report == Err(Errno::EOPNOTSUPP) {
        skip!("the kernel is built without CONFIG_IOMMUFD_DRIVER, which its IOMMU drivers select");
    }
    Ok(device)
}

const PAGE: u64 = 4096;
/// A range of 256 pages.
const RANGE: (u64, u64) = (0x10_0000, 256 * PAGE);

fn answers_probes_of_its_dma_log(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for (feature, how) in [(START, SET), (STOP, SET), (REPORT, GET)] {
        device.probe_feature(feature, 0)?;
        device.probe_feature(feature, how)?;
        let other = device.probe_feature(feature, GET | SET ^ how);
        check_errno!(other, EINVAL, "a probe of {feature} the other way");
    }
    Ok(())
}

fn logs_no_page_as_it_writes_none(world: &World<'_>) -> Outcome {
    let device = open(world)?;
    let page_size = logging::start(&device, PAGE, &[RANGE])?;
    check_eq!(page_size, PAGE, "the page size that it took");
    guest::play(&device, world.ports(), 1)?;
    // A report adds bits and takes none away.
    for pattern in [0, 0xa5a5_5a5a_0ff0_f00f] {
        let mut bitmap = [pattern; 5];
        logging::report(&device, RANGE, PAGE, &mut bitmap[..4])?;
        check_eq!(bitmap, [pattern; 5], "the bitmap");
        let part = (RANGE.0 + 8 * PAGE, 16 * PAGE);
        logging::report(&device, part, PAGE, &mut bitmap[..1])?;
        check_eq!(bitmap, [pattern; 5], "the bitmap of a part");
        let mut coarse = [pattern];
        logging::report(&device, RANGE, 64 * PAGE, &mut coarse)?;
        check_eq!(coarse, [pattern], "the bitmap of larger pages");
    }
    logging::stop(&device)?;
    Ok(())
}

fn takes_as_many_ranges_as_fit_a_page(world: &World<'_>) -> Outcome {
    let device = open(world)?;
    let ranges: Vec<_> = (0..257).map(|n| ((2 * n + 16) << 20, 1 << 20)).collect();
    let most = &ranges[..256];
    logging::start(&device, PAGE, most)?;
    for range in [most[0], most[255]] {
        let mut bitmap = [0; 4];
        logging::report(&device, range, PAGE, &mut bitmap)?;
        check_eq!(bitmap, [0; 4], "the bitmap of {range:x?}");
    }
    logging::stop(&device)?;
    check_errno!(
        logging::start(&device, PAGE, &ranges),
        E2BIG,
        "one range more"
    );
    Ok(())
}

fn refuses_a_second_log(world: &World<'_>) -> Outcome {
    let device = open(world)?;
    logging::start(&device, PAGE, &[RANGE])?;
    for range in [RANGE, (0x4000_0000, PAGE)] {
        let again = logging::start(&device, PAGE, &[range]);
        check_errno!(again, EBUSY, "a second log");
    }
    let mut bitmap = [0; 4];
    logging::report(&device, RANGE, PAGE, &mut bitmap)?;
    logging::stop(&device)?;
    Ok(())
}

fn refuses_ranges_that_make_no_sense(world: &World<'_>) -> Outcome {
    let device = open(world)?;
    let (at, size) = RANGE;
    for ranges in [
        &[][..],
        &[(at, 0)],
        &[RANGE, (at + size, 0)],
        &[(at + 1, size)],
        &[(at, size + 1)],
        &[RANGE, RANGE],
        &[RANGE, (at + size - PAGE, size)],
        &[(at, 4 * size), (at + size, size)],
    ] {
        let started = logging::start(&device, PAGE, ranges);
        check_errno!(started, EINVAL, "ranges {ranges:x?}");
    }
    let wrap = logging::start(&device, PAGE, &[(u64::MAX - PAGE + 1, 2 * PAGE)]);
    check_errno!(wrap, EOVERFLOW, "a range past the end");
    let nowhere = logging::start_at(&device, PAGE, 1, 8);
    check_errno!(nowhere, EFAULT, "ranges that are not there");
    let report = logging::report(&device, RANGE, PAGE, &mut [0; 4]);
    check_errno!(report, EINVAL, "a report after refused starts");
    // None of that was a start.
    logging::start(&device, PAGE, &[RANGE])?;
    Ok(logging::stop(&device)?)
}

fn refuses_pages_that_make_no_sense(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for page_size in [0, 0x3000, 0x1800, 5] {
        if let Ok(took) = logging::start(&device, page_size, &[(0x100_0000, 0x100_0000)]) {
            // A device may take another size than the one it was asked for, if it says so.
            check!(
                took.is_power_of_two(),
                "pages of {took:#x} for {page_size:#x}"
            );
            logging::stop(&device)?;
        }
    }
    for page_size in [PAGE, 2 * PAGE, 64 * PAGE] {
        let took = logging::start(&device, page_size, &[RANGE])?;
        check!(
            took.is_power_of_two(),
            "pages of {took:#x} for {page_size:#x}"
        );
        for wrong in [0, 1, 512, 0x3000] {
            let report = logging::report(&device, RANGE, wrong, &mut [0; 64]);
            check_errno!(report, EINVAL, "a report in pages of {wrong:#x}");
        }
        logging::stop(&device)?;
    }
    Ok(())
}

fn reports_only_while_it_logs(world: &World<'_>) -> Outcome {
    let device = open(world)?;
    let report = || logging::report(&device, RANGE, PAGE, &mut [0; 4]);
    check_errno!(report(), EINVAL, "before it was started");
    logging::start(&device, PAGE, &[RANGE])?;
    report()?;
    // The log is the monitor's; reset is the guest's.
    device.reset()?;
    report()?;
    let (at, size) = RANGE;
    for range in [
        (at + PAGE, size),
        (at - PAGE, size),
        (0, PAGE),
        (at + size, PAGE),
    ] {
        let outside = logging::report(&device, range, PAGE, &mut [0; 4]);
        check_errno!(
            outside,
            EINVAL,
            "a report of {range:x?}, which is not logged"
        );
    }
    logging::stop(&device)?;
    check_errno!(report(), EINVAL, "after it was stopped");
    Ok(logging::stop(&device)?)
}

fn can_be_stopped_and_started_again(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for round in 0..3 {
        logging::start(&device, PAGE, &[(RANGE.0 << round, RANGE.1)])?;
        logging::stop(&device)?;
    }
    Ok(())
}

fn forgets_the_log_of_the_last_user(world: &World<'_>) -> Outcome {
    let device = open(world)?;
    logging::start(&device, PAGE, &[RANGE])?;
    drop(device);
    let device = world.open()?;
    let report = logging::report(&device, RANGE, PAGE, &mut [0; 4]);
    check_errno!(report, EINVAL, "a report of the last user's log");
    logging::start(&device, PAGE, &[RANGE])?;
    Ok(logging::stop(&device)?)
}

fn logs_nothing_when_its_answer_is_lost(world: &World<'_>) -> Outcome {
    let device = open(world)?;
    let range = [RANGE.0, RANGE.1];
    let at = range.as_ptr() as u64;
    let words = [
        32,
        START | SET,
        PAGE as u32,
        0,
        1,
        0,
        at as u32,
        (at >> 32) as u32,
    ];
    let mut argument = Frozen::words(&words)?;
    let call = ioctl_frozen(device.file().as_fd(), requests::FEATURE, &mut argument);
    check_errno!(call, EFAULT, "a start without room for an answer");
    let report = logging::report(&device, RANGE, PAGE, &mut [0; 4]);
    check_errno!(report, EINVAL, "a report after that");
    logging::start(&device, PAGE, &[RANGE])?;
    Ok(logging::stop(&device)?)
}
