// SPDX-License-Identifier: GPL-2.0-only
//! Uses both ports of a serial card with loopback plugs without a pause, so that whoever moves the machine to another card
//! learns whether anything was lost, repeated or changed.
//!
//! `exercise TTY PORT FILL` sends numbers through the driver's TTY and expects them back ([`sequence`]), and keeps FILL
//! characters waiting in the UART at the I/O address PORT, which nobody else uses ([`uart`]). TTY and the console are in raw
//! mode, and a read of them ends soon where there is nothing (`min 0`).
//!
//! The console takes one-letter commands: `d` reads what waits in the UART, checks it and fills the UART anew; `q` waits for
//! the numbers still under way, checks the UART a last time, and ends. It prints lines, each begun with `guest: `:
//!
//! - `sequence N`: the numbers below N came back, each once and in order; from time to time;
//! - `filled R`, `drained R`: the UART was filled for, or gave everything back of, round R;
//! - `fault TEXT`: what was found wrong, the first time in each part and round;
//! - `done numbers N rounds R faults F`: the end.

mod sequence;
mod uart;

use std::{
    env,
    fs::OpenOptions,
    io::{
        self,
        Read, //
    },
    process::ExitCode, //
};

use sequence::Sequence;
use uart::Uart;

/// Numbers between two `sequence` lines.
const REPORT: u64 = 256;

/// Reads that may find nothing, of a tenth of a second each, before what is under way counts as lost.
const PATIENCE: u32 = 300;

/// Prints a fault, if there is one, and returns how many there are.
fn note(result: Result<(), String>) -> u64 {
    match result {
        Ok(()) => 0,
        Err(text) => {
            println!("guest: fault {text}");
            1
        }
    }
}

/// The command that came on the console, if one did.
fn command() -> io::Result<Option<u8>> {
    let mut letter = [0];
    Ok((io::stdin().read(&mut letter)? == 1).then_some(letter[0]))
}

fn exercise(tty: &str, port: u64, fill: u8) -> io::Result<u64> {
    let mut sequence = Sequence::new(OpenOptions::new().read(true).write(true).open(tty)?);
    let mut uart = Uart::new(
        OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/port")?,
        port,
        fill,
    );
    let mut faults = note(uart.fill()?);
    println!("guest: filled {}", uart.round());
    let mut told = 0;
    loop {
        sequence.send()?;
        faults += note(sequence.receive()?.map(|_| ()));
        if sequence.numbers() >= told + REPORT {
            told = sequence.numbers();
            println!("guest: sequence {told}");
        }
        match command()? {
            Some(b'd') => {
                faults += note(uart.drain()?);
                println!("guest: drained {}", uart.round());
                faults += note(uart.fill()?);
                println!("guest: filled {}", uart.round());
            }
            Some(b'q') => break,
            _ => {}
        }
    }
    let mut nothing = 0;
    while sequence.is_under_way() && nothing < PATIENCE {
        match sequence.receive()? {
            Ok(0) => nothing += 1,
            Ok(_) => nothing = 0,
            Err(text) => faults += note(Err(text)),
        }
    }
    if sequence.is_under_way() {
        faults += note(Err(format!(
            "{} bytes did not come back",
            sequence.under_way()
        )));
    }
    faults += note(uart.drain()?);
    faults += sequence.further_faults();
    println!(
        "guest: done numbers {} rounds {} faults {faults}",
        sequence.numbers(),
        uart.round()
    );
    Ok(faults)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [tty, port, fill] = arguments.as_slice() else {
        eprintln!("usage: exercise TTY PORT FILL");
        return ExitCode::from(2);
    };
    let address = u64::from_str_radix(port.trim_start_matches("0x"), 16);
    let (Ok(address), Ok(fill)) = (address, fill.parse()) else {
        eprintln!("exercise: PORT is hexadecimal and FILL at most 255, not {port} and {fill}");
        return ExitCode::from(2);
    };
    match exercise(tty, address, fill) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("guest: fault {error}");
            ExitCode::FAILURE
        }
    }
}
