// SPDX-License-Identifier: GPL-2.0-only
//! Tries a migratable mediated serial device, ours or another driver's, by the rules of the migration protocol, and reports as KTAP.
//!
//! A case knows the device by public interfaces only: `linux/vfio.h`, PCI configuration space, the registers of a 16550A.
//! Without a subcommand the program runs its cases; the subcommands put reports side by side.

mod case;
mod cases;
mod results;
mod runner;
mod world;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vfio_client::device::Access;
use vfio_client::sysfs::MdevType;

use crate::case::Case;
use crate::results::{Column, Provenance};
use crate::runner::Runner;
use crate::world::World;

/// Tries a migratable mediated serial card, any driver's, and tells the result as KTAP on standard output.
///
/// Each case is a promise of linux/vfio.h, PCI, the 16550A, or of what QEMU asks for. It runs in a process of its own on
/// devices that it creates. The exit status is 0 when no case failed.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
struct RunArgs {
    /// The parent, by its name in /sys/class/mdev_bus
    #[arg(long, value_name = "NAME", default_value = "migdev")]
    parent: String,
    /// Uses only this type; may be repeated
    #[arg(long, value_name = "TYPE")]
    r#type: Vec<String>,
    /// Uses this device instead of creating any; cases that need two are skipped
    #[arg(long, value_name = "UUID", conflicts_with = "type")]
    uuid: Option<String>,
    /// How devices are opened
    #[arg(long, value_enum, default_value_t = Way::Cdev)]
    path: Way,
    /// Runs only the cases whose full name contains this
    #[arg(long, value_name = "STR", default_value = "")]
    filter: String,
    /// Runs only the case with this full name; may be repeated
    #[arg(long, value_name = "CASE")]
    only: Vec<String>,
    /// Runs only cases that can do a kernel no harm
    #[arg(long, conflicts_with = "perilous")]
    safe: bool,
    /// Runs only cases by which a faulty driver may take the kernel down
    #[arg(long)]
    perilous: bool,
    /// How long a case may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    limit: u64,
    /// Prints the cases, one a line: name, area, `perilous` or `safe`, source, promise, between tabs
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Way {
    /// /dev/vfio/GROUP and a type 1 container
    Group,
    /// /dev/vfio/devices/vfioN and /dev/iommu
    Cdev,
}

#[derive(Subcommand)]
enum Command {
    /// Prints reports side by side; the exit status is 0 when the first device broke no promise and skipped none
    Compare {
        /// A heading and the file with the reports below it
        #[arg(required = true, value_name = "NAME=FILE")]
        columns: Vec<String>,
        /// Writes the page of the documentation to this file
        #[arg(long, value_name = "FILE")]
        markdown: Option<String>,
        #[command(flatten)]
        from: Provenance,
        /// Only the cases whose full name contains this
        #[arg(long, value_name = "STR", default_value = "")]
        filter: String,
        /// Tells what was seen of the last device too, where it broke a promise
        #[arg(long)]
        reasons: bool,
    },
    /// Compares a report with the page of the documentation, as KTAP
    Check {
        /// The page
        #[arg(long, value_name = "FILE")]
        page: String,
        /// The device's heading on the page and the file with its report
        #[arg(value_name = "NAME=FILE")]
        column: String,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Compare {
            columns,
            markdown,
            from,
            filter,
            reasons,
        }) => Column::read_all(&columns).and_then(|columns| {
            if let Some(file) = markdown {
                let page = results::page(&columns, &from);
                std::fs::write(&file, page).map_err(|error| format!("{file}: {error}"))?;
            }
            compare(&columns, &filter, reasons)
        }),
        Some(Command::Check { page, column }) => check(&page, &column),
        None if cli.run.list => Ok(list(&cli.run)),
        None => run(&cli.run),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("conformance: {text}");
            ExitCode::from(2)
        }
    }
}

/// The cases that were asked for.
fn chosen(args: &RunArgs) -> Vec<(String, &'static Case)> {
    cases::all()
        .filter(|(name, case)| {
            name.contains(&args.filter)
                && (args.only.is_empty() || args.only.contains(name))
                && (!args.safe || !case.perilous)
                && (!args.perilous || case.perilous)
        })
        .collect()
}

fn list(args: &RunArgs) -> bool {
    for (name, case) in chosen(args) {
        let area = name.split('.').next().unwrap_or_default();
        let kind = if case.perilous { "perilous" } else { "safe" };
        println!("{name}\t{area}\t{kind}\t{}\t{}", case.source, case.promise);
    }
    true
}

fn run(args: &RunArgs) -> Result<bool, String> {
    let cases = chosen(args);
    if cases.is_empty() {
        return Err("no case has that name".to_owned());
    }
    let access = match args.path {
        Way::Group => Access::Group,
        Way::Cdev => Access::Cdev,
    };
    let world = match &args.uuid {
        Some(uuid) => World::of_device(uuid, access)?,
        None => World::of_types(types(args)?, access)?,
    };
    let limit = Duration::from_secs(args.limit);
    let mut runner = Runner::start(&world, &args.parent, limit, cases.len());
    for (name, case) in cases {
        runner.run(&name, case);
    }
    Ok(runner.finish())
}

/// The types to make devices of.
fn types(args: &RunArgs) -> Result<Vec<MdevType>, String> {
    let mut kinds = MdevType::all(&args.parent)
        .map_err(|errno| format!("no mdev parent {}: {errno}", args.parent))?;
    for name in &args.r#type {
        if !kinds.iter().any(|kind| kind.name() == *name) {
            return Err(format!("{} has no type {name}", args.parent));
        }
    }
    kinds.retain(|kind| args.r#type.is_empty() || args.r#type.contains(&kind.name()));
    Ok(kinds)
}

fn compare(columns: &[Column], filter: &str, reasons: bool) -> Result<bool, String> {
    let colour = std::io::stdout().is_terminal();
    print!("{}", results::table(columns, filter, colour));
    let Some((ours, others)) = columns.split_first() else {
        return Err("no report".to_owned());
    };
    for column in std::iter::once(ours).chain(others.iter().filter(|_| reasons)) {
        let text = results::reasons(column, filter);
        if !text.is_empty() {
            print!("\nSeen of {}:\n{text}", column.name);
        }
    }
    let [_, broken, skipped] = ours.counts(filter);
    Ok(broken == 0 && skipped == 0)
}

fn check(page: &str, column: &str) -> Result<bool, String> {
    let text = std::fs::read_to_string(page).map_err(|error| format!("{page}: {error}"))?;
    Ok(results::check(&text, &Column::read(column)?))
}
