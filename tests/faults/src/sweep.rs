// SPDX-License-Identifier: GPL-2.0-only
//! A sweep over one call: it is made again and again, and each time the next thing in it fails, until nothing is left
//! that could.

use std::cell::{Cell, RefCell};

use nix::errno::Errno;

use vfio_client::ktap::{check, skip, Miss, Outcome};

use crate::inject::{Injector, Kind, Pass};

/// More than any call has: who gets here does not count down.
const MOST: u32 = 100_000;

/// How often each number is tried. Now and then a cache is empty and takes an object or a page for itself, and what follows has
/// the next number; that this happens each time is not to be expected.
const PASSES: [(Pass, u32); 2] = [(Pass::Objects, 2), (Pass::Pages, 3)];

/// After so many broken promises a sweep says no more.
const ENOUGH: usize = 4;

/// How many faults of each kind there were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Allocations of objects.
    pub objects: u32,
    /// Allocations of pages.
    pub pages: u32,
    /// Copies from and to user space.
    pub copies: u32,
}

impl Tally {
    /// All of them.
    pub fn total(&self) -> u32 {
        self.objects + self.pages + self.copies
    }

    /// Adds another.
    pub fn add(&mut self, other: Tally) {
        self.objects += other.objects;
        self.pages += other.pages;
        self.copies += other.copies;
    }

    fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Object => self.objects += 1,
            Kind::Page => self.pages += 1,
            Kind::Copy => self.copies += 1,
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} faults: {} objects, {} pages, {} copies",
            self.total(),
            self.objects,
            self.pages,
            self.copies
        )
    }
}

/// What came of a call.
pub struct Came<R> {
    /// What it answered.
    pub answer: Result<R, Errno>,
    /// What failed in it, if anything did.
    pub fault: Option<Kind>,
}

impl<R> Came<R> {
    /// Checks that the answer is one of a call in which that failed: `ENOMEM` for memory, `EFAULT` for a copy, and for either
    /// what else is documented; or that the call succeeded all the same. Without a fault it must.
    ///
    /// # Errors
    ///
    /// Fails the case otherwise.
    pub fn is_clean(&self, documented: &[Errno]) -> Outcome {
        let Err(errno) = self.answer else {
            return Ok(());
        };
        let clean = match self.fault {
            None => false,
            Some(Kind::Copy) => errno == Errno::EFAULT || documented.contains(&errno),
            Some(_) => errno == Errno::ENOMEM || documented.contains(&errno),
        };
        check!(clean, "not an error of this fault: {errno:?}");
        Ok(())
    }
}

/// A part of a call: of the kernel's own functions, the one that faults are to come from below of, and the one that they are not.
#[derive(Clone, Copy, Default)]
pub struct Part {
    /// Only from there.
    pub within: Option<&'static str>,
    /// Not from there.
    pub without: Option<&'static str>,
    /// At most so many faults in each pass, evenly spread, and each once.
    pub most: Option<u32>,
}

/// Makes the sweeps.
pub struct Faults {
    injector: Injector,
    tally: Cell<Tally>,
    notes: RefCell<Vec<String>>,
    verbose: bool,
}

impl Faults {
    /// Makes them with this; with `verbose`, each fault is told.
    pub fn new(injector: Injector, verbose: bool) -> Self {
        Faults {
            injector,
            tally: Cell::default(),
            notes: RefCell::default(),
            verbose,
        }
    }

    /// What failed since the last time this was asked.
    pub fn take_tally(&self) -> Tally {
        self.tally.take()
    }

    /// Sweeps over a call. `prepare` brings all that is needed, `act` makes the call and nothing else, and `judge` looks at
    /// what came of it, and tries again without faults. `judge` sees a call in which nothing failed too: at the end of each pass, or
    /// where only some faults are taken, before it.
    ///
    /// # Errors
    ///
    /// Fails the case with what `judge` says.
    pub fn each<S, R>(
        &self,
        mut prepare: impl FnMut() -> Result<S, Miss>,
        mut act: impl FnMut(&mut S) -> Result<R, Errno>,
        mut judge: impl FnMut(S, Came<R>) -> Outcome,
    ) -> Outcome {
        self.each_of(&Part::default(), &mut prepare, &mut act, &mut judge)
    }

    /// The same for a part of the call. Where the kernel cannot tell the part from the rest, the case is skipped.
    ///
    /// # Errors
    ///
    /// As for [`each`](Self::each).
    pub fn each_of<S, R>(
        &self,
        part: &Part,
        mut prepare: impl FnMut() -> Result<S, Miss>,
        mut act: impl FnMut(&mut S) -> Result<R, Errno>,
        mut judge: impl FnMut(S, Came<R>) -> Outcome,
    ) -> Outcome {
        // A kernel without the filter makes more faults of what has none.
        let is_whole = part.within.is_none() && part.without.is_none();
        if self.injector.filter(part.within, part.without).is_err() && !is_whole {
            skip!("the kernel has no CONFIG_FAULT_INJECTION_STACKTRACE_FILTER");
        }
        for (pass, tries) in PASSES {
            self.injector.choose(pass)?;
            let calls = match part.most {
                None => None,
                Some(_) => {
                    let mut state = prepare()?;
                    let (answer, calls) = self.injector.count(|| act(&mut state))?;
                    judge(
                        state,
                        Came {
                            answer,
                            fault: None,
                        },
                    )?;
                    Some(calls)
                }
            };
            let step = match (calls, part.most) {
                (Some(calls), Some(most)) => calls.div_ceil(most).max(1),
                _ => 1,
            };
            if step > 1 {
                self.note(format!("{pass:?}: one in {step} of {}", calls.unwrap_or(0)));
            }
            let tries = if part.most.is_some() { 1 } else { tries };
            // The call without a fault was seen when they were counted: it is not made once more.
            let last = calls.unwrap_or(MOST);
            self.pass(
                pass,
                (step, tries, last),
                &mut prepare,
                &mut act,
                &mut judge,
            )?;
        }
        Ok(())
    }

    /// One pass of [`each`](Self::each).
    fn pass<S, R>(
        &self,
        pass: Pass,
        (step, tries, last): (u32, u32, u32),
        prepare: &mut impl FnMut() -> Result<S, Miss>,
        act: &mut impl FnMut(&mut S) -> Result<R, Errno>,
        judge: &mut impl FnMut(S, Came<R>) -> Outcome,
    ) -> Outcome {
        let mut broken = Vec::new();
        let mut nth = 1;
        let mut tried = 0;
        while nth < MOST && nth <= last && broken.len() < ENOUGH {
            let mut state = prepare()?;
            let (answer, fault) = self.injector.armed(nth, || act(&mut state))?;
            let said = answer.as_ref().err().copied();
            if let Some(kind) = fault {
                let mut tally = self.tally.get();
                tally.count(kind);
                self.tally.set(tally);
                if self.verbose {
                    println!("# {pass:?} {nth}: {kind:?}: {said:?}");
                }
            }
            match judge(state, Came { answer, fault }) {
                Ok(()) => {}
                Err(Miss::Skipped(reason)) => return Err(Miss::Skipped(reason)),
                Err(Miss::Failed(reason)) => {
                    broken.push(format!(
                        "pass {pass:?}, call {nth}, fault {fault:?}, answer {said:?}: {reason}"
                    ));
                }
            }
            if fault.is_none() {
                break;
            }
            tried += 1;
            if tried == tries {
                (nth, tried) = (nth + step, 0);
            }
        }
        check!(nth < MOST, "pass {pass:?} has no end");
        check!(broken.is_empty(), "{}", broken.join("\n"));
        Ok(())
    }

    /// Says something with the result of the case.
    pub fn note(&self, text: String) {
        self.notes.borrow_mut().push(text);
    }

    /// What was said since the last time this was asked.
    pub fn take_notes(&self) -> Vec<String> {
        self.notes.take()
    }
}

/// The lowest descriptor that is free: one that was left behind is below it.
///
/// # Errors
///
/// What dup(2) answers.
pub fn lowest_descriptor() -> Result<i32, Errno> {
    // SAFETY: Descriptor 0 is this program's standard input, and the copy is closed at once.
    let fd = Errno::result(unsafe { libc::dup(0) })?;
    // SAFETY: It was made here, and nobody knows of it.
    unsafe { libc::close(fd) };
    Ok(fd)
}
