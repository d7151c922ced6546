// SPDX-License-Identifier: GPL-2.0-only
//! Lets each allocation and each copy from and to user space fail once, in turn, and reports as KTAP what came of it.
//!
//! A case is a path into the module: a call, with what leads to it and what follows it. The call is repeated with
//! its first fallible step failing, its second, and so on until it has no more. Each time its error must be one that this
//! step may have, nothing may have changed or everything, and the next try must work. The kernel must be one
//! that injects faults; with another, all is skipped.

mod cases;
mod inject;
mod sweep;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use vfio_client::ktap::{check, Report};
use vfio_client::sysfs::MdevType;

use crate::cases::{Case, Expect, World};
use crate::inject::Injector;
use crate::sweep::{Faults, Tally};

/// Lets each allocation and each user copy on every path into the module fail once, in turn.
///
/// Prints KTAP; the exit status is 0 when no case failed. The kernel must have fault injection
/// (CONFIG_FAULT_INJECTION_DEBUG_FS, CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC, CONFIG_FAULT_INJECTION_USERCOPY). The module
/// must be loaded, and nobody may use it.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Runs only the cases whose full name contains this.
    #[arg(long, value_name = "STR", default_value = "")]
    filter: String,
    /// Prints the names of the cases and runs none.
    #[arg(long)]
    list: bool,
    /// The type of the devices.
    #[arg(long, value_name = "TYPE", default_value = "migdev-serial2")]
    r#type: String,
    /// The module's file, for the cases that load it.
    #[arg(
        long,
        value_name = "FILE",
        env = "MODULE",
        default_value = "/payload/migdev.ko"
    )]
    module: PathBuf,
    /// Takes each fault of long paths through the kernel too, where by default only some are taken.
    #[arg(long)]
    all: bool,
    /// Tells each fault, and how long each case took.
    #[arg(long)]
    verbose: bool,
}

/// How long one case may take: many times what the slowest needs on an emulated machine that others keep busy.
const CASE_LIMIT: Duration = Duration::from_secs(1200);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let selected: Vec<_> = cases::all()
        .map(|(group, case)| (format!("{group}.{}", case.name), case))
        .filter(|(name, _)| name.contains(&cli.filter))
        .collect();
    if cli.list {
        for (name, _) in &selected {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    let injector = match Injector::new() {
        Ok(injector) => injector,
        Err(errno) if inject::is_absent(errno) => {
            println!("KTAP version 1\n1..1\nok 1 faults # SKIP this kernel injects none");
            return ExitCode::SUCCESS;
        }
        Err(errno) => {
            eprintln!("faults: the kernel's fault injection cannot be set up: {errno}");
            return ExitCode::FAILURE;
        }
    };
    match world(&cli, injector) {
        Ok(world) if run(&cli, &world, &selected) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("faults: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn world(cli: &Cli, injector: Injector) -> Result<World, String> {
    let kinds = MdevType::all("migdev").map_err(|errno| format!("no mdev parent: {errno}"))?;
    let kind = kinds.into_iter().find(|kind| kind.name() == cli.r#type);
    let kind = kind.ok_or_else(|| format!("there is no type {}", cli.r#type))?;
    if !kind.migrates() {
        return Err(format!("devices of {} do not migrate", cli.r#type));
    }
    Ok(World {
        faults: Faults::new(injector, cli.verbose),
        ports: kind.ports().unwrap_or(1),
        kind,
        module: cli.module.clone(),
        all: cli.all,
    })
}

fn run(cli: &Cli, world: &World, selected: &[(String, &'static Case)]) -> bool {
    let mut report = Report::start_with_limit(selected.len() + 1, CASE_LIMIT);
    let looks = cases::leaks::forget();
    let mut all = Tally::default();
    for (name, case) in selected {
        let start = Instant::now();
        report.run(name, || {
            let outcome = (case.run)(world);
            let tally = world.faults.take_tally();
            all.add(tally);
            println!("# {tally}");
            for note in world.faults.take_notes() {
                println!("# {note}");
            }
            outcome?;
            let happened = tally.total() > 0;
            match case.expect {
                Expect::Faults => check!(happened, "nothing was made to fail"),
                Expect::None => check!(!happened, "something can fail on a path that must not"),
            }
            Ok(())
        });
        if cli.verbose {
            println!("# {:.1} s", start.elapsed().as_secs_f64());
        }
    }
    report.run("leaks.nothing_is_left_behind", || {
        cases::leaks::nothing_leaked(looks)
    });
    println!("# in all {all}");
    report.finish()
}
