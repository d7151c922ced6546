// SPDX-License-Identifier: GPL-2.0-only
//! Runs programs, keeps those that led somewhere new, and makes others of them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use vfio_client::device::Access;
use vfio_client::kmsg::Kmsg;

use crate::calls::CALLS;
use crate::current::Log;
use crate::kcov::Kcov;
use crate::program::{Program, Step};
use crate::random::Random;
use crate::world::World;

/// What the kernel's log has when something is wrong, as `tools/guest/run` has it.
const TROUBLE: [&str; 17] = [
    "cut here ]",
    "BUG: ",
    "Oops",
    "WARNING: ",
    "KASAN: ",
    "UBSAN: ",
    "KCSAN: ",
    "ODEBUG: ",
    "Kernel panic",
    "possible recursive locking",
    "suspicious RCU",
    "possible circular locking",
    "inconsistent lock state",
    "sleeping function called",
    "unreferenced object",
    "rust_kernel: panicked",
    "blocked for more than",
];

/// How long a program may take: many times what one takes on an emulated machine that is busy.
const LIMIT: Duration = Duration::from_secs(120);

/// After so many findings there is enough to look at.
const ENOUGH: usize = 5;

/// So many programs are run in any time, so that what is found does not depend on how busy a machine is.
const LEAST: u64 = 100;

/// A program in so many is followed by a test of moving a device.
const SELF_CHECK: u64 = 200;

/// What is promised of any program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Promise {
    /// The kernel does not complain.
    Quiet,
    /// Each errno is documented; a seed's call answers what is written there.
    Errnos,
    /// The next user finds a device as new.
    AsNew,
    /// No descriptor is left.
    Descriptors,
}

/// A promise that was not kept.
pub struct Finding {
    /// Which.
    pub promise: Promise,
    /// What was seen.
    pub text: String,
    /// By which program.
    pub program: String,
    /// The call and its answer, if it is about one: the same again is no news.
    about: Option<(&'static str, i32)>,
}

/// The state of a run.
pub struct Fuzzer {
    world: World,
    kcov: Option<Kcov>,
    /// The addresses that were reached.
    pub reached: BTreeSet<u64>,
    /// The same, by their distance from the lowest that a module can have, to be looked up quickly.
    seen: Vec<bool>,
    base: u64,
    /// The answers that calls gave.
    answers: BTreeSet<(&'static str, i32)>,
    corpus: Vec<Program>,
    random: Random,
    kmsg: Kmsg,
    log: Log,
    number: u64,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Prints each call with its answer.
    pub is_loud: bool,
}

impl Fuzzer {
    /// A run on devices below `parent`, led by `kcov` if there is one. The module's code begins at `base`.
    ///
    /// # Errors
    ///
    /// What was missing.
    pub fn new(
        parent: &str,
        seed: u64,
        kcov: Option<(Kcov, Kcov)>,
        base: u64,
    ) -> Result<Self, String> {
        let (kcov, of_removals) = kcov.unzip();
        let mut fuzzer = Fuzzer {
            world: World::new(parent, of_removals)?,
            kcov,
            reached: BTreeSet::new(),
            seen: vec![false; 8 << 20],
            base,
            answers: BTreeSet::new(),
            corpus: Vec::new(),
            random: Random::new(seed),
            kmsg: Kmsg::from_now().map_err(|errno| format!("/dev/kmsg: {errno}"))?,
            log: Log::new(LIMIT),
            number: 0,
            findings: Vec::new(),
            is_loud: false,
        };
        if let Some(kcov) = &mut fuzzer.kcov {
            kcov.enable();
        }
        fuzzer.world.learn()?;
        Ok(fuzzer)
    }

    /// Runs a program, and keeps it if it led somewhere new. Returns the number of findings that it made.
    pub fn run(&mut self, program: &Program) -> usize {
        let (found, is_new) = self.attempt(program);
        if is_new {
            self.corpus.push(program.without_expectations());
        }
        let known = |finding: &Finding| {
            finding.about.is_some() && self.findings.iter().any(|old| old.about == finding.about)
        };
        let news: Vec<_> = found
            .into_iter()
            .filter(|finding| !known(finding))
            .collect();
        for finding in &news {
            println!(
                "# program {} is a finding: {}\n# the program: {}",
                self.number, finding.text, finding.program
            );
        }
        let _ = std::io::stdout().flush();
        let count = news.len();
        self.findings.extend(news);
        count
    }

    /// Runs a program, and returns which promises were not kept, and whether it led somewhere new.
    fn attempt(&mut self, program: &Program) -> (Vec<Finding>, bool) {
        let text = program.to_string();
        self.number += 1;
        self.log.begin(self.number, &text);
        let mut found = Vec::new();
        let descriptors = descriptors();
        let mut is_new = false;
        for (place, step) in program.0.iter().enumerate() {
            let answer = (step.call.run)(&mut self.world, &step.arguments);
            is_new |= self.take_coverage();
            if self.is_loud {
                println!("# {step}: {answer:x?}");
            }
            let got = answer.map(|answer| answer.map(drop));
            if let Some(code) = got.map(code) {
                is_new |= self.answers.insert((step.call.name, code));
            }
            if let Some(text) = unexpected(step, got) {
                let about = got.map(|got| (step.call.name, code(got)));
                found.push((
                    Promise::Errnos,
                    about,
                    format!("call {place}, {step}, {text}"),
                ));
            }
        }
        let access = if self.number % 2 == 0 {
            Access::Group
        } else {
            Access::Cdev
        };
        let settled = self.world.settle(access);
        is_new |= self.take_coverage();
        let moved = if self.number % SELF_CHECK == 0 {
            self.world.moves()
        } else {
            Ok(())
        };
        if let Err(text) = settled.and(moved) {
            found.push((Promise::AsNew, None, text));
        }
        if let Some(line) = self.complaint() {
            found.push((Promise::Quiet, None, format!("the kernel: {line}")));
        }
        let left = self::descriptors();
        if left != descriptors {
            found.push((
                Promise::Descriptors,
                None,
                format!("{descriptors} descriptors before, {left} after"),
            ));
        }
        let finding = |(promise, about, said)| Finding {
            promise,
            about,
            text: said,
            program: text.clone(),
        };
        (found.into_iter().map(finding).collect(), is_new)
    }

    /// The first line with which the kernel has complained since.
    fn complaint(&mut self) -> Option<String> {
        let lines = self
            .kmsg
            .lines()
            .unwrap_or_else(|errno| vec![format!("BUG: the log cannot be read: {errno}")]);
        lines
            .into_iter()
            .find(|line| TROUBLE.iter().any(|sign| line.contains(sign)))
    }

    /// Leaves out of a program each call without which it breaks the same promise in the same way, and prints what is left.
    fn shrink(&mut self, program: &Program, promise: Promise) {
        let about: Vec<_> = self
            .findings
            .iter()
            .rev()
            .take(1)
            .map(|finding| finding.about)
            .collect();
        let mut program = program.without_expectations();
        for place in (0..program.0.len()).rev() {
            let mut shorter = program.clone();
            shorter.0.remove(place);
            let (found, _) = self.attempt(&shorter);
            if found
                .iter()
                .any(|finding| finding.promise == promise && about.contains(&finding.about))
            {
                program = shorter;
            }
        }
        println!("# shorter, the program is: {program}");
        let _ = std::io::stdout().flush();
    }

    /// Adds what was reached since the last time; true when some of it is new.
    fn take_coverage(&mut self) -> bool {
        let mut is_new = false;
        for kcov in self.kcov.iter_mut().chain(self.world.kcov_of_removals()) {
            for at in kcov.reached() {
                let place = at.wrapping_sub(self.base) as usize;
                if let Some(seen @ false) = self.seen.get_mut(place) {
                    *seen = true;
                    is_new = true;
                    self.reached.insert(at);
                }
            }
            kcov.forget();
        }
        is_new
    }

    /// Makes programs and runs them until the time is over, or the number is reached, or there are findings enough.
    pub fn search(&mut self, time: Option<Duration>, programs: Option<u64>) {
        let start = Instant::now();
        let (first, mut told) = (self.number, start);
        loop {
            let count = self.number - first;
            let is_over = time.is_some_and(|time| start.elapsed() >= time && count >= LEAST)
                || programs.is_some_and(|programs| count >= programs);
            // What a kernel says after its first complaint follows from that.
            let has_complained = self
                .findings
                .iter()
                .any(|finding| finding.promise == Promise::Quiet);
            if is_over || has_complained || self.findings.len() >= ENOUGH {
                break;
            }
            let program = self.next();
            if self.run(&program) > 0 {
                let promise = self.findings.last().map(|finding| finding.promise);
                // Most complaints come only once.
                if let Some(promise) = promise.filter(|promise| *promise != Promise::Quiet) {
                    self.shrink(&program, promise);
                }
            }
            if told.elapsed() >= Duration::from_secs(10) {
                told = Instant::now();
                println!("# {}", self.progress());
                let _ = std::io::stdout().flush();
            }
        }
        println!("# {}", self.progress());
    }

    /// The next program to run.
    fn next(&mut self) -> Program {
        let random = &mut self.random;
        if self.corpus.is_empty() || random.one_in(10) {
            return Program::any(random);
        }
        // What was found last leads on more often.
        let last = self.corpus.len() - 1;
        let one = if random.one_in(3) {
            last - random.below(last.min(20) + 1)
        } else {
            random.below(last + 1)
        };
        let other = random.below(last + 1);
        self.corpus[one].varied(&self.corpus[other], random)
    }

    /// How far it is.
    fn progress(&self) -> String {
        let calls: BTreeSet<_> = self.answers.iter().map(|(call, _)| call).collect();
        format!(
            "{} programs, {} of {} calls, {} answers, {} addresses of the module reached, {} programs kept, {} findings",
            self.number,
            calls.len(),
            CALLS.len(),
            self.answers.len(),
            self.reached.len(),
            self.corpus.len(),
            self.findings.len()
        )
    }

    /// Calls that were never made on anything.
    pub fn calls_without_answer(&self) -> Vec<&'static str> {
        let names = CALLS.iter().map(|call| call.name);
        names
            .filter(|name| !self.answers.iter().any(|(call, _)| call == name))
            .collect()
    }

    /// The answers that were seen, each call with its errors.
    pub fn table(&self) -> Vec<String> {
        let mut table = Vec::new();
        for call in CALLS {
            let codes = self.answers.iter().filter(|(name, _)| *name == call.name);
            let codes: Vec<_> = codes
                .map(|(_, code)| {
                    if *code == 0 {
                        "ok".to_owned()
                    } else {
                        format!("{:?}", Errno::from_raw(*code))
                    }
                })
                .collect();
            table.push(format!("{}: {}", call.name, codes.join(" ")));
        }
        table
    }
}

/// The errno of an answer, or 0.
fn code(got: Result<(), Errno>) -> i32 {
    got.err().map_or(0, |errno| errno as i32)
}

/// What is wrong with the answer of a call.
fn unexpected(step: &Step, got: Option<Result<(), Errno>>) -> Option<String> {
    match (step.expected, got) {
        (Some(_), None) => Some("had nothing to work on".to_owned()),
        (Some(expected), Some(got)) if expected != got => {
            Some(format!("answered {got:?}, and not {expected:?}"))
        }
        (None, Some(Err(errno))) if !step.call.errnos.contains(&errno) => {
            Some(format!("answered {errno:?}, which is not documented"))
        }
        _ => None,
    }
}

/// How many descriptors this process has.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}
