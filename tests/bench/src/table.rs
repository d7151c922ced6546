// SPDX-License-Identifier: GPL-2.0-only
//! The table as a person reads it in a terminal.

use crate::results::{flatness, Results, Row, Scale};

/// The whole table.
pub fn table(results: &Results) -> String {
    let mut text = heading(&results.unit);
    text.extend(results.rows.iter().map(line));
    if !results.qemu.is_empty() {
        text += &heading("\nQEMU");
        text.extend(results.qemu.iter().map(line));
    }
    for (name, scales, memory) in [
        ("ours", &results.ours, &results.memory.ours),
        ("mtty", &results.peer, &results.memory.peer),
    ] {
        if !scales.is_empty() {
            text += &scaling(name, scales, memory);
        }
    }
    text
}

fn heading(what: &str) -> String {
    format!(
        "{what:<44} {:>10} {:>10} {:>6} {:>10} {:>7}  goal\n",
        "ours", "mtty", "ratio", "limit", "ours/l."
    )
}

/// What one device of many costs.
fn scaling(name: &str, scales: &[Scale], memory: &[(usize, f64)]) -> String {
    let mut text = format!(
        "\n{:<24} {:>8} {:>8} {:>10} {:>8} {:>8}\n",
        format!("{name}: devices"),
        "create",
        "remove",
        "attribute",
        "save",
        "bytes"
    );
    for scale in scales {
        let bytes = memory.iter().find(|(devices, _)| *devices == scale.devices);
        text += &format!(
            "{:<24} {:>8.0} {:>8.0} {:>10} {:>8.0} {:>8}\n",
            scale.devices,
            scale.create,
            scale.remove,
            figure(scale.attribute, 0),
            scale.save,
            figure(bytes.map(|(_, bytes)| *bytes), 0)
        );
    }
    for (what, flatness) in scale_goals(scales, memory) {
        text += &format!("{what}: {flatness:.2}, {}\n", met(flatness, FLAT));
    }
    text
}

/// How much a figure may grow from 10 devices to 1000.
pub const FLAT: f64 = 1.2;

/// What should not grow with the number of devices, and by how much it does.
pub fn scale_goals(scales: &[Scale], memory: &[(usize, f64)]) -> Vec<(&'static str, f64)> {
    let by = |figure: fn(&Scale) -> Option<f64>| {
        flatness(
            scales
                .iter()
                .filter_map(|scale| Some((scale.devices, figure(scale)?))),
        )
    };
    [
        ("growth of create", by(|scale| Some(scale.create))),
        ("growth of remove", by(|scale| Some(scale.remove))),
        ("growth of attribute", by(|scale| scale.attribute)),
        ("growth of save", by(|scale| Some(scale.save))),
        ("growth of memory", flatness(memory.iter().copied())),
    ]
    .into_iter()
    .filter_map(|(what, growth)| Some((what, growth?)))
    .collect()
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
    row.judged()
        .map_or(String::new(), |(is, most)| met(is, most))
}

/// Whether a figure is what it may be at most.
fn met(is: f64, most: f64) -> String {
    let word = if is <= most { "met" } else { "MISSED" };
    format!("{word} (<= {most:.1})")
}
