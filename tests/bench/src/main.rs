// SPDX-License-Identifier: GPL-2.0-only
//! Times how the state of vfio devices is saved and restored (protocol v2), ours and a peer's in turn, in one run.
//!
//! Times on an emulated machine mean little by themselves, their ratio does: each round does the same to both, and the
//! median of many rounds is what counts. Where the machine's clock counts instructions (`tools/guest/run --icount`),
//! the unit is these.

mod device;

use std::io;
use std::time::Instant;

use clap::Parser;

use crate::device::Device;

/// Times how the state of two kinds of mediated devices is saved and restored.
#[derive(Parser)]
struct Options {
    /// UUIDs of two devices of ours: what the one saves, the other restores
    #[arg(long, num_args = 2, required = true, value_name = "UUID")]
    ours: Vec<String>,
    /// UUIDs of two devices of the peer
    #[arg(long, num_args = 2, required = true, value_name = "UUID")]
    peer: Vec<String>,
    /// How often each is done
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// What a nanosecond of this machine's clock stands for
    #[arg(long, default_value = "ns")]
    unit: String,
}

/// A pair of devices, and what was measured of it, in nanoseconds of the machine's clock.
struct Pair {
    source: Device,
    destination: Device,
    stream: Vec<u8>,
    times: [Vec<u128>; WHAT.len()],
}

/// What is measured.
const WHAT: [&str; 4] = ["stop and run", "save", "save with pre-copy", "restore"];

impl Pair {
    fn open(uuids: &[String]) -> io::Result<Self> {
        let [source, destination] = uuids else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok(Self {
            source: Device::open(source)?,
            destination: Device::open(destination)?,
            stream: Vec::new(),
            times: Default::default(),
        })
    }

    /// Does everything once.
    fn round(&mut self) -> io::Result<()> {
        let mut clock = Instant::now();
        let mut lap = || {
            std::mem::replace(&mut clock, Instant::now())
                .elapsed()
                .as_nanos()
        };
        self.source.stop()?;
        self.times[0].push(lap());
        self.source.save(false, &mut self.stream)?;
        self.times[1].push(lap());
        self.source.save(true, &mut self.stream)?;
        self.times[2].push(lap());
        self.destination.restore(&self.stream)?;
        self.times[3].push(lap());
        Ok(())
    }

    fn median(&mut self, what: usize) -> u128 {
        let times = &mut self.times[what];
        times.sort_unstable();
        times[times.len() / 2]
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let mut ours = Pair::open(&options.ours)?;
    let mut peer = Pair::open(&options.peer)?;
    for _ in 0..options.rounds.max(1) {
        ours.round()?;
        peer.round()?;
    }

    println!("{:<32} {:>10} {:>10} {:>6}", "", "ours", "peer", "ratio");
    for (at, what) in WHAT.into_iter().enumerate() {
        let (a, b) = (ours.median(at), peer.median(at));
        let ratio = a as f64 / b as f64;
        println!(
            "{:<32} {a:>10} {b:>10} {ratio:>6.2}",
            format!("{what}, {}", options.unit)
        );
    }
    let (a, b) = (ours.stream.len(), peer.stream.len());
    println!(
        "{:<32} {a:>10} {b:>10} {:>6.2}",
        "stream, bytes",
        a as f64 / b as f64
    );
    Ok(())
}
