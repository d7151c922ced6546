// SPDX-License-Identifier: GPL-2.0-only
//! The 16550A behind BAR 0, with a plug that leads each port's output to its own input.

use super::{cases, World};
use vfio_client::device::Device;
use vfio_client::ktap::{check, check_eq, Outcome};
use vfio_client::serial::{
    enable, Port, DATA, IER, IER_LINE, IER_MODEM, IER_RX, IER_THRE, IIR_FCR, IIR_NONE, LCR,
    LCR_DLAB, LSR, LSR_DR, LSR_OE, LSR_TEMT, LSR_THRE, MCR, MCR_DTR, MCR_LOOP, MCR_OUT2, MCR_RTS,
    MSR, SCR,
};

cases![
    powers_on_idle,
    keeps_scratch_and_line_control,
    masks_the_bits_that_registers_do_not_have,
    keeps_the_divisor_behind_its_latch,
    returns_a_character_through_the_plug,
    cuts_a_character_to_the_word_length,
    returns_a_text_without_fifos,
    returns_a_text_with_fifos,
    loses_nothing_while_the_receiver_is_full,
    never_mixes_its_ports,
    shows_the_transmitter_busy_while_the_receiver_is_full,
    empties_the_fifos_on_request,
    shows_the_modem_lines_through_the_plug,
    reports_each_modem_change_once,
    loops_back_internally,
    shows_fifos_in_the_identification,
    ranks_interrupt_identities,
    drops_the_transmit_identity_once_read,
];

/// Tries something on each port of an open card.
fn each_port(world: &World<'_>, case: fn(&Port<'_>) -> Outcome) -> Outcome {
    let device: Device = world.open()?;
    enable(&device, world.ports())?;
    (0..world.ports()).try_for_each(|number| case(&Port::new(&device, number)))
}

fn powers_on_idle(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for number in 0..world.ports() {
        let port = Port::new(&device, number);
        check_eq!(port.get(IER)?, 0, "IER of port {number}");
        check_eq!(port.get(IIR_FCR)?, IIR_NONE, "IIR of port {number}");
        check_eq!(port.get(LCR)?, 0, "LCR of port {number}");
        check_eq!(port.get(MCR)?, 0, "MCR of port {number}");
        check_eq!(port.get(LSR)?, LSR_THRE | LSR_TEMT, "LSR of port {number}");
    }
    Ok(())
}

fn keeps_scratch_and_line_control(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        for value in [0xff, 0x55, 0xaa, 0x00] {
            port.set(SCR, value)?;
            check_eq!(port.get(SCR)?, value, "scratch");
            port.set(LCR, value & !LCR_DLAB)?;
            check_eq!(port.get(LCR)?, value & !LCR_DLAB, "line control");
        }
        Ok(())
    })
}

fn masks_the_bits_that_registers_do_not_have(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(IER, 0xff)?;
        check_eq!(port.get(IER)?, 0x0f, "IER after all ones");
        port.set(IER, 0)?;
        port.set(MCR, 0xff)?;
        check_eq!(port.get(MCR)?, 0x1f, "MCR after all ones");
        Ok(())
    })
}

fn keeps_the_divisor_behind_its_latch(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(IER, 0)?;
        for (low, high) in [(0x0c, 0x00), (0x01, 0x00), (0x80, 0x01), (0x34, 0x12)] {
            port.set(LCR, LCR_DLAB | 0x03)?;
            port.set(DATA, low)?;
            port.set(IER, high)?;
            check_eq!((port.get(DATA)?, port.get(IER)?), (low, high), "divisor");
            port.set(LCR, 0x03)?;
            check_eq!(port.get(IER)?, 0, "IER behind the divisor");
            check_eq!(port.get(LSR)? & LSR_DR, 0, "data sent by a divisor write");
        }
        Ok(())
    })
}

fn returns_a_character_through_the_plug(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(LCR, 0x03)?;
        for byte in 0..=255 {
            check_eq!(port.get(LSR)? & LSR_DR, 0, "data ready before {byte}");
            port.set(DATA, byte)?;
            check_eq!(port.get(LSR)? & LSR_DR, LSR_DR, "data ready after {byte}");
            check_eq!(port.get(DATA)?, byte, "character {byte}");
        }
        Ok(())
    })
}

fn cuts_a_character_to_the_word_length(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        for (length, mask) in [(0, 0x1f), (1, 0x3f), (2, 0x7f), (3, 0xff)] {
            port.set(LCR, length)?;
            port.send(&[0xff, 0x55])?;
            check_eq!(
                port.receive(9)?,
                [mask, 0x55 & mask],
                "word length {length}"
            );
        }
        Ok(())
    })
}

fn returns_a_text_without_fifos(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(LCR, 0x03)?;
        port.set(IIR_FCR, 0)?;
        // One in the receive buffer, one waiting in the holding register.
        port.send(b"ab")?;
        check_eq!(port.receive(9)?, b"ab", "two characters");
        check_eq!(
            port.get(LSR)?,
            LSR_THRE | LSR_TEMT,
            "line status afterwards"
        );
        Ok(())
    })
}

fn returns_a_text_with_fifos(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(LCR, 0x03)?;
        for trigger in [0x01, 0x41, 0x81, 0xc1] {
            port.set(IIR_FCR, trigger)?;
            port.send(b"0123456789abcdef")?;
            check_eq!(
                port.receive(99)?,
                b"0123456789abcdef",
                "FIFO control {trigger:#x}"
            );
            check_eq!(
                port.get(LSR)?,
                LSR_THRE | LSR_TEMT,
                "line status afterwards"
            );
        }
        Ok(())
    })
}

fn loses_nothing_while_the_receiver_is_full(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(LCR, 0x03)?;
        port.set(IIR_FCR, 0x07)?;
        // Sixteen in the receive FIFO and sixteen that wait in the transmit FIFO.
        let text: Vec<u8> = (b'A'..b'A' + 32).collect();
        port.send(&text)?;
        check_eq!(port.get(LSR)? & LSR_OE, 0, "overrun");
        check_eq!(port.receive(99)?, text, "thirty-two characters");
        check_eq!(
            port.get(LSR)?,
            LSR_THRE | LSR_TEMT,
            "line status afterwards"
        );
        // And again, so that a FIFO that wedges when full is found out.
        port.send(&text)?;
        check_eq!(port.receive(99)?, text, "thirty-two characters more");
        Ok(())
    })
}

fn never_mixes_its_ports(world: &World<'_>) -> Outcome {
    if world.ports() < 2 {
        vfio_client::ktap::skip!("the type has one port");
    }
    let device = world.open()?;
    enable(&device, 2)?;
    let (first, second) = (Port::new(&device, 0), Port::new(&device, 1));
    for port in [first, second] {
        port.set(LCR, 0x03)?;
        port.set(IIR_FCR, 0x07)?;
    }
    first.send(b"first")?;
    second.send(b"2nd")?;
    first.set(SCR, 1)?;
    second.set(SCR, 2)?;
    check_eq!(second.receive(9)?, b"2nd", "text of the second port");
    check_eq!(first.receive(9)?, b"first", "text of the first port");
    check_eq!(
        (first.get(SCR)?, second.get(SCR)?),
        (1, 2),
        "scratch registers"
    );
    Ok(())
}

fn shows_the_transmitter_busy_while_the_receiver_is_full(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(LCR, 0x03)?;
        port.set(IIR_FCR, 0x07)?;
        port.send(&[b'x'; 16])?;
        check_eq!(
            port.get(LSR)? & LSR_THRE,
            LSR_THRE,
            "THRE with room to receive"
        );
        port.send(b"y")?;
        let status = port.get(LSR)?;
        check_eq!(status & LSR_TEMT, 0, "TEMT while a character waits");
        check_eq!(status & LSR_DR, LSR_DR, "DR with a full receiver");
        port.get(DATA)?;
        check_eq!(
            port.get(LSR)? & LSR_TEMT,
            LSR_TEMT,
            "TEMT once there is room"
        );
        check_eq!(port.receive(99)?, b"xxxxxxxxxxxxxxxy", "the rest");
        Ok(())
    })
}

fn empties_the_fifos_on_request(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(LCR, 0x03)?;
        port.set(IIR_FCR, 0x01)?;
        port.send(b"gone")?;
        port.set(IIR_FCR, 0x03)?;
        check_eq!(port.receive(9)?, b"", "after clearing the receiver");
        port.send(b"new")?;
        check_eq!(port.receive(9)?, b"new", "text after that");
        port.send(&[b'z'; 20])?;
        port.set(IIR_FCR, 0x07)?;
        check_eq!(port.receive(9)?, b"", "after clearing both");
        check_eq!(
            port.get(LSR)?,
            LSR_THRE | LSR_TEMT,
            "line status afterwards"
        );
        Ok(())
    })
}

fn shows_the_modem_lines_through_the_plug(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        // RTS leads to CTS; DTR leads to DSR and DCD.
        for (lines, seen) in [
            (0, 0x00),
            (MCR_RTS, 0x10),
            (MCR_DTR, 0xa0),
            (MCR_RTS | MCR_DTR, 0xb0),
            (0, 0x00),
        ] {
            port.set(MCR, lines | MCR_OUT2)?;
            check_eq!(port.get(MSR)? & 0xf0, seen, "modem status with {lines:#x}");
        }
        Ok(())
    })
}

fn reports_each_modem_change_once(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.get(MSR)?;
        port.set(MCR, MCR_RTS | MCR_OUT2)?;
        check_eq!(port.get(MSR)?, 0x11, "CTS and its delta");
        check_eq!(port.get(MSR)?, 0x10, "CTS without its delta");
        port.set(MCR, MCR_DTR | MCR_OUT2)?;
        check_eq!(port.get(MSR)?, 0xab, "DSR, DCD, and three deltas");
        check_eq!(port.get(MSR)?, 0xa0, "DSR and DCD without deltas");
        Ok(())
    })
}

fn loops_back_internally(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(LCR, 0x03)?;
        port.set(MCR, MCR_LOOP)?;
        port.send(b"L")?;
        check_eq!(port.receive(9)?, b"L", "text in loopback mode");
        // Loopback: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD.
        for (lines, seen) in [(0x01, 0x20), (0x02, 0x10), (0x04, 0x40), (0x08, 0x80)] {
            port.set(MCR, MCR_LOOP | lines)?;
            check_eq!(
                port.get(MSR)? & 0xf0,
                seen,
                "modem status of {lines:#x} in loopback"
            );
        }
        Ok(())
    })
}

fn shows_fifos_in_the_identification(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(IIR_FCR, 0x01)?;
        check_eq!(port.get(IIR_FCR)? & 0xc0, 0xc0, "FIFO bits when enabled");
        port.set(IIR_FCR, 0x00)?;
        check_eq!(port.get(IIR_FCR)? & 0xc0, 0x00, "FIFO bits when disabled");
        Ok(())
    })
}

fn ranks_interrupt_identities(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(LCR, 0x03)?;
        port.get(MSR)?;
        port.set(MCR, MCR_RTS | MCR_OUT2)?;
        port.send(b"r")?;
        port.set(IER, IER_RX | IER_THRE | IER_LINE | IER_MODEM)?;
        check_eq!(port.get(IIR_FCR)? & 0x0f, 0x04, "received data comes first");
        port.get(DATA)?;
        check_eq!(port.get(IIR_FCR)? & 0x0f, 0x02, "then the transmitter");
        check_eq!(
            port.get(IIR_FCR)? & 0x0f,
            0x00,
            "then the modem, once that was read"
        );
        port.get(MSR)?;
        check_eq!(port.get(IIR_FCR)? & 0x0f, IIR_NONE, "then nothing");
        Ok(())
    })
}

fn drops_the_transmit_identity_once_read(world: &World<'_>) -> Outcome {
    each_port(world, |port| {
        port.set(LCR, 0x03)?;
        port.set(IER, IER_THRE)?;
        check_eq!(port.get(IIR_FCR)? & 0x0f, 0x02, "transmitter empty");
        check_eq!(port.get(IIR_FCR)? & 0x0f, IIR_NONE, "after it was read");
        port.set(DATA, b't')?;
        check_eq!(
            port.get(IIR_FCR)? & 0x0f,
            0x02,
            "empty again after a character"
        );
        port.set(IER, 0)?;
        check_eq!(port.get(IIR_FCR)? & 0x0f, IIR_NONE, "not enabled");
        port.set(IER, IER_THRE)?;
        check_eq!(port.get(IIR_FCR)? & 0x0f, 0x02, "enabling it asks again");
        check!(port.receive(9)? == b"t", "the character is still there");
        Ok(())
    })
}
