// SPDX-License-Identifier: GPL-2.0-only
//! Back to power-on: by `VFIO_DEVICE_RESET`, and by closing and opening.

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK as MASK, VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER,
    VFIO_IRQ_SET_ACTION_UNMASK as UNMASK, VFIO_PCI_INTX_IRQ_INDEX as INTX,
    VFIO_PCI_MSI_IRQ_INDEX as MSI,
};

use super::{cases, World};
use vfio_client::device::Device;
use vfio_client::ktap::{check, check_eq, Outcome};
use vfio_client::serial::{
    enable, Port, Signal, BAR0_REGISTER, CONFIG, DATA, IER, IIR_FCR, INTERRUPT_LINE, LCR, LCR_DLAB,
    LSR, LSR_TEMT, LSR_THRE, MCR, SCR,
};

cases![
    reset_returns_configuration_to_power_on,
    reset_returns_the_ports_to_power_on,
    reset_takes_the_interrupt_level_away,
    reset_keeps_the_mask_and_the_eventfds,
    reset_works_again_and_again,
    starts_every_open_from_power_on,
    forgets_the_interrupts_of_the_last_user,
];

/// Leaves traces in everything that can keep one.
fn dirty(device: &Device, ports: usize) -> Result<(), Errno> {
    enable(device, ports)?;
    device.put(CONFIG, BAR0_REGISTER, &0xc000_u32.to_le_bytes())?;
    device.put(CONFIG, INTERRUPT_LINE, &[0x0b])?;
    device.put(CONFIG, 0x42, &[0xff; 12])?;
    for number in 0..ports {
        let port = Port::new(device, number);
        port.set(LCR, LCR_DLAB | 0x03)?;
        port.set(DATA, 0x12)?;
        port.set(IER, 0x34)?;
        port.set(LCR, 0x1b)?;
        port.set(IIR_FCR, 0xc1)?;
        port.set(SCR, 0x99)?;
        port.send(b"left behind by the user before, and too long to fit")?;
        port.set(IER, 0x0f)?;
        port.set(MCR, 0x1f)?;
    }
    Ok(())
}

/// Configuration space and the registers of each port that reading does not change.
fn state(device: &Device, ports: usize) -> Result<(Vec<u8>, Vec<u8>), Errno> {
    let config = device.get::<256>(CONFIG, 0)?.to_vec();
    let mut registers = Vec::new();
    for number in 0..ports {
        let port = Port::new(device, number);
        for register in [IER, LCR, MCR, LSR, SCR, IIR_FCR] {
            registers.push(port.get(register)?);
        }
        port.set(LCR, LCR_DLAB)?;
        registers.push(port.get(DATA)?);
        registers.push(port.get(IER)?);
        port.set(LCR, 0)?;
    }
    Ok((config, registers))
}

fn reset_returns_configuration_to_power_on(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let want = state(&device, world.ports())?.0;
    dirty(&device, world.ports())?;
    check!(
        state(&device, world.ports())?.0 != want,
        "the traces left no trace"
    );
    device.reset()?;
    check_eq!(
        state(&device, world.ports())?.0,
        want,
        "configuration after reset"
    );
    Ok(())
}

fn reset_returns_the_ports_to_power_on(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let want = state(&device, world.ports())?.1;
    dirty(&device, world.ports())?;
    device.reset()?;
    for number in 0..world.ports() {
        let port = Port::new(&device, number);
        check_eq!(
            port.get(LSR)?,
            LSR_THRE | LSR_TEMT,
            "line status after reset"
        );
    }
    check_eq!(
        state(&device, world.ports())?.1,
        want,
        "registers after reset"
    );
    enable(&device, world.ports())?;
    for number in 0..world.ports() {
        let port = Port::new(&device, number);
        port.set(LCR, 0x03)?;
        port.send(b"n")?;
        check_eq!(port.receive(99)?, b"n", "text after reset");
    }
    Ok(())
}

fn reset_takes_the_interrupt_level_away(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let signal = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, signal.fd())?;
    Port::new(&device, 0).assert_interrupt()?;
    signal.expect(1, "before reset")?;
    device.reset()?;
    device.irq_now(UNMASK, INTX)?;
    signal.expect(0, "unmasked after reset")
}

/// Eventfds and masks are the monitor's; reset is the guest's.
fn reset_keeps_the_mask_and_the_eventfds(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let (signal, unmask) = (Signal::new()?, Signal::new()?);
    device.irq_fd(TRIGGER, INTX, signal.fd())?;
    device.irq_fd(UNMASK, INTX, unmask.fd())?;
    let raise = || {
        enable(&device, world.ports())?;
        Port::new(&device, 0).assert_interrupt()
    };

    device.irq_now(MASK, INTX)?;
    device.reset()?;
    raise()?;
    signal.expect(0, "masked before reset")?;
    device.irq_now(UNMASK, INTX)?;
    signal.expect(1, "unmasked after reset")?;

    // That signal masked the line again.
    device.reset()?;
    raise()?;
    signal.expect(0, "automasked before reset")?;
    unmask.send()?;
    signal.expect(1, "unmasked after reset by the eventfd from before")?;

    // And a line that was not masked still is not.
    device.reset()?;
    device.irq_now(UNMASK, INTX)?;
    device.reset()?;
    signal.expect(0, "nothing asserted after reset")?;
    raise()?;
    signal.expect(1, "never masked since")
}

fn reset_works_again_and_again(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let want = state(&device, world.ports())?;
    for _ in 0..50 {
        dirty(&device, world.ports())?;
        device.reset()?;
        device.reset()?;
    }
    check!(
        state(&device, world.ports())? == want,
        "not at power-on after 100 resets"
    );
    Ok(())
}

fn starts_every_open_from_power_on(world: &World<'_>) -> Outcome {
    let want = state(&world.open()?, world.ports())?;
    for round in 0..5 {
        let device = world.open()?;
        let got = state(&device, world.ports())?;
        check_eq!(got, want, "state at open {round}");
        dirty(&device, world.ports())?;
    }
    Ok(())
}

fn forgets_the_interrupts_of_the_last_user(world: &World<'_>) -> Outcome {
    let (intx, msi, unmask) = (Signal::new()?, Signal::new()?, Signal::new()?);
    let device = world.open()?;
    device.irq_fd(TRIGGER, INTX, intx.fd())?;
    device.irq_fd(UNMASK, INTX, unmask.fd())?;
    device.irq_fd(TRIGGER, MSI, msi.fd())?;
    drop(device);
    let device = world.open()?;
    enable(&device, world.ports())?;
    Port::new(&device, 0).assert_interrupt()?;
    unmask.send()?;
    intx.expect(0, "INTx of the last user")?;
    msi.expect(0, "MSI of the last user")?;
    let mine = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, mine.fd())?;
    mine.expect(1, "INTx of this user")
}
