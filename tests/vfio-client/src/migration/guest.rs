// SPDX-License-Identifier: GPL-2.0-only
//! What a guest leaves in a card, and all that it can see of it afterwards.

use nix::errno::Errno;

use crate::device::Device;
use crate::ktap::{check, Outcome};
use crate::serial::{
    Port, BAR0_REGISTER, COMMAND, COMMAND_IO, COMMAND_MASTER, CONFIG, DATA, FCR_ENABLE, IER,
    IER_RX, IER_THRE, IIR_FCR, INTERRUPT_LINE, LCR, LCR_DLAB, LSR, LSR_DR, MCR, MCR_DTR, MCR_LOOP,
    MCR_OUT2, MCR_RTS, MSR, SCR,
};

/// LCR: hold the line, which the other end takes for a broken character.
const LCR_BREAK: u8 = 0x40;

/// How many scenes there are.
pub const SCENES: usize = 8;

/// Puts a whole card into a scene: configuration space, and each port into a scene of its own; 0 is power-on.
///
/// # Errors
///
/// What a write answers.
pub fn play(device: &Device, ports: usize, scene: usize) -> Result<(), Errno> {
    if scene > 0 {
        let command = COMMAND_IO | COMMAND_MASTER;
        device.put(CONFIG, COMMAND, &command.to_le_bytes())?;
        device.put(CONFIG, BAR0_REGISTER, &0xc0f0_u32.to_le_bytes())?;
        device.put(CONFIG, INTERRUPT_LINE, &[0x0a + scene as u8])?;
        device.put(CONFIG, 0x0c, &[0x10, 0x40])?;
        // MSI: address, data, and enable in every other scene.
        device.put(CONFIG, 0x44, &0xfee0_1000_u32.to_le_bytes())?;
        device.put(CONFIG, 0x48, &0x0000_0001_u32.to_le_bytes())?;
        device.put(CONFIG, 0x4c, &0x4041_u16.to_le_bytes())?;
        device.put(CONFIG, 0x42, &[(scene % 2) as u8, 0])?;
    }
    (0..ports).try_for_each(|number| {
        let port = Port::new(device, number);
        if scene > 0 {
            // The divisor and the scratch register tell the ports apart.
            port.set(LCR, LCR_DLAB)?;
            port.set(DATA, 0x34 + number as u8)?;
            port.set(IER, 0x12)?;
            port.set(LCR, 0x03)?;
            port.set(SCR, 0x70 + number as u8)?;
        }
        let own = match scene {
            0 => 0,
            _ => (scene + 3 * number) % SCENES,
        };
        play_port(&port, own)
    })
}

/// Puts a port into a scene.
fn play_port(port: &Port<'_>, scene: usize) -> Result<(), Errno> {
    match scene {
        // As at power-on.
        0 => {}
        // A full receiver, a transmitter that waits for it, every interrupt enabled, modem lines that changed.
        1 => {
            port.set(IIR_FCR, FCR_ENABLE | 0x80)?;
            port.send(b"twenty-one characters")?;
            port.set(IER, 0x0f)?;
            port.set(MCR, MCR_DTR | MCR_RTS | MCR_OUT2)?;
        }
        // Without FIFOs: a character received, another waiting, 7 bits each.
        2 => {
            port.set(LCR, 0x1a)?;
            port.send(b"\xf1\xf2")?;
            port.set(IER, IER_RX)?;
        }
        // Loopback with an overrun that nobody looked at, and lines that differ from the plug's.
        3 => {
            port.set(IIR_FCR, FCR_ENABLE | 0xc0)?;
            port.set(MCR, MCR_LOOP | 0x06)?;
            port.send(b"eighteen and more.")?;
        }
        // Broken characters among good ones, the first still to be seen; the line is held.
        4 => {
            port.set(IIR_FCR, FCR_ENABLE)?;
            port.send(b"ok")?;
            port.set(LCR, 0x03 | LCR_BREAK)?;
            port.set(LCR, 0x03)?;
            port.send(b"fine")?;
            port.set(LCR, 0x03 | LCR_BREAK)?;
        }
        // The divisor latch left open.
        5 => {
            port.set(IIR_FCR, FCR_ENABLE | 0x40)?;
            port.send(b"abc")?;
            port.set(LCR, LCR_DLAB | 0x03)?;
        }
        // An empty transmitter that was told about, and modem lines that were looked at.
        6 => {
            port.set(IER, IER_THRE)?;
            port.get(IIR_FCR)?;
            port.set(MCR, MCR_RTS)?;
            port.get(MSR)?;
        }
        // An empty transmitter that nobody was told about.
        _ => port.set(IER, IER_THRE)?,
    }
    Ok(())
}

/// What was read, each with its name.
pub type View = Vec<(String, Vec<u8>)>;

/// What can be seen without changing anything: configuration space and the quiet registers.
///
/// # Errors
///
/// What a read answers.
pub fn glance(device: &Device, ports: usize) -> Result<View, Errno> {
    let mut view = vec![(
        "configuration".to_owned(),
        device.get::<256>(CONFIG, 0)?.to_vec(),
    )];
    for number in 0..ports {
        let port = Port::new(device, number);
        let registers = [LCR, MCR, SCR, IER].map(|register| port.get(register));
        let values = registers.into_iter().collect::<Result<_, _>>()?;
        view.push((format!("LCR, MCR, SCR, IER of port {number}"), values));
    }
    Ok(view)
}

/// All that can be seen, which changes what is seen: nothing is left in the ports.
///
/// # Errors
///
/// What an access answers.
pub fn examine(device: &Device, ports: usize) -> Result<View, Errno> {
    let mut view = glance(device, ports)?;
    for number in 0..ports {
        let port = Port::new(device, number);
        let mut add = |name: &str, bytes: Vec<u8>| {
            view.push((format!("{name} of port {number}"), bytes));
        };
        let causes = [IIR_FCR, LSR, IIR_FCR, MSR, IIR_FCR].map(|register| port.get(register));
        let causes = causes.into_iter().collect::<Result<_, _>>()?;
        add("IIR, LSR, IIR, MSR, IIR", causes);
        let line = port.get(LCR)?;
        port.set(LCR, LCR_DLAB | line)?;
        add("divisor", vec![port.get(DATA)?, port.get(IER)?]);
        port.set(LCR, line & !LCR_DLAB)?;
        add("IER", vec![port.get(IER)?]);
        let mut received = Vec::new();
        for _ in 0..40 {
            let status = port.get(LSR)?;
            received.push(status);
            if status & LSR_DR == 0 {
                break;
            }
            received.push(port.get(DATA)?);
        }
        received.extend([port.get(IIR_FCR)?, port.get(IIR_FCR)?]);
        add("LSR and characters, IIR twice", received);
        // From which character on it interrupts tells the trigger level, and whether there are FIFOs.
        port.set(LCR, 0x03)?;
        port.set(MCR, MCR_LOOP)?;
        port.set(IER, IER_RX)?;
        let mut causes = Vec::new();
        for character in 0..16 {
            port.set(DATA, character)?;
            causes.push(port.get(IIR_FCR)?);
        }
        add("IIR while characters come", causes);
    }
    Ok(view)
}

/// Takes from a view what tells one ABI of the card from another: the register that names it.
pub fn forget_abi(view: &mut View) {
    if let Some((_, configuration)) = view.first_mut() {
        if let Some(register) = configuration.get_mut(0xf0..0xf4) {
            register.fill(0);
        }
    }
}

/// Checks that two views are the same, and names what is not.
///
/// # Errors
///
/// Fails the case otherwise.
pub fn same(got: &View, want: &View, when: &str) -> Outcome {
    for ((name, got), (_, want)) in got.iter().zip(want) {
        check!(
            got == want,
            "{when}: {name}: got {got:02x?}, want {want:02x?}"
        );
    }
    check!(got.len() == want.len(), "{when}: not as many ports");
    Ok(())
}
