// SPDX-License-Identifier: GPL-2.0-only
//! Calls a vfio device in ways that nobody thought of, led by coverage of the kernel's code, and reports as KTAP.

fn main() {}
