// SPDX-License-Identifier: GPL-2.0-only
//! The cases, by area.

use crate::case::{Area, Case};

mod config;
mod data_file;
mod interrupts;
mod lifecycle;
mod logging;
mod regions;
mod reset;
mod states;
mod stream;
mod support;
mod uart;

/// All areas, in the order in which they are tried and shown.
pub const AREAS: [Area; 10] = [
    Area {
        name: "config",
        title: "PCI configuration space",
        cases: config::CASES,
    },
    Area {
        name: "regions",
        title: "Regions",
        cases: regions::CASES,
    },
    Area {
        name: "uart",
        title: "The 16550A",
        cases: uart::CASES,
    },
    Area {
        name: "interrupts",
        title: "Interrupts",
        cases: interrupts::CASES,
    },
    Area {
        name: "states",
        title: "Migration states",
        cases: states::CASES,
    },
    Area {
        name: "data_file",
        title: "The data file",
        cases: data_file::CASES,
    },
    Area {
        name: "stream",
        title: "What is transferred",
        cases: stream::CASES,
    },
    Area {
        name: "logging",
        title: "The log of DMA",
        cases: logging::CASES,
    },
    Area {
        name: "reset",
        title: "Reset and the next user",
        cases: reset::CASES,
    },
    Area {
        name: "lifecycle",
        title: "Creation, removal and the log",
        cases: lifecycle::CASES,
    },
];

/// Every case with its full name.
pub fn all() -> impl Iterator<Item = (String, &'static Case)> {
    AREAS.iter().flat_map(|area| {
        let named = |case: &'static Case| (format!("{}.{}", area.name, case.name), case);
        area.cases.iter().map(named)
    })
}
