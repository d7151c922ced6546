// SPDX-License-Identifier: GPL-2.0-only
//! Tries a migratable mediated serial device, ours or another driver's, by the rules of the migration protocol, and reports as KTAP.

fn main() {}
