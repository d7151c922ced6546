// SPDX-License-Identifier: GPL-2.0-only

//! Version 1 and version 2 on one device, mixed: states, the region and data files.

#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../host/tests/migration_support/bench.rs"]
mod bench;
mod operations;
#[path = "../../host/tests/migration_support/reference.rs"]
mod reference;

use libfuzzer_sys::{
    arbitrary::{
        Arbitrary,
        Result,
        Unstructured, //
    },
    fuzz_target, //
};
use reference::{
    compare,
    Operation, //
};

/// What one client does after the other.
#[derive(Debug)]
struct Operations(Vec<Operation>);

impl<'a> Arbitrary<'a> for Operations {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            all.push(operations::operation(bytes)?);
        }
        Ok(Self(all))
    }
}

fuzz_target!(|operations: Operations| compare(&operations.0));
