// SPDX-License-Identifier: GPL-2.0-only
//! Uses mediated devices from many sides at once and for a long time, against a model of what may happen, and reports as KTAP.
//!
//! A run needs the module loaded, as root, and no device; it loads the module anew as it likes, and leaves it loaded. The
//! random numbers begin at a seed that is printed: the same seed does the same, as far as what several processes do at once
//! can be the same.

mod board;
mod history;
mod killed;
mod memory;
mod mover;
mod place;
mod races;
mod registry;
mod rounds;
mod session;
mod worker;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use clap::{Parser, Subcommand};
use nix::errno::Errno;
use vfio_client::ktap::{Outcome, Report};
use vfio_client::sysfs::errno_of;

use crate::place::{Module, DEFAULT_LIMIT};

/// Uses mediated devices from many sides at once and for a long time, and tells what came of it as KTAP.
///
/// The exit status is 0 when no case failed.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    /// Does a fraction of everything, for a kernel that is slow because it looks closely.
    #[arg(long)]
    short: bool,
    /// Runs only the cases whose name contains this.
    #[arg(long, value_name = "STR", default_value = "")]
    filter: String,
    /// Prints the names of the cases and runs none.
    #[arg(long)]
    list: bool,
    /// Where the random numbers begin.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// The module, which is loaded anew.
    #[arg(long, value_name = "FILE", env = "MODULE", default_value = "migdev.ko")]
    module: PathBuf,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What a run starts in processes of their own.
#[derive(Subcommand)]
enum Part {
    /// Takes part in a race.
    #[command(hide = true)]
    Worker(worker::Worker),
}

/// What a case works with.
pub struct World {
    /// This program.
    pub program: PathBuf,
    /// The module.
    pub module: Module,
    /// Where the random numbers begin.
    pub seed: u64,
    /// Do a fraction of everything.
    pub short: bool,
    /// How many devices there may be, as the module was told when it was loaded; 0 where it is not known.
    limit: AtomicU32,
}

impl World {
    /// Makes sure that there is no device, and that there may be so many. Loads the module anew if it must, which takes a kernel
    /// that releases objects late a quarter of a minute.
    ///
    /// # Errors
    ///
    /// What the calls answer.
    pub fn begin(&self, limit: u32) -> Result<(), Errno> {
        let mut is_clean = true;
        for device in fs::read_dir(place::DEVICES).map_err(errno_of)?.flatten() {
            let name = device.file_name().to_string_lossy().into_owned();
            is_clean &= place::remove(&name).is_ok();
        }
        if self.limit.swap(0, Relaxed) != limit || !is_clean {
            self.module.reload(limit)?;
        }
        self.limit.store(limit, Relaxed);
        Ok(())
    }

    /// How much is done: so much, or the second number in a short run.
    pub fn amount(&self, full: u64, short: u64) -> u64 {
        if self.short {
            short
        } else {
            full
        }
    }
}

/// A promise and how it is tried.
type Case = (&'static str, fn(&World) -> Outcome);

/// How long a case may take: many times what it needs.
const CASE_LIMIT: Duration = Duration::from_secs(400);

const CASES: &[Case] = &[
    (
        "races.devices_in_many_hands_do_what_the_model_allows",
        races::devices_in_many_hands,
    ),
    (
        "races.devices_whose_parents_go_do_what_the_model_allows",
        races::devices_whose_parents_go,
    ),
    (
        "killed.users_leave_devices_as_new_and_nothing_behind",
        killed::leave_devices_as_new,
    ),
    (
        "memory.notices_a_leak_of_less_than_64_bytes_a_round",
        rounds::a_planted_leak_of_objects,
    ),
    (
        "memory.notices_a_leak_of_a_page_a_round",
        rounds::a_planted_leak_of_pages,
    ),
    (
        "memory.stays_flat_while_devices_are_created_and_removed",
        rounds::creating_and_removing,
    ),
    (
        "memory.stays_flat_while_a_device_is_opened_and_closed",
        rounds::opening_and_closing,
    ),
    (
        "memory.stays_flat_while_devices_move_by_the_region",
        rounds::moving_by_the_region,
    ),
    (
        "memory.stays_flat_while_devices_move_by_data_files",
        rounds::moving_by_files,
    ),
    (
        "memory.stays_flat_while_the_module_is_loaded_and_unloaded",
        rounds::loading_and_unloading,
    ),
];

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.part {
        Some(Part::Worker(worker)) => worker.run(),
        None => run(&cli),
    };
    match done {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// How many devices there may be now, if there is none.
fn limit() -> u32 {
    let places = place::Places::find();
    places.and_then(|places| places.available(0)).unwrap_or(0)
}

fn run(cli: &Cli) -> bool {
    let chosen: Vec<_> = CASES
        .iter()
        .filter(|(name, _)| name.contains(&cli.filter))
        .collect();
    if cli.list {
        for (name, _) in chosen {
            println!("{name}");
        }
        return true;
    }
    let world = World {
        program: std::env::current_exe().unwrap_or("/proc/self/exe".into()),
        module: Module {
            path: cli.module.clone(),
        },
        seed: cli.seed,
        short: cli.short,
        limit: AtomicU32::new(limit()),
    };
    let mut report = Report::start_with_limit(chosen.len(), CASE_LIMIT);
    println!("# seed {}", cli.seed);
    for (name, case) in chosen {
        report.run(name, || case(&world));
    }
    if let Err(errno) = world.begin(DEFAULT_LIMIT) {
        println!("# the module is not as it was: {errno}");
    }
    report.finish()
}
