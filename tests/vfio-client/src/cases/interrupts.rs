// SPDX-License-Identifier: GPL-2.0-only
//! INTx: a level that is signalled once, masks itself, and is looked at again when unmasked.

use std::time::Duration;

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_AUTOMASKED, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_MASKABLE,
    VFIO_IRQ_INFO_NORESIZE, VFIO_IRQ_SET_ACTION_MASK as MASK,
    VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK as UNMASK,
    VFIO_PCI_INTX_IRQ_INDEX as INTX,
};

use super::{cases, World};
use vfio_client::device::Device;
use vfio_client::kmsg::Kmsg;
use vfio_client::ktap::{check, check_eq, check_errno, Outcome};
use vfio_client::serial::{
    config16, enable, Port, Signal, COMMAND, COMMAND_INTX_DISABLE, COMMAND_IO, COMMAND_MASTER,
    CONFIG, DATA, IER, IER_MODEM, IER_RX, IER_THRE, IIR_FCR, LCR, MCR, MCR_OUT2, MCR_RTS, MSR,
    STATUS, STATUS_INTERRUPT,
};

cases![
    describes_its_five_interrupt_indexes,
    signals_intx_once_when_asserted,
    stays_automasked_until_unmasked,
    signals_again_when_unmasked_while_asserted,
    is_quiet_when_unmasked_after_the_cause_is_gone,
    loses_no_event_while_masked,
    masks_and_unmasks_by_bool,
    signals_a_level_that_was_there_before_the_trigger,
    unmasks_through_an_eventfd,
    heeds_an_unmask_eventfd_that_was_signalled_before,
    unties_the_unmask_eventfd,
    survives_a_signal_that_unmasks_itself,
    is_silenced_by_intx_disable_and_returns,
    stays_automasked_through_intx_disable,
    shows_the_pending_level_in_the_status_register,
    injects_one_signal_on_request,
    is_deassigned_by_minus_one,
    keeps_the_mask_when_deassigned_by_minus_one,
    keeps_the_unmask_eventfd_when_deassigned_by_minus_one,
    is_disabled_as_a_whole,
    moves_to_another_eventfd,
    follows_every_cause_of_a_port,
    joins_the_ports_on_one_line,
    survives_the_user_closing_the_eventfd,
];

fn describes_its_five_interrupt_indexes(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let noresize = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
    let intx = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
    check_eq!(device.irq(0)?, (intx, 1), "flags and count of INTx");
    check_eq!(device.irq(1)?, (noresize, 1), "flags and count of MSI");
    check_eq!(device.irq(2)?.1, 0, "count of MSI-X");
    check_eq!(device.irq(3)?, (noresize, 1), "flags and count of ERR");
    check_eq!(device.irq(4)?, (noresize, 1), "flags and count of REQ");
    Ok(())
}

/// An open card whose INTx leads to an eventfd, with every port's gate open.
struct Armed {
    device: Device,
    signal: Signal,
}

impl Armed {
    fn new(world: &World<'_>) -> Result<Self, Errno> {
        let device = world.open()?;
        enable(&device, world.ports())?;
        let signal = Signal::new()?;
        device.irq_fd(TRIGGER, INTX, signal.fd())?;
        Ok(Armed { device, signal })
    }

    fn port(&self) -> Port<'_> {
        Port::new(&self.device, 0)
    }

    fn mask(&self) -> Result<(), Errno> {
        self.device.irq_now(MASK, INTX)
    }

    fn unmask(&self) -> Result<(), Errno> {
        self.device.irq_now(UNMASK, INTX)
    }
}

fn signals_intx_once_when_asserted(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    armed.signal.expect(0, "before anything happened")?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose")
}

fn stays_automasked_until_unmasked(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose")?;
    for _ in 0..5 {
        armed.port().deassert_interrupt()?;
        armed.port().assert_interrupt()?;
    }
    armed.signal.expect(0, "while automasked")
}

fn signals_again_when_unmasked_while_asserted(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose")?;
    for round in 0..5 {
        armed.unmask()?;
        armed
            .signal
            .expect(1, &format!("unmasked while asserted, round {round}"))?;
    }
    Ok(())
}

fn is_quiet_when_unmasked_after_the_cause_is_gone(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose")?;
    armed.port().deassert_interrupt()?;
    armed.unmask()?;
    armed.signal.expect(0, "unmasked with the cause gone")?;
    armed.unmask()?;
    armed.signal.expect(0, "unmasked although not masked")?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose again")
}

fn loses_no_event_while_masked(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    armed.mask()?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(0, "while masked")?;
    armed.mask()?;
    armed.unmask()?;
    armed.signal.expect(1, "after the unmask")
}

fn masks_and_unmasks_by_bool(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    armed.device.irq_bool(MASK, INTX, 1)?;
    armed.device.irq_bool(UNMASK, INTX, 0)?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(0, "masked by 1, not unmasked by 0")?;
    armed.device.irq_bool(UNMASK, INTX, 1)?;
    armed.signal.expect(1, "unmasked by 1")?;
    armed.port().deassert_interrupt()?;
    armed.unmask()?;
    armed.device.irq_bool(MASK, INTX, 0)?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "not masked by 0")
}

fn signals_a_level_that_was_there_before_the_trigger(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    Port::new(&device, 0).assert_interrupt()?;
    let signal = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, signal.fd())?;
    signal.expect(1, "a trigger for a level that is high already")
}

fn unmasks_through_an_eventfd(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    let unmask = Signal::new()?;
    armed.device.irq_fd(UNMASK, INTX, unmask.fd())?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose")?;
    for round in 0..3 {
        unmask.send()?;
        armed
            .signal
            .expect(1, &format!("unmasked by the eventfd, round {round}"))?;
    }
    armed.port().deassert_interrupt()?;
    unmask.send()?;
    armed.signal.expect(0, "unmasked with the cause gone")?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose again")
}

fn heeds_an_unmask_eventfd_that_was_signalled_before(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose")?;
    let unmask = Signal::new()?;
    unmask.send()?;
    armed.device.irq_fd(UNMASK, INTX, unmask.fd())?;
    armed
        .signal
        .expect(1, "unmasked by a signal that was already there")
}

fn survives_a_signal_that_unmasks_itself(world: &World<'_>) -> Outcome {
    // Each signal unmasks the line, which is still high, and so signals again: a loop that the
    // user made, and that must cost nobody else.
    let mut log = Kmsg::from_now()?;
    let armed = Armed::new(world)?;
    armed.device.irq_fd(UNMASK, INTX, armed.signal.fd())?;
    armed.port().assert_interrupt()?;
    std::thread::sleep(Duration::from_millis(100));
    check_eq!(
        armed.port().get(IER)?,
        IER_THRE,
        "IER in the middle of that"
    );
    armed.device.irq_fd(UNMASK, INTX, -1)?;
    armed.signal.taken(Duration::from_millis(50))?;
    armed.signal.expect(0, "once the loop is cut")?;
    // And with the loop closed when the device is.
    armed.device.irq_fd(UNMASK, INTX, armed.signal.fd())?;
    armed.unmask()?;
    drop(armed);
    let armed = Armed::new(world)?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "for the next user")?;
    let lines = log.lines()?;
    check!(lines.is_empty(), "the kernel said:\n{}", lines.join("\n"));
    Ok(())
}

fn unties_the_unmask_eventfd(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    let (unmask, other) = (Signal::new()?, Signal::new()?);
    armed.device.irq_fd(UNMASK, INTX, unmask.fd())?;
    armed.device.irq_fd(UNMASK, INTX, -1)?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose")?;
    unmask.send()?;
    armed
        .signal
        .expect(0, "after a signal on the untied eventfd")?;
    armed.device.irq_fd(UNMASK, INTX, other.fd())?;
    other.send()?;
    armed.signal.expect(1, "after a signal on the new one")?;
    armed.device.irq_fd(UNMASK, INTX, -1)?;
    armed.device.irq_fd(UNMASK, INTX, -1)?;
    Ok(())
}

fn is_silenced_by_intx_disable_and_returns(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    let on = COMMAND_IO | COMMAND_MASTER;
    let off = on | COMMAND_INTX_DISABLE;
    armed.device.put(CONFIG, COMMAND, &off.to_le_bytes())?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(0, "with interrupts disabled")?;
    armed.unmask()?;
    armed
        .signal
        .expect(0, "unmasked with interrupts disabled")?;
    armed.device.put(CONFIG, COMMAND, &on.to_le_bytes())?;
    armed.signal.expect(1, "with interrupts enabled again")
}

fn stays_automasked_through_intx_disable(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose")?;
    let on = COMMAND_IO | COMMAND_MASTER;
    for command in [on | COMMAND_INTX_DISABLE, on] {
        armed.device.put(CONFIG, COMMAND, &command.to_le_bytes())?;
        armed
            .signal
            .expect(0, "the command register is not the mask")?;
    }
    armed.unmask()?;
    armed.signal.expect(1, "after the unmask")
}

fn shows_the_pending_level_in_the_status_register(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let pending = || config16(&device, STATUS).map(|status| status & STATUS_INTERRUPT);
    check_eq!(pending()?, 0, "status of an idle card");
    Port::new(&device, 0).assert_interrupt()?;
    check_eq!(pending()?, STATUS_INTERRUPT, "status with the level high");
    let off = COMMAND_IO | COMMAND_INTX_DISABLE;
    device.put(CONFIG, COMMAND, &off.to_le_bytes())?;
    check_eq!(pending()?, STATUS_INTERRUPT, "status with the pin disabled");
    Port::new(&device, 0).deassert_interrupt()?;
    check_eq!(pending()?, 0, "status with the level low again");
    Ok(())
}

fn injects_one_signal_on_request(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    armed.device.irq_now(TRIGGER, INTX)?;
    armed.signal.expect(1, "injected")?;
    armed.unmask()?;
    armed.device.irq_bool(TRIGGER, INTX, 1)?;
    armed.signal.expect(1, "injected by 1")?;
    armed.unmask()?;
    armed.device.irq_bool(TRIGGER, INTX, 0)?;
    armed.signal.expect(0, "not injected by 0")
}

fn is_deassigned_by_minus_one(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    armed.device.irq_fd(TRIGGER, INTX, -1)?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(0, "after it was de-assigned")?;
    let injected = armed.device.irq_now(TRIGGER, INTX);
    check_errno!(injected, EINVAL, "an injection into nothing");
    for byte in [0, 1] {
        let injected = armed.device.irq_bool(TRIGGER, INTX, byte);
        check_errno!(injected, EINVAL, "an injection of {byte} into nothing");
    }
    armed.unmask()?;
    armed.signal.expect(0, "after an injection into nothing")?;
    armed.device.irq_fd(TRIGGER, INTX, armed.signal.fd())?;
    armed.signal.expect(1, "assigned again while asserted")
}

fn keeps_the_mask_when_deassigned_by_minus_one(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose")?;
    armed.device.irq_fd(TRIGGER, INTX, -1)?;
    armed.device.irq_fd(TRIGGER, INTX, armed.signal.fd())?;
    armed.signal.expect(0, "still automasked")?;
    armed.unmask()?;
    armed.signal.expect(1, "unmasked")
}

fn keeps_the_unmask_eventfd_when_deassigned_by_minus_one(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    let unmask = Signal::new()?;
    armed.device.irq_fd(UNMASK, INTX, unmask.fd())?;
    armed.port().assert_interrupt()?;
    armed.signal.expect(1, "after the level rose")?;
    armed.device.irq_fd(TRIGGER, INTX, -1)?;
    armed.device.irq_fd(TRIGGER, INTX, armed.signal.fd())?;
    unmask.send()?;
    armed.signal.expect(1, "unmasked by the eventfd")
}

fn is_disabled_as_a_whole(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    let unmask = Signal::new()?;
    armed.device.irq_fd(UNMASK, INTX, unmask.fd())?;
    armed.device.irq_disable(INTX)?;
    armed.port().assert_interrupt()?;
    unmask.send()?;
    armed.signal.expect(0, "after it was disabled")?;
    armed.device.irq_disable(INTX)?;
    armed.device.irq_fd(TRIGGER, INTX, armed.signal.fd())?;
    armed.signal.expect(1, "assigned again while asserted")
}

fn moves_to_another_eventfd(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    let other = Signal::new()?;
    armed.device.irq_fd(TRIGGER, INTX, other.fd())?;
    armed.port().assert_interrupt()?;
    other.expect(1, "the new eventfd")?;
    armed.signal.expect(0, "the old eventfd")
}

fn follows_every_cause_of_a_port(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    for number in 0..world.ports() {
        let port = Port::new(&armed.device, number);
        port.set(LCR, 0x03)?;
        port.set(IIR_FCR, 0x00)?;
        port.get(MSR)?;

        port.set(IER, IER_RX)?;
        port.set(DATA, b'i')?;
        armed.signal.expect(1, "a character arrived")?;
        armed.unmask()?;
        armed.signal.expect(1, "it was not fetched")?;
        port.get(DATA)?;
        armed.unmask()?;
        armed.signal.expect(0, "it was fetched")?;

        port.set(IER, IER_MODEM)?;
        port.set(MCR, MCR_OUT2 | MCR_RTS)?;
        armed.signal.expect(1, "a modem line changed")?;
        port.get(MSR)?;
        armed.unmask()?;
        armed.signal.expect(0, "the change was read")?;

        port.assert_interrupt()?;
        armed.signal.expect(1, "the transmitter is empty")?;
        port.get(IIR_FCR)?;
        armed.unmask()?;
        armed.signal.expect(0, "that was read")?;
        port.deassert_interrupt()?;
    }
    Ok(())
}

fn joins_the_ports_on_one_line(world: &World<'_>) -> Outcome {
    if world.ports() < 2 {
        vfio_client::ktap::skip!("the type has one port");
    }
    let armed = Armed::new(world)?;
    let second = Port::new(&armed.device, 1);
    second.assert_interrupt()?;
    armed.signal.expect(1, "the second port asserts")?;
    armed.port().assert_interrupt()?;
    second.deassert_interrupt()?;
    armed.unmask()?;
    armed.signal.expect(1, "the first port still asserts")?;
    armed.port().deassert_interrupt()?;
    armed.unmask()?;
    armed.signal.expect(0, "no port asserts")
}

fn survives_the_user_closing_the_eventfd(world: &World<'_>) -> Outcome {
    let armed = Armed::new(world)?;
    let unmask = Signal::new()?;
    armed.device.irq_fd(UNMASK, INTX, unmask.fd())?;
    let Armed { device, signal } = armed;
    drop(signal);
    drop(unmask);
    Port::new(&device, 0).assert_interrupt()?;
    device.irq_now(UNMASK, INTX)?;
    let again = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, again.fd())?;
    // The old eventfd lived on in the kernel and took a signal, so that the line is masked.
    device.irq_now(UNMASK, INTX)?;
    again.expect(1, "a new eventfd after the old one was closed")
}
