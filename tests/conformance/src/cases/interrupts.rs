// SPDX-License-Identifier: GPL-2.0-only
//! How interrupts are described, set up and signalled. What raises them is an empty transmitter.

use std::time::Duration;

use super::support::*;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_AUTOMASKED, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_MASKABLE,
    VFIO_IRQ_SET_ACTION_MASK as MASK, VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER,
    VFIO_IRQ_SET_ACTION_UNMASK as UNMASK, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE,
    VFIO_PCI_INTX_IRQ_INDEX as INTX, VFIO_PCI_MSI_IRQ_INDEX as MSI,
};
use vfio_client::serial::{
    config16, Signal, COMMAND_INTX_DISABLE, COMMAND_IO, STATUS, STATUS_INTERRUPT,
};

cases![
    answers_for_every_index: UAPI, "GET_IRQ_INFO answers for every index below num_irqs, with count 0 for what is not there.";
    describes_intx_as_level_triggered: UAPI, "INTx is one interrupt with eventfd, maskable and automasked.";
    refuses_indexes_it_does_not_have: UAPI, "GET_IRQ_INFO answers EINVAL for an index behind the last.";
    answers_without_get_info: UAPI, "GET_IRQ_INFO needs no GET_INFO before it.";
    sets_up_without_get_info: UAPI, "SET_IRQS needs no GET_INFO before it.";
    refuses_what_makes_no_sense: VFIO_PCI, "SET_IRQS refuses flags, ranges and descriptors that make no sense.";
    signals_intx: VFIO_PCI, "An interrupt of a port signals the eventfd of INTx.";
    masks_intx_when_it_signals: UAPI, "INTx signals once until it is unmasked.";
    signals_again_what_is_still_there: VFIO_PCI, "An unmask signals again when the cause is still there.";
    stays_silent_when_the_cause_is_gone: VFIO_PCI, "An unmask signals nothing when the cause is gone.";
    is_silent_while_masked: UAPI, "Nothing is signalled while the user masks INTx.";
    keeps_what_comes_while_masked: VFIO_PCI, "What comes while INTx is masked is signalled by the unmask.";
    unmasks_by_eventfd: UAPI, "An eventfd can be tied to the unmask, as KVM's resample needs it.";
    signals_on_request: UAPI, "A trigger with no data signals the eventfd, for loopback tests.";
    is_silent_once_untied: UAPI, "INTx that was disabled signals nothing.";
    is_silent_with_intx_disabled: PCI, "The interrupt disable bit of the command register keeps INTx silent.";
    shows_intx_in_the_status_register: PCI, "The interrupt status bit tells of a pending INTx.";
    signals_msi: UAPI, "An interrupt of a port signals the eventfd of the MSI.";
    signals_each_port: VFIO_PCI, "Every port of the card can interrupt.";
];

const RAISED: &str = "an empty transmitter";

fn answers_for_every_index(world: &World) -> Outcome {
    let card = world.card()?;
    let (_, _, irqs) = card.info()?;
    for index in 0..irqs {
        let call = card.irq(index);
        check!(call.is_ok(), "index {index}: {call:?}");
    }
    Ok(())
}

fn describes_intx_as_level_triggered(world: &World) -> Outcome {
    let card = world.card()?;
    let (flags, count) = card.irq(INTX)?;
    let want = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
    check_eq!((flags & want, count), (want, 1), "flags and count of INTx");
    Ok(())
}

fn refuses_indexes_it_does_not_have(world: &World) -> Outcome {
    let card = world.card()?;
    let (_, _, irqs) = card.info()?;
    for index in [irqs, irqs + 1, 1 << 16, u32::MAX] {
        check_errno!(card.irq(index), EINVAL, "index {index}");
    }
    Ok(())
}

fn answers_without_get_info(world: &World) -> Outcome {
    let mdev = world.idle()?;
    let device = world.silently(&mdev)?;
    let call = device.irq(INTX);
    drop(device);
    check!(call.is_ok(), "GET_IRQ_INFO as the first call: {call:?}");
    Ok(())
}

fn sets_up_without_get_info(world: &World) -> Outcome {
    let mdev = world.idle()?;
    let device = world.silently(&mdev)?;
    let signal = Signal::new()?;
    let call = device.irq_fd(TRIGGER, INTX, signal.fd());
    drop(device);
    check!(call.is_ok(), "SET_IRQS as the first call: {call:?}");
    Ok(())
}

fn refuses_what_makes_no_sense(world: &World) -> Outcome {
    let card = world.card()?;
    let signal = Signal::new()?;
    let fd = signal.fd().to_ne_bytes();
    let eventfd = VFIO_IRQ_SET_DATA_EVENTFD | TRIGGER;
    for (what, call) in [
        ("no flags", card.set_irqs(0, INTX, 0, 1, &fd)),
        (
            "two actions",
            card.set_irqs(eventfd | MASK, INTX, 0, 1, &fd),
        ),
        (
            "two kinds of data",
            card.set_irqs(eventfd | VFIO_IRQ_SET_DATA_NONE, INTX, 0, 1, &fd),
        ),
        ("an index too high", card.set_irqs(eventfd, 1000, 0, 1, &fd)),
        ("a start too high", card.set_irqs(eventfd, INTX, 1, 1, &fd)),
        (
            "a start near the end of numbers",
            card.set_irqs(eventfd, INTX, u32::MAX, 1, &fd),
        ),
        (
            "too many",
            card.set_irqs(eventfd, INTX, 0, 2, &[fd, fd].concat()),
        ),
        ("no data", card.set_irqs(eventfd, INTX, 0, 1, &[])),
        (
            "a descriptor that is not open",
            card.irq_fd(TRIGGER, INTX, 1 << 20),
        ),
        (
            "a descriptor of something else",
            card.irq_fd(TRIGGER, INTX, 0),
        ),
    ] {
        check!(call.is_err(), "{what} is taken");
    }
    Ok(())
}

fn signals_intx(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    card.port(0).assert_interrupt()?;
    signal.expect(1, RAISED)
}

fn masks_intx_when_it_signals(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    for _ in 0..3 {
        card.port(0).deassert_interrupt()?;
        card.port(0).assert_interrupt()?;
    }
    signal.expect(1, "three causes without an unmask")
}

fn signals_again_what_is_still_there(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    card.port(0).assert_interrupt()?;
    signal.expect(1, RAISED)?;
    for _ in 0..2 {
        card.irq_now(UNMASK, INTX)?;
        signal.expect(1, "an unmask with the cause still there")?;
    }
    Ok(())
}

fn stays_silent_when_the_cause_is_gone(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    card.port(0).assert_interrupt()?;
    signal.expect(1, RAISED)?;
    card.port(0).deassert_interrupt()?;
    card.irq_now(UNMASK, INTX)?;
    signal.expect(0, "an unmask with the cause gone")?;
    card.port(0).assert_interrupt()?;
    signal.expect(1, "another cause")
}

fn is_silent_while_masked(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    card.irq_now(MASK, INTX)?;
    card.port(0).assert_interrupt()?;
    signal.expect(0, "a cause while masked")
}

fn keeps_what_comes_while_masked(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    card.irq_now(MASK, INTX)?;
    card.port(0).assert_interrupt()?;
    signal.taken(Duration::ZERO)?;
    card.irq_now(UNMASK, INTX)?;
    signal.expect(1, "the unmask")
}

fn unmasks_by_eventfd(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let (signal, unmask) = (card.intx()?, Signal::new()?);
    card.irq_fd(UNMASK, INTX, unmask.fd())?;
    card.port(0).assert_interrupt()?;
    signal.expect(1, RAISED)?;
    unmask.send()?;
    signal.expect(1, "the unmask by eventfd, with the cause still there")
}

fn signals_on_request(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    card.irq_now(TRIGGER, INTX)?;
    signal.expect(1, "a trigger without data")?;
    card.irq_now(UNMASK, INTX)?;
    card.irq_bool(TRIGGER, INTX, 0)?;
    signal.expect(0, "a trigger by false")?;
    card.irq_bool(TRIGGER, INTX, 1)?;
    signal.expect(1, "a trigger by true")
}

fn is_silent_once_untied(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    card.irq_disable(INTX)?;
    card.port(0).assert_interrupt()?;
    signal.expect(0, "a cause after INTx was disabled")
}

fn is_silent_with_intx_disabled(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    let command = COMMAND_IO | COMMAND_INTX_DISABLE;
    card.put(CONFIG, COMMAND, &command.to_le_bytes())?;
    card.port(0).assert_interrupt()?;
    signal.expect(0, "a cause with interrupts disabled")?;
    card.put(CONFIG, COMMAND, &COMMAND_IO.to_le_bytes())?;
    signal.expect(1, "interrupts enabled again, with the cause still there")
}

fn shows_intx_in_the_status_register(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    check_eq!(
        config16(&card, STATUS)? & STATUS_INTERRUPT,
        0,
        "status without a cause"
    );
    card.port(0).assert_interrupt()?;
    check_eq!(
        config16(&card, STATUS)? & STATUS_INTERRUPT,
        STATUS_INTERRUPT,
        "status with a cause"
    );
    card.port(0).deassert_interrupt()?;
    check_eq!(
        config16(&card, STATUS)? & STATUS_INTERRUPT,
        0,
        "status with the cause gone"
    );
    Ok(())
}

fn signals_msi(world: &World) -> Outcome {
    let card = world.card()?;
    check_eq!(card.irq(MSI)?.1, 1, "vectors");
    card.enable()?;
    let signal = card.msi()?;
    for _ in 0..3 {
        card.port(0).assert_interrupt()?;
        signal.expect(1, RAISED)?;
        card.port(0).deassert_interrupt()?;
    }
    Ok(())
}

fn signals_each_port(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    for number in 0..card.ports() {
        card.port(number).assert_interrupt()?;
        signal.expect(1, &format!("the transmitter of port {number}"))?;
        card.port(number).deassert_interrupt()?;
        card.irq_now(UNMASK, INTX)?;
    }
    Ok(())
}
