// SPDX-License-Identifier: GPL-2.0-only
//! The table as a person reads it in a terminal.

use crate::results::{Results, Row, Scale};

/// The whole table.
pub fn table(results: &Results) -> String {
    let mut text = format!(
        "{:<44} {:>10} {:>10} {:>6} {:>10} {:>7}  goal\n",
        results.unit, "ours", "mtty", "ratio", "limit", "ours/l."
    );
    for row in &results.rows {
        text += &line(row);
    }
    for (name, scales) in [("ours", &results.ours), ("mtty", &results.peer)] {
        text += &scaling(name, scales);
    }
    text
}

/// What one device of many costs.
fn scaling(name: &str, scales: &[Scale]) -> String {
    if scales.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n{:<24} {:>8} {:>8} {:>10} {:>8} {:>8}\n",
        format!("{name}: devices"),
        "create",
        "remove",
        "attribute",
        "save",
        "bytes",
    );
    for scale in scales {
        text += &format!(
            "{:<24} {:>8.0} {:>8.0} {:>10} {:>8.0} {:>8.0}\n",
            scale.devices,
            scale.create,
            scale.remove,
            figure(scale.attribute, 0),
            scale.save,
            scale.bytes
        );
    }
    text
}

fn line(row: &Row) -> String {
    format!(
        "{:<44} {:>10} {:>10} {:>6} {:>10} {:>7}  {}\n",
        row.what,
        figure(row.ours, 0),
        figure(row.peer, 0),
        figure(row.ratio(), 2),
        figure(row.limit, 0),
        figure(row.over_limit(), 2),
        verdict(row)
    )
}

/// A number with so many places, or a dash where there is none.
pub fn figure(value: Option<f64>, places: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.places$}"))
}

/// Whether the goal is met; nothing where there is none.
pub fn verdict(row: &Row) -> String {
    match row.judged() {
        Some((is, most)) if is <= most => format!("met (<= {most:.1})"),
        Some((_, most)) => format!("MISSED (<= {most:.1})"),
        None => String::new(),
    }
}
