// SPDX-License-Identifier: GPL-2.0-only

//! Any accesses to the ports of a card, with moves and resets between, do what an independent 16550A does.

#![no_main]

#[allow(dead_code)]
#[path = "../../host/tests/support/configuration.rs"]
mod configuration;
#[allow(dead_code, unreachable_pub)]
#[path = "../../host/tests/support/reference.rs"]
mod reference;
#[path = "../../host/tests/stream_support/mod.rs"]
mod stream_support;
#[allow(dead_code)]
mod twin;

use libfuzzer_sys::{
    arbitrary::{
        Arbitrary,
        Result,
        Unstructured, //
    },
    fuzz_target, //
};
use migdev_model::{
    Abi,
    Ports, //
};
use twin::{
    compare,
    Access, //
};

/// A card, and what is done to it.
#[derive(Debug)]
struct Accesses {
    ports: Ports,
    abi: Abi,
    all: Vec<Access>,
}

impl<'a> Arbitrary<'a> for Accesses {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let ports = *bytes.choose(&[Ports::Two, Ports::One])?;
        let abi = *bytes.choose(&Abi::ALL)?;
        let mut all = Vec::new();
        while !bytes.is_empty() {
            all.push(Access::io(bytes)?);
        }
        Ok(Self { ports, abi, all })
    }
}

fuzz_target!(|accesses: Accesses| compare(accesses.ports, accesses.abi, &accesses.all));
