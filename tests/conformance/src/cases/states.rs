// SPDX-License-Identifier: GPL-2.0-only
//! The states of migration: which there are, how they are reached, and what a device does in them.

use std::os::fd::AsFd;

use super::support::*;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_GET as GET, VFIO_DEVICE_FEATURE_MIGRATION as MIGRATION,
    VFIO_DEVICE_FEATURE_MIG_DATA_SIZE as DATA_SIZE,
    VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE as DEVICE_STATE, VFIO_DEVICE_FEATURE_SET as SET,
    VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK as UNMASK,
    VFIO_MIGRATION_P2P, VFIO_MIGRATION_PRE_COPY, VFIO_MIGRATION_STOP_COPY,
    VFIO_PCI_INTX_IRQ_INDEX as INTX,
};
use vfio_client::device::{ioctl_frozen, requests};
use vfio_client::memory::{Argument, Frozen};
use vfio_client::migration::v2::{
    self, ERROR, PRECOPY_INFO_V2, PRE_COPY, PRE_COPY_P2P, RESUMING, RUNNING, RUNNING_P2P, STATES,
    STOP, STOP_COPY,
};

cases![
    can_stop_and_copy: UAPI, "The device offers STOP_COPY, and no flag that is not defined.";
    has_peer_to_peer_states: QEMU, "The device offers P2P, without which no two VFIO devices migrate in one machine.";
    has_pre_copy: UAPI, "The device offers PRE_COPY.";
    answers_probes: UAPI, "Each migration feature can be probed with what it can do.";
    refuses_what_a_feature_cannot_do: UAPI, "SET of MIGRATION or MIG_DATA_SIZE is EINVAL, and so is an argument that is too short.";
    offers_precopy_info_v2: UAPI, "MIG_PRECOPY_INFOv2 can be set, which makes the flags of PRECOPY_INFO valid.";
    is_running_at_open: UAPI, "A device that was opened is RUNNING.";
    reaches_every_state: UAPI, "Each state is reached from RUNNING, and the device says that it is there.";
    walks_every_arc: UAPI, "Every arc of the header, and every permitted combination, ends in the state asked for.";
    refuses_to_go_back_to_pre_copy: UAPI, "STOP_COPY to PRE_COPY or PRE_COPY_P2P is an error, and the state stays.";
    refuses_to_go_to_error: UAPI, "ERROR cannot be asked for, and the state stays.";
    refuses_numbers_that_are_no_state: UAPI, "A device_state that is not defined is EINVAL, and the state stays.";
    reads_all_of_the_number: UAPI, "A device_state whose low byte alone is a state is EINVAL.";
    takes_the_state_it_is_in: UAPI, "Asking for the present state succeeds, changes nothing and opens nothing.";
    opens_a_file_where_one_is_due: UAPI, "A data file comes with RESUMING and on entry to the saving states, and with nothing else.";
    gives_no_file_with_a_refusal: UAPI, "A refused transition opens no file.";
    loses_no_descriptor_to_a_bad_answer: POSIX, "A transition whose answer cannot be written leaves no descriptor behind, and the device usable.";
    tells_the_size_in_every_state: UAPI, "MIG_DATA_SIZE can be read in every state.";
    tells_a_size_that_suffices: QEMU, "MIG_DATA_SIZE, by which QEMU converges, is not below what then comes.";
    runs_in_pre_copy_and_p2p: UAPI, "RUNNING_P2P, PRE_COPY and PRE_COPY_P2P behave as RUNNING for a device without DMA.";
    interrupts_in_pre_copy_and_p2p: UAPI, "The device interrupts in PRE_COPY and RUNNING_P2P as when RUNNING.";
    is_silent_when_stopped: UAPI, "A device in STOP must not generate interrupts.";
    interrupts_once_it_runs_again: UAPI, "What was pending when it stopped is signalled when it runs again.";
    keeps_its_state_while_stopped: UAPI, "A device in STOP does not change its internal state.";
    sets_up_interrupts_while_stopped: QEMU, "SET_IRQS works in STOP and STOP_COPY.";
    sets_up_interrupts_while_resuming: QEMU, "SET_IRQS works in RESUMING, where QEMU restores the configuration.";
    takes_configuration_while_stopped: QEMU, "Configuration space can be written in STOP and STOP_COPY.";
    takes_configuration_while_resuming: QEMU, "Configuration space can be written in RESUMING, after the device's data, and stays.";
];

fn can_stop_and_copy(world: &World) -> Outcome {
    let flags = v2::flags(&*world.card()?)?;
    check!(
        flags & u64::from(VFIO_MIGRATION_STOP_COPY) != 0,
        "flags are {flags:#x}"
    );
    check_eq!(flags & !0xf, 0, "flags that are not defined");
    Ok(())
}

fn has_peer_to_peer_states(world: &World) -> Outcome {
    let flags = v2::flags(&*world.card()?)?;
    check!(
        flags & u64::from(VFIO_MIGRATION_P2P) != 0,
        "flags are {flags:#x}"
    );
    Ok(())
}

fn has_pre_copy(world: &World) -> Outcome {
    let flags = v2::flags(&*world.card()?)?;
    check!(
        flags & u64::from(VFIO_MIGRATION_PRE_COPY) != 0,
        "flags are {flags:#x}"
    );
    Ok(())
}

fn answers_probes(world: &World) -> Outcome {
    let card = world.card()?;
    for (feature, how) in [
        (MIGRATION, GET),
        (DEVICE_STATE, GET),
        (DEVICE_STATE, SET),
        (DATA_SIZE, GET),
    ] {
        let call = card.probe_feature(feature, how);
        check!(call.is_ok(), "a probe of {feature} with {how:#x}: {call:?}");
    }
    check_eq!(v2::state(&card)?, RUNNING, "state after probes");
    Ok(())
}

fn refuses_what_a_feature_cannot_do(world: &World) -> Outcome {
    let card = world.card()?;
    for (feature, how) in [(MIGRATION, SET), (DATA_SIZE, SET)] {
        check_errno!(
            card.probe_feature(feature, how),
            EINVAL,
            "a probe of {feature} with {how:#x}"
        );
    }
    for argsz in [8, 12, 15] {
        let mut argument = Argument::words(&[argsz, DEVICE_STATE | SET, STOP]);
        check_errno!(
            card.ioctl(requests::FEATURE, &mut argument),
            EINVAL,
            "{argsz} bytes"
        );
    }
    check_eq!(v2::state(&card)?, RUNNING, "state afterwards");
    Ok(())
}

fn offers_precopy_info_v2(world: &World) -> Outcome {
    let card = world.card()?;
    let probe = card.probe_feature(PRECOPY_INFO_V2, SET);
    check!(probe.is_ok(), "a probe of the feature: {probe:?}");
    card.ioctl(
        requests::FEATURE,
        &mut Argument::words(&[8, PRECOPY_INFO_V2 | SET]),
    )?;
    let file = v2::open(&card, PRE_COPY)?;
    check_eq!(
        file.precopy_info(24)?.flags,
        0,
        "flags with nothing initialised again"
    );
    Ok(())
}

fn is_running_at_open(world: &World) -> Outcome {
    check_eq!(v2::state(&*world.card()?)?, RUNNING, "state");
    Ok(())
}

fn reaches_every_state(world: &World) -> Outcome {
    for state in STATES {
        let card = world.card()?;
        let _file = v2::set(&card, state)?;
        check_eq!(
            v2::state(&card)?,
            state,
            "state after {state} was asked for"
        );
        drop(card);
    }
    Ok(())
}

/// Whether the header permits to go from one state to another.
fn permitted(from: u32, to: u32) -> bool {
    !(from == STOP_COPY && [PRE_COPY, PRE_COPY_P2P].contains(&to))
}

/// Brings a card into a state; into RESUMING with all that is needed to leave it.
fn bring(card: &Card, state: u32, stream: &[u8]) -> Result<Option<v2::DataFile>, Errno> {
    let file = v2::set(card, state)?;
    if let (RESUMING, Some(file)) = (state, &file) {
        file.feed(stream, stream.len())?;
    }
    Ok(file)
}

fn walks_every_arc(world: &World) -> Outcome {
    let card = world.card()?;
    let stream = v2::save(&card)?;
    for from in STATES {
        for to in STATES.into_iter().filter(|to| permitted(from, *to)) {
            card.reset()?;
            let _old = bring(&card, from, &stream)?;
            check_eq!(v2::state(&card)?, from, "state on the way to {from}");
            let went = v2::set(&card, to);
            check!(went.is_ok(), "from {from} to {to}: {went:?}");
            check_eq!(
                v2::state(&card)?,
                to,
                "state after going from {from} to {to}"
            );
        }
    }
    Ok(())
}

fn refuses_to_go_back_to_pre_copy(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, STOP_COPY)?;
    for to in [PRE_COPY, PRE_COPY_P2P] {
        let went = v2::set(&card, to);
        check!(went.is_err(), "to {to}: {went:?}");
        check_eq!(v2::state(&card)?, STOP_COPY, "state afterwards");
    }
    check!(!file.drain(64)?.is_empty(), "nothing to read afterwards");
    Ok(())
}

fn refuse(world: &World, numbers: &[u32]) -> Outcome {
    let card = world.card()?;
    for state in STATES {
        card.reset()?;
        let _file = v2::set(&card, state)?;
        for number in numbers {
            check_errno!(v2::set(&card, *number), EINVAL, "{number:#x} from {state}");
            check_eq!(v2::state(&card)?, state, "state after {number:#x}");
        }
    }
    Ok(())
}

fn refuses_to_go_to_error(world: &World) -> Outcome {
    refuse(world, &[ERROR])
}

fn refuses_numbers_that_are_no_state(world: &World) -> Outcome {
    refuse(world, &[8, 9, 0x7f, 0xff, 1 << 31, u32::MAX])
}

fn reads_all_of_the_number(world: &World) -> Outcome {
    refuse(world, &[0x102, 0x1_0001, 0x8000_0002])
}

fn takes_the_state_it_is_in(world: &World) -> Outcome {
    let card = world.card()?;
    for state in STATES {
        card.reset()?;
        let _file = v2::set(&card, state)?;
        for _ in 0..2 {
            check!(v2::set(&card, state)?.is_none(), "a file for {state} again");
            check_eq!(v2::state(&card)?, state, "state after {state} again");
        }
    }
    Ok(())
}

fn opens_a_file_where_one_is_due(world: &World) -> Outcome {
    let card = world.card()?;
    let stream = v2::save(&card)?;
    for from in STATES {
        for to in STATES.into_iter().filter(|to| permitted(from, *to)) {
            card.reset()?;
            let _old = bring(&card, from, &stream)?;
            let file = v2::set(&card, to)?;
            let due = match to {
                _ if from == to => false,
                RESUMING => true,
                _ => v2::saves(to) && !v2::saves(from),
            };
            check_eq!(file.is_some(), due, "a data file from {from} to {to}");
        }
    }
    Ok(())
}

fn descriptors() -> Result<usize, Miss> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

fn gives_no_file_with_a_refusal(world: &World) -> Outcome {
    let card = world.card()?;
    let _file = v2::set(&card, STOP_COPY)?;
    let before = descriptors()?;
    for state in [ERROR, PRE_COPY, 8, u32::MAX] {
        check!(v2::set(&card, state).is_err(), "{state:#x} is taken");
        check_eq!(descriptors()?, before, "descriptors after {state:#x}");
    }
    Ok(())
}

fn loses_no_descriptor_to_a_bad_answer(world: &World) -> Outcome {
    let card = world.card()?;
    let before = descriptors()?;
    for (from, to) in [(RUNNING, PRE_COPY), (RUNNING, STOP_COPY), (STOP, RESUMING)] {
        card.reset()?;
        v2::set(&card, from)?;
        let mut argument = Frozen::words(&[16, DEVICE_STATE | SET, to, 0])?;
        let call = ioctl_frozen(card.file().as_fd(), requests::FEATURE, &mut argument);
        check_errno!(call, EFAULT, "to {to} without room for an answer");
        check_eq!(descriptors()?, before, "descriptors after that");
    }
    card.reset()?;
    check_eq!(v2::state(&card)?, RUNNING, "state after a reset");
    let stream = v2::save(&card)?;
    v2::load(&card, &stream)?;
    Ok(())
}

fn tells_the_size_in_every_state(world: &World) -> Outcome {
    let card = world.card()?;
    for state in STATES {
        card.reset()?;
        let _file = v2::set(&card, state)?;
        let call = v2::data_size(&card);
        check!(call.is_ok(), "in state {state}: {call:?}");
    }
    Ok(())
}

fn tells_a_size_that_suffices(world: &World) -> Outcome {
    let card = world.card()?;
    mark(&card, 0x50)?;
    let told = v2::data_size(&card)?;
    let came = v2::save(&card)?.len() as u64;
    check!(told > 0 && told >= came, "{told} were told, {came} came");
    Ok(())
}

const RUNS: [u32; 3] = [RUNNING_P2P, PRE_COPY, PRE_COPY_P2P];

fn runs_in_pre_copy_and_p2p(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    for state in RUNS {
        let _file = v2::set(&card, state)?;
        works(&card, &format!("in state {state}"))?;
        v2::set(&card, RUNNING)?;
    }
    Ok(())
}

fn interrupts_in_pre_copy_and_p2p(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    for state in RUNS {
        let _file = v2::set(&card, state)?;
        card.port(0).assert_interrupt()?;
        signal.expect(1, &format!("an empty transmitter in state {state}"))?;
        card.port(0).deassert_interrupt()?;
        card.irq_now(UNMASK, INTX)?;
        v2::set(&card, RUNNING)?;
    }
    Ok(())
}

fn is_silent_when_stopped(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    v2::set(&card, STOP)?;
    card.port(0).assert_interrupt()?;
    signal.expect(0, "an empty transmitter in STOP")
}

fn interrupts_once_it_runs_again(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    card.port(0).assert_interrupt()?;
    signal.expect(1, "an empty transmitter")?;
    v2::set(&card, STOP)?;
    // A VMM unmasks when its guest looks at the device, whatever the state.
    card.irq_now(UNMASK, INTX)?;
    signal.taken(std::time::Duration::ZERO)?;
    v2::set(&card, RUNNING)?;
    signal.expect(1, "running again, with the cause still there")
}

fn keeps_its_state_while_stopped(world: &World) -> Outcome {
    let card = world.card()?;
    mark(&card, 0x61)?;
    let first = v2::save(&card)?;
    let file = v2::open(&card, STOP_COPY)?;
    check_eq!(file.drain(64)?, first, "the stream, saved a second time");
    Ok(())
}

fn set_up_in(world: &World, states: &[u32]) -> Outcome {
    for state in states {
        let card = world.card()?;
        card.enable()?;
        let _file = v2::set(&card, *state)?;
        let signal = card.intx()?;
        card.irq_disable(INTX)?;
        card.irq_fd(TRIGGER, INTX, signal.fd())?;
    }
    Ok(())
}

fn sets_up_interrupts_while_stopped(world: &World) -> Outcome {
    set_up_in(world, &[STOP, STOP_COPY])
}

fn sets_up_interrupts_while_resuming(world: &World) -> Outcome {
    set_up_in(world, &[RESUMING])?;
    let card = world.card()?;
    card.enable()?;
    let stream = v2::save(&card)?;
    let file = v2::open(&card, RESUMING)?;
    file.feed(&stream, stream.len())?;
    let signal = card.intx()?;
    v2::set(&card, RUNNING)?;
    card.port(0).assert_interrupt()?;
    signal.expect(1, "an empty transmitter after the load")
}

/// What QEMU writes at the end of a migration.
fn configure(card: &Card) -> Result<(), Errno> {
    card.put(CONFIG, BAR0_REGISTER, &0x0000_c0c0_u32.to_le_bytes())?;
    card.put(CONFIG, COMMAND, &0x0001_u16.to_le_bytes())?;
    card.put(CONFIG, INTERRUPT_LINE, &[0x0a])
}

fn is_configured(card: &Card) -> Outcome {
    let bar = vfio_client::serial::config32(card, BAR0_REGISTER)?;
    check_eq!(bar & !0x03, 0xc0c0, "BAR 0");
    check_eq!(
        card.get::<1>(CONFIG, INTERRUPT_LINE)?,
        [0x0a],
        "the interrupt line"
    );
    Ok(())
}

fn takes_configuration_while_stopped(world: &World) -> Outcome {
    for state in [STOP, STOP_COPY] {
        let card = world.card()?;
        let _file = v2::set(&card, state)?;
        configure(&card)?;
        is_configured(&card)?;
        v2::set(&card, RUNNING)?;
        is_configured(&card)?;
    }
    Ok(())
}

fn takes_configuration_while_resuming(world: &World) -> Outcome {
    let source = world.card()?;
    configure(&source)?;
    let stream = v2::save(&source)?;
    let card = world.card()?;
    let file = v2::open(&card, RESUMING)?;
    file.feed(&stream, stream.len())?;
    configure(&card)?;
    v2::set(&card, RUNNING)?;
    is_configured(&card)
}
