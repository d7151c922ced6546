// SPDX-License-Identifier: GPL-2.0-only
//! Calls a vfio device in ways that nobody thought of, led by coverage of the kernel's code, and reports as KTAP.
//!
//! A program is some calls one after the other, on up to three devices; `program` says how it is written down. The run begins
//! with those of `seeds/`, keeps each that reached code or gave an answer that none before it did, and makes the next by
//! changing what it kept. What must hold after any program is in `world::oracle`.

mod calls;
mod current;
mod fuzz;
mod kcov;
mod kinds;
mod program;
mod random;
mod seeds;
mod symbols;
mod world;

use std::fs;
use std::panic;
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::time::Duration;

use clap::Parser;

use vfio_client::ktap::{check, skip, Outcome, Report};

use fuzz::{Fuzzer, Promise};
use kcov::Kcov;
use program::Program;
use symbols::Symbols;

/// Calls a vfio device in ways that nobody thought of, and reports as KTAP.
///
/// With a kernel that has CONFIG_KCOV, and a module built for it, what is tried next is led by what of the module was reached;
/// with another it is led by the answers alone.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// How many programs are run; without this and --time, 2000.
    #[arg(long, value_name = "N")]
    programs: Option<u64>,
    /// For how long programs are run, but at least 100.
    #[arg(long, value_name = "SECONDS")]
    time: Option<u64>,
    /// Where the random numbers begin.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Runs only the programs in these files, and prints what each call answered.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    replay: Vec<PathBuf>,
    /// Runs only results whose name contains this; a search is always made unless it is a seed's.
    #[arg(long, value_name = "STR", default_value = "")]
    filter: String,
    /// Prints the names of the results, and runs nothing.
    #[arg(long)]
    list: bool,
    /// The parent of the devices, by its name in /sys/class/mdev_bus.
    #[arg(long, value_name = "NAME", default_value = "migdev")]
    parent: String,
}

/// A run, and what leads it.
struct Run {
    fuzzer: Fuzzer,
    /// The functions of the module, or why it is not known what was reached.
    symbols: Result<Symbols, String>,
}

/// A result of a search, given also how many addresses the seeds have reached.
type Holds = fn(&Run, usize) -> Outcome;

/// What a search promises, by name.
const RESULTS: [(&str, Holds); 6] = [
    ("no_program_makes_the_kernel_complain", |run, _| {
        kept(run, Promise::Quiet)
    }),
    ("each_errno_is_a_documented_one", |run, _| {
        kept(run, Promise::Errnos)
    }),
    ("the_next_user_finds_a_device_as_new", |run, _| {
        kept(run, Promise::AsNew)
    }),
    ("no_program_leaves_a_descriptor_open", |run, _| {
        kept(run, Promise::Descriptors)
    }),
    (
        "every_entry_of_the_interface_is_reached",
        every_entry_is_reached,
    ),
    ("more_is_reached_than_by_the_seeds", more_is_reached),
];

/// Makes a panic end the process at once. Otherwise it would remove devices on its way out, which waits for whoever has them
/// open, and that is this very process.
fn die_of_panics() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        tell(panic);
        process::abort();
    }));
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    die_of_panics();
    let programs = match programs(&cli.replay) {
        Ok(programs) => programs,
        Err(wrong) => {
            println!("KTAP version 1\n1..1\n# {wrong}\nnot ok 1 the programs can be read");
            return ExitCode::FAILURE;
        }
    };
    let is_replay = !cli.replay.is_empty();
    let asked = |name: &str| name.contains(&cli.filter);
    let programs: Vec<_> = programs
        .into_iter()
        .filter(|(name, _)| asked(name))
        .collect();
    let results: Vec<_> = RESULTS
        .iter()
        .filter(|(name, _)| !is_replay && asked(name))
        .collect();
    if cli.list {
        let names = programs.iter().map(|(name, _)| name.as_str());
        names
            .chain(results.iter().map(|(name, _)| *name))
            .for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    }

    let mut report = Report::start(programs.len() + results.len());
    let mut run = match Run::new(&cli) {
        Ok(run) => run,
        Err(wrong) => {
            println!("# {wrong}\nBail out! there is nothing to run on");
            return ExitCode::FAILURE;
        }
    };
    run.fuzzer.is_loud = is_replay;
    for (name, program) in &programs {
        report.run(name, || {
            let count = run.fuzzer.run(program);
            let findings: Vec<_> = run
                .fuzzer
                .findings
                .iter()
                .rev()
                .take(count)
                .map(|finding| &finding.text)
                .collect();
            check!(count == 0, "{findings:?}");
            Ok(())
        });
    }
    if !results.is_empty() {
        let by_seeds = run.fuzzer.reached.len();
        run.fuzzer.findings.clear();
        let default = if cli.time.is_none() { Some(2000) } else { None };
        run.fuzzer
            .search(cli.time.map(Duration::from_secs), cli.programs.or(default));
        run.fuzzer
            .table()
            .iter()
            .for_each(|line| println!("# {line}"));
        for (name, holds) in results {
            report.run(name, || holds(&run, by_seeds));
        }
    }
    drop(run);
    if report.finish() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The programs of the files, or the seeds, each with its name.
fn programs(files: &[PathBuf]) -> Result<Vec<(String, Program)>, String> {
    if files.is_empty() {
        let seeds = seeds::all()?;
        return Ok(seeds
            .into_iter()
            .map(|(name, program)| (name.to_owned(), program))
            .collect());
    }
    let read = |file: &PathBuf| {
        let text =
            fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let program = text
            .parse()
            .map_err(|wrong| format!("{}: {wrong}", file.display()))?;
        Ok((file.display().to_string(), program))
    };
    files.iter().map(read).collect()
}

impl Run {
    fn new(cli: &Cli) -> Result<Self, String> {
        let symbols = Symbols::read();
        let kcov = Kcov::new().and_then(|first| Ok((first, Kcov::new()?)));
        let (symbols, kcov) = match (symbols, kcov) {
            (Ok(symbols), Ok(kcov)) => (Ok(symbols), Some(kcov)),
            (Err(why), _) => (Err(why), None),
            (_, Err(errno)) => (Err(format!("the kernel has no KCOV: {errno}")), None),
        };
        if let Err(why) = &symbols {
            println!("# led by answers alone, and not by what is reached: {why}");
        }
        let base = symbols.as_ref().map_or(0, Symbols::start);
        let fuzzer = Fuzzer::new(&cli.parent, cli.seed, kcov, base)?;
        Ok(Run { fuzzer, symbols })
    }
}

/// Whether a promise was kept by all programs of the search.
fn kept(run: &Run, promise: Promise) -> Outcome {
    let broken = run
        .fuzzer
        .findings
        .iter()
        .filter(|finding| finding.promise == promise);
    let broken: Vec<_> = broken
        .map(|finding| format!("{}\n{}", finding.text, finding.program))
        .collect();
    check!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

fn every_entry_is_reached(run: &Run, _: usize) -> Outcome {
    let silent = run.fuzzer.calls_without_answer();
    check!(silent.is_empty(), "calls that were never made: {silent:?}");
    match &run.symbols {
        Err(why) => skip!("{why}"),
        Ok(symbols) => {
            let missing = symbols.not_entered(&run.fuzzer.reached);
            check!(missing.is_empty(), "not reached: {missing:?}");
        }
    }
    Ok(())
}

fn more_is_reached(run: &Run, by_seeds: usize) -> Outcome {
    if let Err(why) = &run.symbols {
        skip!("{why}");
    }
    let now = run.fuzzer.reached.len();
    println!("# {now} addresses of the module reached, {by_seeds} by the seeds");
    check!(
        now > by_seeds && by_seeds > 0,
        "{now} addresses, {by_seeds} by the seeds"
    );
    Ok(())
}
