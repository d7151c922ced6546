// SPDX-License-Identifier: GPL-2.0-only
//! A vfio client that tests what a device promises.

fn main() {}
