// SPDX-License-Identifier: GPL-2.0-only

//! What the tests of migration share.

// Each test file compiles this module for itself and uses its own part of it.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub mod bench;
pub mod reference;

pub use bench::*;
use proptest::prelude::ProptestConfig;

/// How often a property is tried. Failures are reported, and not filed among the sources.
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
