// SPDX-License-Identifier: GPL-2.0-only
//! Requests that make no sense, features that are not there, and the silence of the log.

use std::path::Path;

use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
    VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, VFIO_DEVICE_FEATURE_GET,
    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, VFIO_DEVICE_FEATURE_MIGRATION,
    VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
    VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, VFIO_DEVICE_FEATURE_SET,
};

use super::{cases, config, irq_calls, regions, World};
use vfio_client::device::{request, requests};
use vfio_client::kmsg::Kmsg;
use vfio_client::ktap::{check, check_eq, check_errno, skip, Outcome};
use vfio_client::memory::Argument;
use vfio_client::migration::v1::Region;
use vfio_client::serial::CONFIG;

cases![
    refuses_requests_that_it_does_not_know,
    offers_no_migration_for_a_type_that_stays,
    offers_no_feature_that_it_does_not_have,
    refuses_malformed_feature_requests,
    says_nothing_in_the_log_whatever_a_user_tries,
];

fn refuses_requests_that_it_does_not_know(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    // Hot reset, graphics planes and ioeventfd are requests of vfio that this device has not.
    let mut unknown: Vec<u32> = [12, 13, 14, 15, 16].map(request).to_vec();
    unknown.extend((21..60).map(request));
    unknown.extend([
        0,
        1,
        0x5401,
        request(155),
        u32::MAX,
        requests::RESET | (1 << 31),
    ]);
    for number in unknown {
        let call = device.ioctl(number, &mut Argument::words(&[64]));
        check_errno!(call, ENOTTY, "request {number:#x}");
    }
    check_eq!(
        device.get::<2>(CONFIG, 0)?,
        [0x36, 0x1b],
        "vendor after that"
    );
    Ok(())
}

fn offers_no_migration_for_a_type_that_stays(world: &World<'_>) -> Outcome {
    if world.migrates() {
        skip!("the type migrates");
    }
    let device = world.open()?;
    for feature in [
        VFIO_DEVICE_FEATURE_MIGRATION,
        VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
        VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
        VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
        VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
        VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
    ] {
        for how in [0, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_SET] {
            check_errno!(
                device.probe_feature(feature, how),
                ENOTTY,
                "feature {feature}"
            );
        }
    }
    check!(
        Region::find(&device)?.is_none(),
        "it has a migration region"
    );
    for shown in ["migdev/{}/migration", "vfio/{}/migration"] {
        let path = Path::new("/sys/kernel/debug").join(shown.replace("{}", &world.mdev.uuid()));
        check!(!path.exists(), "there is {}", path.display());
    }
    Ok(())
}

fn offers_no_feature_that_it_does_not_have(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for feature in [
        VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
        VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
        100,
        1000,
        0xffff,
    ] {
        check_errno!(
            device.probe_feature(feature, 0),
            ENOTTY,
            "feature {feature}"
        );
        for how in [VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_SET] {
            let mut page = Argument::words(&[64, feature | how]);
            let call = device.ioctl(requests::FEATURE, &mut page);
            check_errno!(call, ENOTTY, "feature {feature}, flags {how:#x}");
        }
    }
    Ok(())
}

fn refuses_malformed_feature_requests(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let both = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
    for (argsz, flags) in [
        (0, 0),
        (7, 0xffff),
        (8, both | 0xffff),
        (64, 1 << 19),
        (64, 1 << 31),
    ] {
        let call = device.ioctl(requests::FEATURE, &mut Argument::words(&[argsz, flags]));
        check_errno!(call, EINVAL, "argsz {argsz}, flags {flags:#x}");
    }
    Ok(())
}

fn says_nothing_in_the_log_whatever_a_user_tries(world: &World<'_>) -> Outcome {
    let mut log = Kmsg::from_now()?;
    // Everything that a user can do wrong, once more; each has its own verdict elsewhere.
    for case in [regions::CASES, config::CASES, irq_calls::CASES]
        .iter()
        .flat_map(|c| c.iter())
    {
        let _ = (case.run)(world);
    }
    let _ = refuses_requests_that_it_does_not_know(world);
    let _ = refuses_malformed_feature_requests(world);
    let lines = log.lines()?;
    check!(lines.is_empty(), "the kernel said:\n{}", lines.join("\n"));
    Ok(())
}
