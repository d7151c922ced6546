// SPDX-License-Identifier: GPL-2.0-only

//! What debugfs shows of a card that migrates: `/sys/kernel/debug/migdev/<device>/migration`.

use super::live::{
    Live,
    State, //
};
use core::fmt;
use kernel::{
    debugfs::{
        Dir,
        Scope, //
    },
    prelude::*,
    sync::Arc, //
};

/// A card with its directory. Dropping it removes the directory.
pub(super) type Observed = Scope<Arc<Live>>;

/// Makes the directory of a card, below `parent`. As usual with debugfs, it is nobody's concern if there is none.
///
/// # Errors
///
/// `ENOMEM`.
pub(super) fn observe(parent: &Dir, live: Arc<Live>) -> Result<Pin<KBox<Observed>>> {
    let named = live.clone();
    KBox::pin_init(
        parent.scope(live, &named.name, |live, directory| {
            directory.read_callback_file(c"migration", live, &show);
        }),
        GFP_KERNEL,
    )
}

/// Writes the text of the file: a name and a value in each line.
fn show(live: &Arc<Live>, text: &mut fmt::Formatter<'_>) -> fmt::Result {
    live.with(|state| {
        let State {
            migration, refusal, ..
        } = state;
        let counters = migration.counters();
        writeln!(text, "state: {}", migration.state())?;
        writeln!(text, "sessions: {}", counters.sessions)?;
        writeln!(text, "saved_bytes: {}", counters.saved_bytes)?;
        writeln!(text, "saved_chunks: {}", counters.saved_chunks)?;
        writeln!(text, "loaded_bytes: {}", counters.loaded_bytes)?;
        writeln!(text, "loaded_chunks: {}", counters.loaded_chunks)?;
        writeln!(text, "refusals: {}", counters.refusals)?;
        if refusal.errno.is_empty() {
            writeln!(text, "last_refusal: none")
        } else {
            writeln!(text, "last_refusal: {}: {}", refusal.errno, refusal.reason)
        }
    })
}
