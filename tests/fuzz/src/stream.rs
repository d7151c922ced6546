// SPDX-License-Identifier: GPL-2.0-only

//! Any bytes that arrive as a stream. The input begins with where they arrive and how they are cut; if it says so, they
//! get an end with the right checksum, so that the search does not stop at that.

#![no_main]

mod arrival;
#[path = "../../host/tests/stream_support/mod.rs"]
mod stream_support;

use arrival::Arrival;
use libfuzzer_sys::fuzz_target;
use migdev_model::{
    Abi,
    Ports, //
};
use stream_support::{
    sealed,
    string_of, //
};

fuzz_target!(|input: &[u8]| {
    let [setup, cuts, bytes @ ..] = input else {
        return;
    };
    let bit = |bit: u8| setup & bit != 0;
    let ports = if bit(1) { Ports::Two } else { Ports::One };
    let arrival = Arrival {
        mine: string_of(if bit(4) { 1 } else { 2 }, ports),
        ports,
        abi: if bit(2) { Abi::V1_0 } else { Abi::V1_1 },
        cuts: *cuts,
    };
    if bit(8) {
        arrival.of(&sealed(bytes.to_vec()));
    } else {
        arrival.of(bytes);
    }
});
