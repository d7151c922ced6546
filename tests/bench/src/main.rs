// SPDX-License-Identifier: GPL-2.0-only
//! Counts what the operations of a mediated serial card cost, ours and a peer's in turn, in one run, and beside both what
//! the cheapest operation of that kind costs in this kernel.
//!
//! Times on an emulated machine mean little by themselves. Where its clock counts instructions
//! (`tools/guest/run --icount`), a nanosecond is one of these, whatever else the host does.

mod attributes;
mod calls;
mod cards;
mod check;
mod interrupts;
mod ioctls;
mod lifecycle;
mod measure;
mod page;
mod plot;
mod registers;
mod results;
mod scale;
mod table;
mod transfer;
mod v1;
mod v2;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nix::errno::Errno;
use vfio_client::device::{open_rw, requests};

use crate::cards::{Card, Driver};
use crate::check::Extent;
use crate::measure::{Bench, Operation};
use crate::results::{Goal, Made, Memory, Results, Row};

/// Counts what the operations of mediated serial cards cost.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, and print the results as JSON
    Measure {
        #[command(flatten)]
        world: WorldOptions,
        /// How many rounds the medians are of
        #[arg(long, default_value_t = 101)]
        rounds: usize,
        /// How many operations a round has
        #[arg(long, default_value_t = 16)]
        batch: u32,
        /// Only what has this text in its name
        #[arg(long, default_value = "")]
        filter: String,
        /// Also what one device costs where there are that many
        #[arg(long, value_delimiter = ',')]
        scale: Vec<usize>,
        /// What a nanosecond of this machine's clock stands for
        #[arg(long, default_value = "ns")]
        unit: String,
    },
    /// Print the names of what can be measured
    List {
        #[command(flatten)]
        world: WorldOptions,
    },
    /// Do one operation for ever, between getppid(2) and getpgrp(2), for a profile
    Repeat {
        #[command(flatten)]
        world: WorldOptions,
        /// Its name, as it is listed
        what: String,
        /// On which of them
        side: Side,
    },
    /// Print how many bytes each device takes, as JSON; exact in a kernel started with slab_debug=F
    Memory {
        #[command(flatten)]
        world: WorldOptions,
        /// At which numbers of devices
        #[arg(value_delimiter = ',')]
        numbers: Vec<usize>,
    },
    /// Add to results that come on standard input what was found elsewhere, and print them
    Merge {
        /// What `memory` printed
        #[arg(long)]
        memory: Option<PathBuf>,
        /// What was measured with QEMU: a name, ours, the peer's; repeatable
        #[arg(long, num_args = 3, value_name = "FIGURE")]
        qemu: Vec<String>,
        #[command(flatten)]
        made: Made,
    },
    /// Fail unless results that come on standard input have each figure that they should, and no other
    Check {
        /// The numbers of devices that were measured
        #[arg(long, value_delimiter = ',')]
        scale: Vec<usize>,
        /// They were merged with what was found elsewhere
        #[arg(long)]
        whole: bool,
    },
    /// Print the table of results that come on standard input
    Table,
    /// Print the page of Documentation of results that come on standard input
    Page,
    /// Print the picture of results that come on standard input, as SVG
    Plot,
}

#[derive(Args)]
struct WorldOptions {
    /// The parent and the type of our devices
    #[arg(long, default_value = "migdev/migdev-serial2")]
    ours: String,
    /// The parent and the type of the peer's
    #[arg(long, default_value = "mtty/mtty-2")]
    peer: String,
    /// Our type of which there are many
    #[arg(long, default_value = "migdev/migdev-serial1")]
    many_ours: String,
    /// The peer's
    #[arg(long, default_value = "mtty/mtty-1")]
    many_peer: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Side {
    Ours,
    Peer,
    Limit,
}

/// What there is to measure.
struct World {
    ours: Driver,
    peer: Driver,
    /// Two more of ours.
    v1: [Card; 2],
    zero: File,
    iommufd: File,
    /// An address space of it.
    ioas: u32,
}

impl World {
    fn new(options: &WorldOptions) -> Result<Self, Errno> {
        let ours = Driver::new(&options.ours)?;
        let iommufd = open_rw(Path::new("/dev/iommu"))?;
        let mut ioas = [12, 0, 0];
        calls::ioctl(iommufd.as_raw_fd(), requests::IOAS_ALLOC, &mut ioas)?;
        Ok(World {
            peer: Driver::new(&options.peer)?,
            v1: [Card::new(&ours.kind)?, Card::new(&ours.kind)?],
            ours,
            zero: open_rw(Path::new("/dev/zero"))?,
            iommufd,
            ioas: ioas[2],
        })
    }

    /// All rows, in the order of the table.
    fn benches(&self) -> Result<Vec<Bench<'_>>, Errno> {
        let mut benches = Vec::new();
        registers::add(self, &mut benches);
        interrupts::add(self, &mut benches)?;
        ioctls::add(self, &mut benches);
        attributes::add(self, &mut benches)?;
        lifecycle::add(self, &mut benches)?;
        transfer::add(self, &mut benches)?;
        benches.push(
            Bench::new("nothing: an empty round of the loop")
                .goal(Goal::None)
                .limit("no call", Operation::new(|| Ok(()))),
        );
        Ok(benches)
    }
}

fn measure(
    world: &World,
    rounds: usize,
    batch: u32,
    filter: &str,
    unit: &str,
) -> Result<Results, String> {
    let clock = measure::clock();
    let mut results = Results {
        unit: unit.to_owned(),
        rounds,
        ..Results::default()
    };
    let benches = world
        .benches()
        .map_err(|errno| format!("set-up: {errno}"))?;
    for bench in benches {
        if !bench.what.contains(filter) {
            continue;
        }
        let what = bench.what.clone();
        let row = bench
            .measure(rounds, batch, clock)
            .map_err(|errno| format!("{what}: {errno}"))?;
        results.rows.push(row);
    }
    Ok(results)
}

fn repeat(world: &World, what: &str, side: Side) -> Result<(), String> {
    let benches = world
        .benches()
        .map_err(|errno| format!("set-up: {errno}"))?;
    let bench = benches.into_iter().find(|bench| bench.what == what);
    let bench = bench.ok_or(format!("there is no {what:?}"))?;
    let operation = match side {
        Side::Ours => bench.ours,
        Side::Peer => bench.peer,
        Side::Limit => bench.limit.map(|(_, operation)| operation),
    };
    let mut operation = operation.ok_or(format!("{what}: that side does not have it"))?;
    operation
        .repeat()
        .map_err(|errno| format!("{what}: {errno}"))
}

/// The results on standard input.
fn results() -> Result<Results, String> {
    serde_json::from_reader(std::io::stdin().lock()).map_err(|error| error.to_string())
}

fn print_json(what: &impl serde::Serialize) -> Result<(), String> {
    let json = serde_json::to_string_pretty(what).map_err(|error| error.to_string())?;
    println!("{json}");
    Ok(())
}

/// A row by its name, ours and the peer's.
fn qemu_row(figures: &[String]) -> Row {
    let number = |at: usize| figures.get(at).and_then(|figure| figure.parse().ok());
    Row {
        what: figures.first().cloned().unwrap_or_default(),
        ours: number(1),
        peer: number(2),
        limit: None,
        limit_is: None,
        goal: Goal::None,
    }
}

fn run(options: Options) -> Result<(), String> {
    let open = |world: &WorldOptions| World::new(world).map_err(|errno| format!("set-up: {errno}"));
    match options.command {
        Command::Measure {
            world,
            rounds,
            batch,
            filter,
            scale,
            unit,
        } => {
            let scaled = |name: &str| match scale.is_empty() {
                true => Ok(Vec::new()),
                false => cards::find(name)
                    .and_then(|kind| {
                        scale::measure(&kind, &scale, rounds.min(21), measure::clock())
                    })
                    .map_err(|errno| format!("scaling of {name}: {errno}")),
            };
            // First: what the rows leave behind is given back late.
            let (ours, peer) = (scaled(&world.many_ours)?, scaled(&world.many_peer)?);
            let mut results = measure(&open(&world)?, rounds, batch, &filter, &unit)?;
            (results.ours, results.peer) = (ours, peer);
            print_json(&results)?;
        }
        Command::List { world } => {
            for bench in open(&world)?.benches().map_err(|errno| errno.to_string())? {
                println!("{}", bench.what);
            }
        }
        Command::Repeat { world, what, side } => repeat(&open(&world)?, &what, side)?,
        Command::Memory { world, numbers } => {
            let of = |name: &str| {
                cards::find(name)
                    .and_then(|kind| scale::memory(&kind, &numbers))
                    .map_err(|errno| format!("memory of {name}: {errno}"))
            };
            print_json(&Memory {
                ours: of(&world.many_ours)?,
                peer: of(&world.many_peer)?,
            })?;
        }
        Command::Merge { memory, qemu, made } => {
            let mut results = results()?;
            results.made = made;
            if let Some(path) = memory {
                let file = File::open(path).map_err(|error| error.to_string())?;
                results.memory =
                    serde_json::from_reader(file).map_err(|error| error.to_string())?;
            }
            results.qemu = qemu.chunks_exact(3).map(qemu_row).collect();
            print_json(&results)?;
        }
        Command::Check { scale, whole } => {
            let extent = Extent {
                scale: &scale,
                is_whole: whole,
            };
            let faults = check::faults(&results()?, &extent);
            if !faults.is_empty() {
                return Err(format!("not what there should be:\n{}", faults.join("\n")));
            }
        }
        Command::Table => print!("{}", table::table(&results()?)),
        Command::Page => print!("{}", page::page(&results()?)),
        Command::Plot => {
            let picture = plot::plot(&results()?).map_err(|error| error.to_string())?;
            print!("{picture}");
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benchmarks: {error}");
            ExitCode::FAILURE
        }
    }
}
