// SPDX-License-Identifier: GPL-2.0-only
//! Uses mediated devices from many sides at once and for a long time, against a model of what may happen, and reports as KTAP.

fn main() {}
