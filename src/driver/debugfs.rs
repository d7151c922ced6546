// SPDX-License-Identifier: GPL-2.0-only

//! What debugfs shows of a card that migrates: `/sys/kernel/debug/migdev/<device>/migration`.

use super::live::Live;
use crate::debugfs::{
    Directory,
    Observed,
    Show, //
};
use core::fmt;
use kernel::sync::Arc;

/// Makes the directory of a card, below `parent`.
pub(super) fn observe(parent: Arc<Directory>, live: Arc<Live>) -> Observed<Live> {
    let shown = live.clone();
    Observed::new(parent, &live.name, c"migration", shown)
}

impl Show for Live {
    /// Writes a name and a value in each line.
    fn show(&self, text: &mut dyn fmt::Write) -> fmt::Result {
        self.with(|state| {
            let (migration, refusal) = (&state.migration, &state.refusal);
            let counters = migration.counters();
            writeln!(text, "state: {}", migration.state())?;
            writeln!(text, "sessions: {}", counters.sessions)?;
            writeln!(text, "saved_bytes: {}", counters.saved_bytes)?;
            writeln!(text, "saved_chunks: {}", counters.saved_chunks)?;
            writeln!(text, "loaded_bytes: {}", counters.loaded_bytes)?;
            writeln!(text, "loaded_chunks: {}", counters.loaded_chunks)?;
            writeln!(text, "refusals: {}", counters.refusals)?;
            for (port, counters) in (0..).zip(state.card.counters()) {
                writeln!(text, "port{port}_passed: {}", counters.passed)?;
                writeln!(text, "port{port}_overrun: {}", counters.overrun)?;
            }
            if refusal.errno.is_empty() {
                writeln!(text, "last_refusal: none")
            } else {
                writeln!(text, "last_refusal: {}: {}", refusal.errno, refusal.reason)
            }
        })
    }
}
