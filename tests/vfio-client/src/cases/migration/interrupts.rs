// SPDX-License-Identifier: GPL-2.0-only
//! Interrupts of a device that is stopped, that runs again, and that arrives.

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK as MASK, VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER,
    VFIO_IRQ_SET_ACTION_UNMASK as UNMASK, VFIO_PCI_INTX_IRQ_INDEX as INTX,
    VFIO_PCI_MSI_IRQ_INDEX as MSI,
};

use super::super::{cases, World};
use vfio_client::device::Device;
use vfio_client::ktap::{Miss, Outcome};
use vfio_client::migration::v1::{self, Region};
use vfio_client::migration::v2::{
    self, PRE_COPY, PRE_COPY_P2P, RESUMING, RUNNING, RUNNING_P2P, STOP, STOP_COPY,
};
use vfio_client::serial::{
    enable, Port, Signal, COMMAND, COMMAND_INTX_DISABLE, COMMAND_IO, COMMAND_MASTER, CONFIG, IER,
    IER_RX,
};

cases![
    signals_nothing_while_stopped_and_what_is_due_when_it_runs,
    signals_nothing_that_has_passed_while_stopped,
    signals_in_every_state_that_runs,
    signals_nothing_while_stopped_by_the_region,
    asserts_anew_what_is_high_when_it_runs_again,
    keeps_the_mask_while_stopped,
    takes_eventfds_and_unmasks_while_stopped,
    signals_what_is_pending_at_its_destination,
    signals_nothing_at_its_destination_when_nothing_is_pending,
    signals_intx_once_when_it_first_runs_after_a_load,
    signals_no_intx_after_a_load_that_the_guest_does_not_use,
    signals_no_intx_where_nothing_was_loaded,
];

/// An open card, one of whose interrupts leads to an eventfd, with every port's gate open.
fn armed(world: &World<'_>, index: u32) -> Result<(Device, Signal), Miss> {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let signal = Signal::new()?;
    device.irq_fd(TRIGGER, index, signal.fd())?;
    Ok((device, signal))
}

fn signals_nothing_while_stopped_and_what_is_due_when_it_runs(world: &World<'_>) -> Outcome {
    for index in [INTX, MSI] {
        for state in [STOP, STOP_COPY] {
            let (device, signal) = armed(world, index)?;
            v2::set(&device, state)?;
            Port::new(&device, 0).assert_interrupt()?;
            signal.expect(0, &format!("index {index}, raised in {state}"))?;
            v2::set(&device, RUNNING)?;
            signal.expect(1, &format!("index {index}, running after {state}"))?;
        }
    }
    Ok(())
}

fn signals_nothing_that_has_passed_while_stopped(world: &World<'_>) -> Outcome {
    for index in [INTX, MSI] {
        let (device, signal) = armed(world, index)?;
        let port = Port::new(&device, 0);
        v2::set(&device, STOP)?;
        for _ in 0..3 {
            port.assert_interrupt()?;
            port.deassert_interrupt()?;
        }
        v2::set(&device, RUNNING)?;
        signal.expect(0, &format!("index {index}, raised and gone while stopped"))?;
        port.assert_interrupt()?;
        signal.expect(1, &format!("index {index}, raised afterwards"))?;
    }
    Ok(())
}

fn signals_in_every_state_that_runs(world: &World<'_>) -> Outcome {
    for state in [RUNNING_P2P, PRE_COPY, PRE_COPY_P2P] {
        let (device, signal) = armed(world, INTX)?;
        let _file = v2::set(&device, state)?;
        Port::new(&device, 0).assert_interrupt()?;
        signal.expect(1, &format!("raised in state {state}"))?;
    }
    Ok(())
}

fn signals_nothing_while_stopped_by_the_region(world: &World<'_>) -> Outcome {
    for bits in [v1::STOPPED, v1::STOP_COPY] {
        let (device, signal) = armed(world, INTX)?;
        let region = Region::of(&device)?;
        region.set_state(bits)?;
        Port::new(&device, 0).assert_interrupt()?;
        signal.expect(0, &format!("raised in {bits:03b}"))?;
        region.set_state(v1::RUNNING)?;
        signal.expect(1, &format!("running after {bits:03b}"))?;
    }
    Ok(())
}

/// What was on its way when the device stopped may have been lost, so it is sent once more.
fn asserts_anew_what_is_high_when_it_runs_again(world: &World<'_>) -> Outcome {
    let (device, signal) = armed(world, MSI)?;
    Port::new(&device, 0).assert_interrupt()?;
    signal.expect(1, "raised")?;
    for (state, times) in [
        (RUNNING_P2P, 0),
        (PRE_COPY_P2P, 0),
        (PRE_COPY, 0),
        (STOP_COPY, 0),
        (RUNNING, 1),
        (STOP, 0),
        (RUNNING_P2P, 1),
        (RUNNING, 0),
    ] {
        v2::set(&device, state)?;
        signal.expect(times, &format!("still high in state {state}"))?;
    }
    drop(device);
    // INTx is masked by its first signal, until the user has seen to it.
    let (device, signal) = armed(world, INTX)?;
    Port::new(&device, 0).assert_interrupt()?;
    signal.expect(1, "raised")?;
    v2::set(&device, STOP)?;
    v2::set(&device, RUNNING)?;
    signal.expect(0, "still masked")
}

fn keeps_the_mask_while_stopped(world: &World<'_>) -> Outcome {
    let (device, signal) = armed(world, INTX)?;
    device.irq_now(MASK, INTX)?;
    v2::set(&device, STOP)?;
    Port::new(&device, 0).assert_interrupt()?;
    v2::set(&device, RUNNING)?;
    signal.expect(0, "masked before it was stopped")?;
    device.irq_now(UNMASK, INTX)?;
    signal.expect(1, "unmasked")
}

fn takes_eventfds_and_unmasks_while_stopped(world: &World<'_>) -> Outcome {
    let (device, signal) = armed(world, INTX)?;
    Port::new(&device, 0).assert_interrupt()?;
    signal.expect(1, "raised")?;
    // That signal masked the line.
    v2::set(&device, STOP)?;
    device.irq_now(UNMASK, INTX)?;
    signal.expect(0, "unmasked while stopped")?;
    v2::set(&device, RUNNING)?;
    signal.expect(1, "running unmasked")?;

    v2::set(&device, STOP)?;
    let (other, unmask) = (Signal::new()?, Signal::new()?);
    device.irq_fd(TRIGGER, INTX, other.fd())?;
    device.irq_fd(UNMASK, INTX, unmask.fd())?;
    unmask.send()?;
    other.expect(0, "another eventfd, unmasked by one, while stopped")?;
    v2::set(&device, RUNNING)?;
    other.expect(1, "another eventfd once it runs")?;
    signal.expect(0, "the eventfd of before")
}

/// Moves a device to one that listens already, as a monitor has it that restores configuration last.
fn arrive(world: &World<'_>, index: u32, pending: bool, old: bool) -> Result<(), Miss> {
    let source = world.open()?;
    enable(&source, world.ports())?;
    if pending {
        Port::new(&source, world.ports() - 1).assert_interrupt()?;
    }
    let stream = v2::save(&source)?;
    drop(source);
    let device = world.open()?;
    let signal = Signal::new()?;
    let what = format!("index {index}, region {old}");
    let early = index == INTX;
    if old {
        let region = Region::of(&device)?;
        region.set_state(v1::RESUMING)?;
        region.feed(&stream, 256, v1::Carry::Mapped)?;
    } else {
        v2::open(&device, RESUMING)?.feed(&stream, 256)?;
    }
    // INTx before the device stops resuming, MSI after it, when the monitor sees that the guest had enabled it.
    if !early && !old {
        v2::set(&device, STOP)?;
    }
    device.irq_fd(TRIGGER, index, signal.fd())?;
    signal.expect(0, &format!("{what}: before it runs"))?;
    v2::set(&device, RUNNING)?;
    signal.expect(u64::from(pending), &format!("{what}: once it runs"))?;
    if pending {
        Port::new(&device, world.ports() - 1).deassert_interrupt()?;
        if index == INTX {
            device.irq_now(UNMASK, INTX)?;
        }
        signal.expect(0, &format!("{what}: once it is served"))?;
    }
    Port::new(&device, 0).assert_interrupt()?;
    signal.expect(1, &format!("{what}: raised there"))
}

fn signals_what_is_pending_at_its_destination(world: &World<'_>) -> Outcome {
    for index in [INTX, MSI] {
        arrive(world, index, true, false)?;
        arrive(world, index, true, true)?;
    }
    Ok(())
}

fn signals_nothing_at_its_destination_when_nothing_is_pending(world: &World<'_>) -> Outcome {
    for index in [INTX, MSI] {
        arrive(world, index, false, false)?;
        arrive(world, index, false, true)?;
    }
    Ok(())
}

/// A stream of a card in which no interrupt is pending, though one is enabled with this bit of IER, with the command
/// register and the MSI control register as given.
fn quiet(world: &World<'_>, ier: u8, command: u16, msi: u16) -> Result<Vec<u8>, Miss> {
    let source = world.open()?;
    enable(&source, world.ports())?;
    source.put(CONFIG, COMMAND, &command.to_le_bytes())?;
    source.put(CONFIG, MSI_CONTROL, &msi.to_le_bytes())?;
    Port::new(&source, world.ports() - 1).set(IER, ier)?;
    let signal = Signal::new()?;
    source.irq_fd(TRIGGER, INTX, signal.fd())?;
    signal.expect(0, "at the source")?;
    Ok(v2::save(&source)?)
}

const MSI_CONTROL: u64 = 0x42;
const MSI_ENABLE: u16 = 1;
const ENABLED: u16 = COMMAND_IO | COMMAND_MASTER;

/// Takes a stream in by either protocol, up to where the device has it and does not run.
fn take_in(device: &Device, stream: &[u8], old: bool) -> Outcome {
    if old {
        let region = Region::of(device)?;
        region.set_state(v1::RESUMING)?;
        region.feed(stream, 256, v1::Carry::Mapped)?;
    } else {
        v2::open(device, RESUMING)?.feed(stream, 256)?;
        v2::set(device, STOP)?;
    }
    Ok(())
}

/// The pin of the VMM may have come along asserted. One signal makes it look, even if there is nothing to see.
fn signals_intx_once_when_it_first_runs_after_a_load(world: &World<'_>) -> Outcome {
    let stream = quiet(world, IER_RX, ENABLED, 0)?;
    for (old, first) in [(false, RUNNING), (false, RUNNING_P2P), (true, RUNNING)] {
        let what = format!("region {old}, to {first}");
        let device = world.open()?;
        let signal = Signal::new()?;
        device.irq_fd(TRIGGER, INTX, signal.fd())?;
        take_in(&device, &stream, old)?;
        signal.expect(0, &format!("{what}: before it runs"))?;
        v2::set(&device, first)?;
        signal.expect(1, &format!("{what}: when it first runs"))?;
        v2::set(&device, RUNNING)?;
        device.irq_now(UNMASK, INTX)?;
        signal.expect(0, &format!("{what}: when it was looked at"))?;
        for state in [STOP, RUNNING, STOP_COPY, RUNNING, PRE_COPY, RUNNING] {
            v2::set(&device, state)?;
            signal.expect(0, &format!("{what}: in state {state} later on"))?;
        }
        let port = Port::new(&device, 0);
        port.assert_interrupt()?;
        signal.expect(1, &format!("{what}: raised afterwards"))?;
        port.deassert_interrupt()?;
        device.irq_now(UNMASK, INTX)?;
        // The next load is another one.
        take_in(&device, &stream, old)?;
        signal.expect(0, &format!("{what}: before it runs with another load"))?;
        v2::set(&device, first)?;
        signal.expect(1, &format!("{what}: when it runs with another load"))?;
    }
    Ok(())
}

fn signals_no_intx_after_a_load_that_the_guest_does_not_use(world: &World<'_>) -> Outcome {
    for (what, ier, command, msi) in [
        ("no interrupt enabled", 0, ENABLED, 0),
        (
            "the pin disabled",
            IER_RX,
            ENABLED | COMMAND_INTX_DISABLE,
            0,
        ),
        ("MSI enabled", IER_RX, ENABLED, MSI_ENABLE),
    ] {
        let stream = quiet(world, ier, command, msi)?;
        for old in [false, true] {
            let device = world.open()?;
            let signal = Signal::new()?;
            device.irq_fd(TRIGGER, INTX, signal.fd())?;
            take_in(&device, &stream, old)?;
            v2::set(&device, RUNNING)?;
            signal.expect(0, &format!("{what}, region {old}"))?;
        }
    }
    // With MSI it is the eventfd of the user that says where interrupts go.
    let stream = quiet(world, IER_RX, ENABLED, 0)?;
    for old in [false, true] {
        let device = world.open()?;
        let signal = Signal::new()?;
        take_in(&device, &stream, old)?;
        device.irq_fd(TRIGGER, MSI, signal.fd())?;
        v2::set(&device, RUNNING)?;
        signal.expect(0, &format!("an eventfd for MSI, region {old}"))?;
    }
    Ok(())
}

fn signals_no_intx_where_nothing_was_loaded(world: &World<'_>) -> Outcome {
    let stream = quiet(world, IER_RX, ENABLED, 0)?;
    let (device, signal) = armed(world, INTX)?;
    Port::new(&device, 0).set(IER, IER_RX)?;
    // A client of the region may think better of it before anything came.
    let region = Region::of(&device)?;
    region.set_state(v1::RESUMING)?;
    region.set_state(v1::RUNNING)?;
    signal.expect(0, "after a cancel")?;
    // And anybody may reset the device.
    take_in(&device, &stream, false)?;
    device.reset()?;
    enable(&device, world.ports())?;
    Port::new(&device, 0).set(IER, IER_RX)?;
    for state in [STOP, RUNNING] {
        v2::set(&device, state)?;
        signal.expect(0, &format!("in state {state} after a reset"))?;
    }
    Ok(())
}
