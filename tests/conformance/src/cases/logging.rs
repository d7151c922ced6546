// SPDX-License-Identifier: GPL-2.0-only
//! The log of DMA. A serial card does none, so that its log is empty; but it is a log.

use super::support::*;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT as REPORT,
    VFIO_DEVICE_FEATURE_DMA_LOGGING_START as START, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP as STOP,
    VFIO_DEVICE_FEATURE_GET as GET, VFIO_DEVICE_FEATURE_SET as SET,
};
use vfio_client::migration::logging;

cases![
    is_offered: QEMU, "START, STOP and REPORT are offered, without which QEMU refuses to migrate the device by default.";
    reports_no_page: UAPI, "A device that does no DMA reports no page as written, and clears no bit of the bitmap.";
    takes_a_page_of_ranges: UAPI, "As many ranges as fit into a page are accepted.";
    tells_its_page_size: UAPI, "START answers with the page size that it chose, a power of two.";
    refuses_ranges_that_overlap: UAPI, "Ranges that overlap or wrap, and none at all, are refused.";
    refuses_a_second_start: UAPI, "Another START is not allowed before the STOP.";
    starts_again_after_a_stop: UAPI, "After STOP, START and REPORT work again.";
    refuses_to_report_when_it_does_not_log: UAPI, "REPORT is an error when the log was not started, or was stopped.";
    forgets_the_log_of_the_last_user: UAPI, "The log of one user is not there for the next.";
];

const PAGE: u64 = 4096;
const RANGE: (u64, u64) = (1 << 20, 1 << 18);

fn is_offered(world: &World) -> Outcome {
    let card = world.card()?;
    for (feature, how) in [(START, SET), (STOP, SET), (REPORT, GET)] {
        let call = card.probe_feature(feature, how);
        check!(call.is_ok(), "a probe of {feature}: {call:?}");
    }
    Ok(())
}

fn reports_no_page(world: &World) -> Outcome {
    let card = world.card()?;
    logging::start(&card, PAGE, &[RANGE])?;
    card.enable()?;
    works(&card, "with the log on")?;
    let mut bitmap = [0, 0x5a5a];
    logging::report(&card, RANGE, PAGE, &mut bitmap)?;
    check_eq!(bitmap, [0, 0x5a5a], "the bitmap");
    logging::stop(&card)?;
    Ok(())
}

fn takes_a_page_of_ranges(world: &World) -> Outcome {
    let card = world.card()?;
    let ranges: Vec<_> = (0..256).map(|at| (at << 24, 1 << 20)).collect();
    logging::start(&card, PAGE, &ranges)?;
    logging::stop(&card)?;
    Ok(())
}

fn tells_its_page_size(world: &World) -> Outcome {
    let card = world.card()?;
    for hint in [PAGE, 1 << 16, 1 << 21] {
        let chosen = logging::start(&card, hint, &[(1 << 30, 1 << 30)])?;
        check!(chosen.is_power_of_two(), "{chosen} for {hint}");
        logging::stop(&card)?;
    }
    Ok(())
}

fn refuses_ranges_that_overlap(world: &World) -> Outcome {
    let card = world.card()?;
    for ranges in [
        &[RANGE, RANGE][..],
        &[RANGE, (RANGE.0 + PAGE, PAGE)],
        &[(u64::MAX - PAGE + 1, 2 * PAGE)],
        &[],
    ] {
        check!(
            logging::start(&card, PAGE, ranges).is_err(),
            "{ranges:x?} are taken"
        );
    }
    Ok(())
}

fn refuses_a_second_start(world: &World) -> Outcome {
    let card = world.card()?;
    logging::start(&card, PAGE, &[RANGE])?;
    check!(
        logging::start(&card, PAGE, &[RANGE]).is_err(),
        "a second start is taken"
    );
    logging::report(&card, RANGE, PAGE, &mut [0])?;
    logging::stop(&card)?;
    Ok(())
}

fn starts_again_after_a_stop(world: &World) -> Outcome {
    let card = world.card()?;
    for _ in 0..3 {
        logging::start(&card, PAGE, &[RANGE])?;
        logging::report(&card, RANGE, PAGE, &mut [0])?;
        logging::stop(&card)?;
    }
    Ok(())
}

fn refuses_to_report_when_it_does_not_log(world: &World) -> Outcome {
    let card = world.card()?;
    check!(
        logging::report(&card, RANGE, PAGE, &mut [0]).is_err(),
        "a report before the start"
    );
    logging::start(&card, PAGE, &[RANGE])?;
    logging::stop(&card)?;
    check!(
        logging::report(&card, RANGE, PAGE, &mut [0]).is_err(),
        "a report after the stop"
    );
    Ok(())
}

fn forgets_the_log_of_the_last_user(world: &World) -> Outcome {
    let card = world.card()?;
    logging::start(&card, PAGE, &[RANGE])?;
    let card = world.reopen(card.close())?;
    check!(
        logging::report(&card, RANGE, PAGE, &mut [0]).is_err(),
        "a report for the next user"
    );
    logging::start(&card, PAGE, &[RANGE])?;
    Ok(())
}
