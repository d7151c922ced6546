// SPDX-License-Identifier: GPL-2.0-only
//! The 16550A, by its data sheet. What needs a cable is tried in internal loopback, which every 16550A has.

use super::support::*;

cases![
    powers_on_as_after_master_reset: UART, "IER, LCR and MCR are 0, THRE and TEMT are set, nothing else is.";
    has_nothing_pending_at_power_on: UART, "IIR reads 0x01 after a master reset.";
    powers_on_without_fifos: UART, "The FIFOs are disabled at first, so that IIR bits 6 and 7 are 0.";
    shows_enabled_fifos_in_iir: UART, "IIR bits 6 and 7 are set when the FIFOs are enabled.";
    shows_disabled_fifos_in_iir: UART, "IIR bits 6 and 7 are 0 when the FIFOs are disabled.";
    keeps_scratch: UART, "The scratch register holds any byte.";
    keeps_line_control: UART, "LCR reads back as written.";
    has_four_bits_of_ier: UART, "IER bits 4 to 7 are always 0.";
    has_no_upper_bits_of_mcr: UART, "MCR bits 6 and 7 are always 0.";
    sets_the_divisor: UART, "The divisor is what was written last.";
    keeps_the_divisor: UART, "The divisor is there when its latch is opened again.";
    sends_nothing_by_a_divisor: UART, "A write to the divisor latch sends no character and enables no interrupt.";
    loops_a_character_back: UART, "In loopback, what is sent is received.";
    cuts_characters_to_the_word_length: UART, "With 5 to 7 bits a word the upper bits are not received.";
    loops_modem_lines_back: UART, "In loopback, MCR bits 0 to 3 appear as DSR, CTS, RI and DCD.";
    reports_a_modem_change_once: UART, "Reading MSR clears its delta bits.";
    receives_sixteen_characters: UART, "The receive FIFO holds 16 characters and gives them back in order.";
    is_ready_with_a_full_fifo: UART, "Data is ready when the FIFO is full.";
    goes_on_after_a_full_fifo: UART, "A FIFO that was full and was read takes the next characters.";
    tells_of_an_overrun: UART, "A character too many sets the overrun bit.";
    forgets_an_overrun_that_was_read: UART, "Reading LSR clears the overrun bit.";
    empties_its_transmitter_while_data_waits: UART, "What is received and not read keeps the transmitter from nothing.";
    clears_its_receiver: UART, "FCR bit 1 empties the receive FIFO.";
    clears_fifos_that_are_switched: UART, "A change of FCR bit 0 empties the FIFOs.";
    has_no_receive_interrupt_while_empty: UART, "Without a character there is no received-data interrupt.";
    waits_for_its_trigger_level: UART, "Received data is available as an interrupt from the level in FCR on.";
    ranks_its_interrupts: UART, "Of several causes, IIR names the one of highest priority.";
    reports_line_status_interrupts: UART, "An overrun interrupts, when enabled, by identity 0x06.";
    ends_line_status_interrupts: UART, "Reading LSR ends the line-status interrupt.";
    reports_modem_status_interrupts: UART, "A change of a modem line interrupts, when enabled, by identity 0x00.";
    reports_its_empty_transmitter: UART, "An empty transmitter interrupts, when enabled, by identity 0x02.";
    drops_the_transmitter_once_read: UART, "Reading IIR ends the transmitter's interrupt.";
    has_no_interrupt_that_is_not_enabled: UART, "With IER 0 nothing is pending, whatever happened.";
    keeps_its_ports_apart: UART, "What is done to one port shows in no other.";
];

/// Each port of a new card, before any driver touched it.
fn each_new_port(
    world: &World,
    case: impl Fn(&vfio_client::serial::Port<'_>) -> Outcome,
) -> Outcome {
    let card = world.card()?;
    (0..card.ports()).try_for_each(|number| case(&card.port(number)))
}

fn powers_on_as_after_master_reset(world: &World) -> Outcome {
    each_new_port(world, |port| {
        check_eq!(port.get(IER)?, 0, "IER");
        check_eq!(port.get(LCR)?, 0, "LCR");
        check_eq!(port.get(MCR)?, 0, "MCR");
        check_eq!(port.get(LSR)?, LSR_THRE | LSR_TEMT, "LSR");
        Ok(())
    })
}

fn has_nothing_pending_at_power_on(world: &World) -> Outcome {
    each_new_port(world, |port| {
        check_eq!(port.get(IIR_FCR)? & IDENTITY, IIR_NONE, "identity");
        Ok(())
    })
}

fn powers_on_without_fifos(world: &World) -> Outcome {
    each_new_port(world, |port| {
        check_eq!(port.get(IIR_FCR)? & 0xc0, 0, "IIR bits 6 and 7");
        Ok(())
    })
}

fn shows_enabled_fifos_in_iir(world: &World) -> Outcome {
    each_port(world, |port| {
        port.set(IIR_FCR, FCR_ENABLE)?;
        check_eq!(port.get(IIR_FCR)? & 0xc0, 0xc0, "IIR bits 6 and 7");
        Ok(())
    })
}

fn shows_disabled_fifos_in_iir(world: &World) -> Outcome {
    each_port(world, |port| {
        port.set(IIR_FCR, FCR_ENABLE)?;
        port.set(IIR_FCR, 0)?;
        check_eq!(port.get(IIR_FCR)? & 0xc0, 0, "IIR bits 6 and 7");
        Ok(())
    })
}

fn keeps_scratch(world: &World) -> Outcome {
    each_port(world, |port| {
        for value in 0..=255 {
            port.set(SCR, value)?;
            check_eq!(port.get(SCR)?, value, "scratch");
        }
        Ok(())
    })
}

fn keeps_line_control(world: &World) -> Outcome {
    each_port(world, |port| {
        for value in [0x00, 0x1f, 0x03, 0x2a, 0x7f, 0x80, 0x83] {
            port.set(LCR, value)?;
            check_eq!(port.get(LCR)?, value, "LCR");
        }
        Ok(())
    })
}

fn has_four_bits_of_ier(world: &World) -> Outcome {
    each_port(world, |port| {
        port.set(IER, 0xff)?;
        check_eq!(port.get(IER)?, 0x0f, "IER after all ones");
        port.set(IER, 0xf5)?;
        check_eq!(port.get(IER)?, 0x05, "IER after 0xf5");
        Ok(())
    })
}

fn has_no_upper_bits_of_mcr(world: &World) -> Outcome {
    each_port(world, |port| {
        port.set(MCR, 0xff)?;
        check_eq!(port.get(MCR)? & 0xc0, 0, "MCR bits 6 and 7");
        check_eq!(port.get(MCR)? & 0x1f, 0x1f, "MCR bits 0 to 4");
        Ok(())
    })
}

fn sets_the_divisor(world: &World) -> Outcome {
    each_port(world, |port| {
        port.set(LCR, LCR_DLAB | 0x03)?;
        for (low, high) in [(0xff, 0xff), (0x0c, 0x00), (0x30, 0x0f), (0x01, 0x00)] {
            port.set(DATA, low)?;
            port.set(IER, high)?;
            check_eq!((port.get(DATA)?, port.get(IER)?), (low, high), "divisor");
        }
        Ok(())
    })
}

fn keeps_the_divisor(world: &World) -> Outcome {
    each_port(world, |port| {
        port.set(LCR, LCR_DLAB | 0x03)?;
        port.set(DATA, 0x34)?;
        port.set(IER, 0x12)?;
        port.set(LCR, 0x03)?;
        port.set(LCR, LCR_DLAB | 0x03)?;
        check_eq!((port.get(DATA)?, port.get(IER)?), (0x34, 0x12), "divisor");
        Ok(())
    })
}

fn sends_nothing_by_a_divisor(world: &World) -> Outcome {
    each_port(world, |port| {
        loop_back(port, FCR_ENABLE)?;
        port.set(LCR, LCR_DLAB | 0x03)?;
        port.set(DATA, 0x34)?;
        port.set(IER, 0x0f)?;
        port.set(LCR, 0x03)?;
        check_eq!(port.get(LSR)? & LSR_DR, 0, "data ready");
        check_eq!(port.get(IER)?, 0, "IER");
        Ok(())
    })
}

fn loops_a_character_back(world: &World) -> Outcome {
    each_port(world, |port| {
        loop_back(port, 0)?;
        for byte in 0..=255 {
            check_eq!(port.get(LSR)? & LSR_DR, 0, "data ready before {byte}");
            port.set(DATA, byte)?;
            check_eq!(port.get(LSR)? & LSR_DR, LSR_DR, "data ready after {byte}");
            check_eq!(port.get(DATA)?, byte, "character {byte}");
        }
        Ok(())
    })
}

fn cuts_characters_to_the_word_length(world: &World) -> Outcome {
    each_port(world, |port| {
        loop_back(port, 0)?;
        for (length, mask) in [(0, 0x1f), (1, 0x3f), (2, 0x7f), (3, 0xff)] {
            port.set(LCR, length)?;
            port.set(DATA, 0xff)?;
            check_eq!(port.get(DATA)?, mask, "0xff with {} bits", length + 5);
        }
        Ok(())
    })
}

fn loops_modem_lines_back(world: &World) -> Outcome {
    each_port(world, |port| {
        for (lines, seen) in [
            (0, 0),
            (0x01, 0x20),
            (0x02, 0x10),
            (0x04, 0x40),
            (0x08, 0x80),
            (0x0f, 0xf0),
        ] {
            port.set(MCR, MCR_LOOP | lines)?;
            check_eq!(port.get(MSR)? & 0xf0, seen, "modem status of {lines:#x}");
        }
        Ok(())
    })
}

fn reports_a_modem_change_once(world: &World) -> Outcome {
    each_port(world, |port| {
        port.set(MCR, MCR_LOOP)?;
        port.get(MSR)?;
        port.set(MCR, MCR_LOOP | MCR_RTS)?;
        check_eq!(port.get(MSR)? & 0x01, 0x01, "the delta of CTS");
        check_eq!(port.get(MSR)? & 0x0f, 0, "deltas read a second time");
        Ok(())
    })
}

const SIXTEEN: &[u8; 16] = b"0123456789abcdef";

fn receives_sixteen_characters(world: &World) -> Outcome {
    each_port(world, |port| {
        loop_back(port, FCR_ENABLE)?;
        port.send(SIXTEEN)?;
        check_eq!(port.receive(64)?, SIXTEEN, "what was received");
        Ok(())
    })
}

fn is_ready_with_a_full_fifo(world: &World) -> Outcome {
    each_port(world, |port| {
        loop_back(port, FCR_ENABLE)?;
        for count in 1..=16 {
            port.set(DATA, count)?;
            check_eq!(port.get(LSR)? & LSR_DR, LSR_DR, "data ready with {count}");
        }
        Ok(())
    })
}

fn goes_on_after_a_full_fifo(world: &World) -> Outcome {
    each_port(world, |port| {
        loop_back(port, FCR_ENABLE)?;
        port.send(SIXTEEN)?;
        // Blind reads: whether LSR tells of them is another case.
        for _ in 0..16 {
            port.get(DATA)?;
        }
        port.send(b"next")?;
        let next: Vec<_> = (0..4).map(|_| port.get(DATA)).collect::<Result<_, _>>()?;
        check_eq!(next, b"next", "what was received then");
        Ok(())
    })
}

/// Sends so much that any receiver overruns: 16 in its FIFO, one in its shift register, and more.
fn overrun(port: &vfio_client::serial::Port<'_>) -> Result<(), Errno> {
    loop_back(port, FCR_ENABLE)?;
    port.send(&[b'o'; 40])
}

fn tells_of_an_overrun(world: &World) -> Outcome {
    each_port(world, |port| {
        overrun(port)?;
        check_eq!(
            port.get(LSR)? & LSR_OE,
            LSR_OE,
            "overrun after 40 characters"
        );
        Ok(())
    })
}

fn forgets_an_overrun_that_was_read(world: &World) -> Outcome {
    each_port(world, |port| {
        overrun(port)?;
        port.get(LSR)?;
        check_eq!(port.get(LSR)? & LSR_OE, 0, "overrun, read a second time");
        Ok(())
    })
}

fn empties_its_transmitter_while_data_waits(world: &World) -> Outcome {
    each_port(world, |port| {
        loop_back(port, FCR_ENABLE)?;
        port.set(DATA, b'x')?;
        check_eq!(port.get(LSR)?, LSR_DR | LSR_THRE | LSR_TEMT, "LSR");
        Ok(())
    })
}

fn clears_its_receiver(world: &World) -> Outcome {
    each_port(world, |port| {
        loop_back(port, FCR_ENABLE)?;
        port.send(b"gone")?;
        port.set(IIR_FCR, FCR_ENABLE | 0x02)?;
        check_eq!(port.get(LSR)? & LSR_DR, 0, "data ready");
        port.send(b"new")?;
        check_eq!(port.receive(64)?, b"new", "what was received then");
        Ok(())
    })
}

fn clears_fifos_that_are_switched(world: &World) -> Outcome {
    each_port(world, |port| {
        loop_back(port, FCR_ENABLE)?;
        port.send(b"gone")?;
        port.set(IIR_FCR, 0)?;
        check_eq!(port.get(LSR)? & LSR_DR, 0, "data ready");
        Ok(())
    })
}

fn has_no_receive_interrupt_while_empty(world: &World) -> Outcome {
    each_port(world, |port| {
        port.set(IER, IER_RX)?;
        check_eq!(
            port.get(IIR_FCR)? & IDENTITY,
            IIR_NONE,
            "identity with an empty receiver"
        );
        Ok(())
    })
}

fn waits_for_its_trigger_level(world: &World) -> Outcome {
    each_port(world, |port| {
        for (code, level) in [(0x00, 1), (0x40, 4), (0x80, 8), (0xc0, 14)] {
            loop_back(port, FCR_ENABLE | code | 0x06)?;
            port.set(IER, IER_RX)?;
            for count in 1..=level {
                port.set(DATA, count)?;
                let there = port.get(IIR_FCR)? & IDENTITY == IIR_RX;
                check_eq!(
                    there,
                    count >= level,
                    "received data with {count} of {level}"
                );
            }
        }
        Ok(())
    })
}

fn ranks_its_interrupts(world: &World) -> Outcome {
    each_port(world, |port| {
        loop_back(port, FCR_ENABLE)?;
        // As many as there is room for: the receiver is full and the transmitter empty.
        port.send(SIXTEEN)?;
        port.set(IER, IER_RX | IER_THRE)?;
        check_eq!(
            port.get(IIR_FCR)? & IDENTITY,
            IIR_RX,
            "received data before the transmitter"
        );
        Ok(())
    })
}

fn reports_line_status_interrupts(world: &World) -> Outcome {
    each_port(world, |port| {
        overrun(port)?;
        port.set(IER, IER_LINE | IER_RX)?;
        check_eq!(port.get(IIR_FCR)? & IDENTITY, IIR_LINE, "identity");
        Ok(())
    })
}

fn ends_line_status_interrupts(world: &World) -> Outcome {
    each_port(world, |port| {
        overrun(port)?;
        port.set(IER, IER_LINE)?;
        port.get(LSR)?;
        check_eq!(
            port.get(IIR_FCR)? & IDENTITY,
            IIR_NONE,
            "identity after LSR was read"
        );
        Ok(())
    })
}

fn reports_modem_status_interrupts(world: &World) -> Outcome {
    each_port(world, |port| {
        port.set(MCR, MCR_LOOP)?;
        port.get(MSR)?;
        port.set(IER, IER_MODEM)?;
        check_eq!(
            port.get(IIR_FCR)? & IDENTITY,
            IIR_NONE,
            "identity without a change"
        );
        port.set(MCR, MCR_LOOP | MCR_RTS)?;
        check_eq!(
            port.get(IIR_FCR)? & IDENTITY,
            IIR_MODEM,
            "identity after a change of CTS"
        );
        Ok(())
    })
}

fn reports_its_empty_transmitter(world: &World) -> Outcome {
    each_port(world, |port| {
        port.set(IER, IER_THRE)?;
        check_eq!(port.get(IIR_FCR)? & IDENTITY, IIR_THRE, "identity");
        Ok(())
    })
}

fn drops_the_transmitter_once_read(world: &World) -> Outcome {
    each_port(world, |port| {
        port.set(IER, IER_THRE)?;
        port.get(IIR_FCR)?;
        check_eq!(
            port.get(IIR_FCR)? & IDENTITY,
            IIR_NONE,
            "identity, read a second time"
        );
        Ok(())
    })
}

fn has_no_interrupt_that_is_not_enabled(world: &World) -> Outcome {
    each_port(world, |port| {
        overrun(port)?;
        port.set(MCR, MCR_LOOP | MCR_DTR)?;
        port.set(IER, 0)?;
        check_eq!(port.get(IIR_FCR)? & IDENTITY, IIR_NONE, "identity");
        Ok(())
    })
}

fn keeps_its_ports_apart(world: &World) -> Outcome {
    let card = world.card_with(2)?;
    card.enable()?;
    let (first, second) = (card.port(0), card.port(1));
    for port in [&first, &second] {
        loop_back(port, FCR_ENABLE)?;
    }
    first.send(b"first")?;
    second.send(b"2nd")?;
    first.set(SCR, 1)?;
    second.set(SCR, 2)?;
    check_eq!(second.receive(64)?, b"2nd", "what the second received");
    check_eq!(first.receive(64)?, b"first", "what the first received");
    check_eq!((first.get(SCR)?, second.get(SCR)?), (1, 2), "scratch");
    Ok(())
}
