// SPDX-License-Identifier: GPL-2.0-only

//! Holds the host tests of the PURE parts, which stand in `tests/`, one file for each group of promises.
//!
//! They use the parts as any other crate would, through the public interface, and check them against references
//! written independently: `tests/model_*.rs` the serial card, `tests/migver_*.rs` the version strings,
//! `tests/migration_*.rs` the states of migration and `tests/stream_*.rs` the stream. What several of them share is in
//! `tests/support/` and the other folders. Run them with `cargo test -p migdev-host-tests`.
