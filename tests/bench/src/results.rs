// SPDX-License-Identifier: GPL-2.0-only
//! What was measured, as it is kept: `Documentation/benchmarks.json` has this form.

use clap::Args;
use serde::{Deserialize, Serialize};

/// What is wanted of a figure.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// At most 0.8 of the peer's.
    Register,
    /// At most 1.2 of the limit.
    Attribute,
    /// No more than the peer's.
    NoDearerThanPeer,
    /// It is there to compare with.
    None,
}

/// One line of the table.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// Ours.
    pub ours: Option<f64>,
    /// The peer's; none where the peer cannot do it.
    pub peer: Option<f64>,
    /// What nothing of the kind can be cheaper than.
    pub limit: Option<f64>,
    /// What that is.
    pub limit_is: Option<String>,
    /// What is wanted.
    pub goal: Goal,
}

impl Row {
    /// Ours by the peer's.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.ours? / self.peer?)
    }

    /// Ours by the limit.
    pub fn over_limit(&self) -> Option<f64> {
        Some(self.ours? / self.limit?)
    }

    /// The figure that the goal is about and what it may be at most; none where there is nothing to hold it against.
    pub fn judged(&self) -> Option<(f64, f64)> {
        match self.goal {
            Goal::Register => Some((self.ratio()?, 0.8)),
            Goal::NoDearerThanPeer => Some((self.ratio()?, 1.0)),
            Goal::Attribute => Some((self.over_limit()?, 1.2)),
            Goal::None => None,
        }
    }
}

/// What one of many devices costs.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Scale {
    /// How many there are.
    pub devices: usize,
    /// To create one more.
    pub create: f64,
    /// To remove it.
    pub remove: f64,
    /// To open, read and close the last one's `migration_version`; none where it has none.
    pub attribute: Option<f64>,
    /// To save the last one by protocol v2.
    pub save: f64,
}

/// All of a run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Results {
    /// When, where, and of what.
    pub made: Made,
    /// What the figures of the rows are, such as "instructions".
    pub unit: String,
    /// How many rounds the medians are of.
    pub rounds: usize,
    /// The table.
    pub rows: Vec<Row>,
    /// Ours, at more and more devices.
    pub ours: Vec<Scale>,
    /// The peer's.
    pub peer: Vec<Scale>,
    /// The memory of each device.
    #[serde(default)]
    pub memory: Memory,
    /// What QEMU says of moving a machine with such a card, in an emulated machine with an ordinary clock.
    #[serde(default)]
    pub qemu: Vec<Row>,
}

/// How many bytes one device takes, at so many devices.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Memory {
    /// Ours.
    pub ours: Vec<(usize, f64)>,
    /// The peer's.
    pub peer: Vec<(usize, f64)>,
}

/// The largest of the figures from ten devices on by the smallest; none where there are not two.
pub fn flatness(figures: impl Iterator<Item = (usize, f64)>) -> Option<f64> {
    let many: Vec<f64> = figures
        .filter(|(devices, _)| *devices >= 10)
        .map(|(_, figure)| figure)
        .collect();
    let largest = many.iter().copied().reduce(f64::max)?;
    let smallest = many.iter().copied().reduce(f64::min)?;
    (many.len() > 1).then_some(largest / smallest)
}

/// What a figure is worth nothing without.
#[derive(Args, Clone, Debug, Default, Deserialize, Serialize)]
pub struct Made {
    /// The day, as `2026-01-31`.
    #[arg(long, default_value = "")]
    pub date: String,
    /// The kernel's release.
    #[arg(long, default_value = "")]
    pub kernel: String,
    /// What the kernel was compiled with that figures depend on.
    #[arg(long, default_value = "")]
    pub configuration: String,
    /// The commit of this project.
    #[arg(long, default_value = "")]
    pub commit: String,
    /// The compiler of the module.
    #[arg(long, default_value = "")]
    pub rustc: String,
    /// The emulator.
    #[arg(long, default_value = "")]
    pub emulator: String,
}
