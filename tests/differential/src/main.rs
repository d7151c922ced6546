// SPDX-License-Identifier: GPL-2.0-only

//! The kernel and user space give the same verdict. Thousands of texts are written to every `migration_version` there is,
//! of each type at each baseline and of a device created from it, and what the kernel answers is compared with what
//! migver says of the text and the string that the file gave. Likewise `migration_baseline`, and the reasons in the log.
//!
//! The texts follow from a seed, so that a run can be made again: `differential [SEED]`. The result is KTAP on standard
//! output; the exit status is 0 when nothing failed.

mod log;
mod places;
mod random;
mod texts;
mod trial;

use std::{
    env,
    process::ExitCode, //
};

use places::Type;
use random::Random;
use trial::Trial;

const SEED: u64 = 20_200_413;

fn main() -> ExitCode {
    let seed = match env::args().nth(1).map(|text| text.parse()) {
        None => SEED,
        Some(Ok(seed)) => seed,
        Some(Err(error)) => {
            eprintln!("differential: the seed is a number: {error}");
            return ExitCode::from(2);
        }
    };
    let types = match Type::all() {
        Ok(types) if !types.is_empty() => types,
        found => {
            println!("KTAP version 1\n1..1\n# {found:?}\nnot ok 1 there are types that migrate");
            return ExitCode::FAILURE;
        }
    };
    println!("KTAP version 1\n# seed {seed}");
    println!("1..{}", types.len() * trial::RESULTS + 1);

    let mut report = Report::default();
    let mut trial = Trial::new(Random::new(seed), &types);
    for ty in &types {
        if let Err(error) = trial.run(ty) {
            trial.found.push(format!("{}: {error}", ty.name()));
        }
        for (name, wrong) in trial.results(ty) {
            report.result(&name, &wrong);
        }
    }
    report.result(
        &format!("every kind of answer was given: {}", trial.answers()),
        &trial.missing(),
    );
    if report.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The results so far.
#[derive(Default)]
struct Report {
    count: usize,
    failed: usize,
}

impl Report {
    /// Prints a result, which is good if nothing was wrong.
    fn result(&mut self, name: &str, wrong: &[String]) {
        const SHOWN: usize = 10;
        self.count += 1;
        for line in wrong.iter().take(SHOWN) {
            println!("# {line}");
        }
        if wrong.len() > SHOWN {
            println!("# and {} more", wrong.len() - SHOWN);
        }
        if wrong.is_empty() {
            println!("ok {} {name}", self.count);
        } else {
            self.failed += 1;
            println!("not ok {} {name}", self.count);
        }
    }
}
