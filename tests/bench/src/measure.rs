// SPDX-License-Identifier: GPL-2.0-only
//! How it is measured: ours, the peer's and the limit's operation in turn, many rounds, the median of each.
//!
//! Where the machine's clock counts instructions, an operation takes the same number of them in nearly every round; the
//! median leaves out the rounds that a timer's interrupt fell into.

use std::time::Instant;

use nix::errno::Errno;

use crate::results::{Goal, Row};

/// What can be done again and again.
type Step<'a> = Box<dyn FnMut() -> Result<(), Errno> + 'a>;

/// One operation, and what must be done before it that is not part of it.
pub struct Operation<'a> {
    prepare: Option<Step<'a>>,
    run: Step<'a>,
}

impl<'a> Operation<'a> {
    /// An operation that can be repeated as it is.
    pub fn new(run: impl FnMut() -> Result<(), Errno> + 'a) -> Self {
        Operation {
            prepare: None,
            run: Box::new(run),
        }
    }

    /// Has something done before each, which is not measured.
    pub fn after(mut self, prepare: impl FnMut() -> Result<(), Errno> + 'a) -> Self {
        self.prepare = Some(Box::new(prepare));
        self
    }

    /// How long one takes, in nanoseconds, of so many.
    fn sample(&mut self, batch: u32, clock: f64) -> Result<f64, Errno> {
        let Some(prepare) = &mut self.prepare else {
            let start = Instant::now();
            for _ in 0..batch {
                (self.run)()?;
            }
            return Ok((nanoseconds(start) - clock) / f64::from(batch));
        };
        prepare()?;
        let start = Instant::now();
        (self.run)()?;
        Ok(nanoseconds(start) - clock)
    }

    /// Does it for ever, between two calls that a profile recognises.
    ///
    /// # Errors
    ///
    /// What the operation answers.
    pub fn repeat(&mut self) -> Result<(), Errno> {
        loop {
            if let Some(prepare) = &mut self.prepare {
                prepare()?;
            }
            crate::calls::begin();
            (self.run)()?;
            crate::calls::end();
        }
    }
}

/// One row: the same operation on ours and on the peer, and on what nothing of the kind can be cheaper than.
pub struct Bench<'a> {
    /// What is measured; also its name.
    pub what: String,
    /// What is wanted of it.
    pub goal: Goal,
    /// Ours.
    pub ours: Option<Operation<'a>>,
    /// The peer's.
    pub peer: Option<Operation<'a>>,
    /// The limit, and what that is.
    pub limit: Option<(&'static str, Operation<'a>)>,
}

impl<'a> Bench<'a> {
    /// The row of that name.
    pub fn new(what: impl Into<String>) -> Self {
        Bench {
            what: what.into(),
            goal: Goal::NoDearerThanPeer,
            ours: None,
            peer: None,
            limit: None,
        }
    }

    /// Sets what is wanted.
    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    /// Sets ours.
    pub fn ours(mut self, operation: Operation<'a>) -> Self {
        self.ours = Some(operation);
        self
    }

    /// Sets the peer's.
    pub fn peer(mut self, operation: Operation<'a>) -> Self {
        self.peer = Some(operation);
        self
    }

    /// Sets the limit.
    pub fn limit(mut self, what: &'static str, operation: Operation<'a>) -> Self {
        self.limit = Some((what, operation));
        self
    }

    /// Measures it.
    ///
    /// # Errors
    ///
    /// What an operation answers.
    pub fn measure(mut self, rounds: usize, batch: u32, clock: f64) -> Result<Row, Errno> {
        let mut limit = self.limit;
        let mut sides = [
            self.ours.as_mut(),
            self.peer.as_mut(),
            limit.as_mut().map(|(_, operation)| operation),
        ];
        let mut samples = [const { Vec::new() }; 3];
        for round in 0..WARM_UP + rounds {
            for (side, samples) in sides.iter_mut().zip(&mut samples) {
                let Some(side) = side else { continue };
                let sample = side.sample(batch, clock)?;
                if round >= WARM_UP {
                    samples.push(sample);
                }
            }
        }
        let [ours, peer, floor] = samples.map(median);
        Ok(Row {
            what: self.what,
            ours,
            peer,
            limit: floor,
            limit_is: limit.map(|(what, _)| what.to_owned()),
            goal: self.goal,
        })
    }
}

/// Rounds that fill caches, and that nobody counts.
const WARM_UP: usize = 3;

fn nanoseconds(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64
}

/// What it takes to look at the clock twice.
pub fn clock() -> f64 {
    let looks = (0..101).map(|_| nanoseconds(Instant::now())).collect();
    median(looks).unwrap_or_default()
}

/// The median of an operation alone.
///
/// # Errors
///
/// What the operation answers.
pub fn median_of(operation: &mut Operation<'_>, rounds: usize, clock: f64) -> Result<f64, Errno> {
    let samples = (0..WARM_UP + rounds).map(|_| operation.sample(1, clock));
    let samples = samples.collect::<Result<Vec<_>, _>>()?;
    let samples = samples.into_iter().skip(WARM_UP).collect();
    median(samples).ok_or(Errno::EINVAL)
}

/// The middle one.
pub fn median(mut samples: Vec<f64>) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}
