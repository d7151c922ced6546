// SPDX-License-Identifier: GPL-2.0-only
//! Whether results are complete: each figure that the list in `tests/bench/rows` has, and no other.

use crate::results::{Results, Row, Scale};

/// The list.
const LIST: &str = include_str!("../rows");

/// The heading of the list's part that is about an operation.
const OPERATIONS: &str = "One operation";
/// About QEMU's moves.
const MOVES: &str = "A machine that QEMU moves";
/// About one of many devices. Its rows have a driver's name, and are there for each number of devices.
const DEVICES: &str = "One of many devices";

/// The column that is measured in a machine of its own.
const BYTES: &str = "bytes";

/// What a run was to measure.
pub struct Extent<'a> {
    /// At which numbers of devices.
    pub scale: &'a [usize],
    /// Also the memory of each device, and how QEMU moves it.
    pub is_whole: bool,
}

/// How many devices of one port the peer can have.
const PEER_MOST: usize = 24;

/// A row that is to be there.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    name: String,
    columns: Vec<String>,
}

/// A row that is there.
struct Found {
    name: String,
    figures: Vec<(&'static str, f64)>,
}

/// What is missing, is not greater than zero, or should not be there: a sentence for each.
pub fn faults(results: &Results, extent: &Extent<'_>) -> Vec<String> {
    let (wanted, found) = (wanted(extent), found(results));
    let mut faults = Vec::new();
    for want in &wanted {
        let rows: Vec<_> = found.iter().filter(|row| row.name == want.name).collect();
        match rows[..] {
            [] => faults.push(format!("{}: is missing", want.name)),
            [row] => compare(want, row, &mut faults),
            _ => faults.push(format!("{}: is there {} times", want.name, rows.len())),
        }
    }
    let is_strange = |row: &&Found| wanted.iter().all(|want| want.name != row.name);
    let strange = found.iter().filter(is_strange);
    faults.extend(strange.map(|row| format!("{}: is not in the list", row.name)));
    faults
}

fn compare(want: &Wanted, row: &Found, faults: &mut Vec<String>) {
    let name = &row.name;
    for column in &want.columns {
        let (column, may_be_zero) = match column.strip_suffix('?') {
            Some(column) => (column, true),
            None => (column.as_str(), false),
        };
        match row.figures.iter().find(|(of, _)| *of == column) {
            None => faults.push(format!("{name}: has no figure of {column}")),
            Some((_, figure)) if *figure > 0.0 || may_be_zero => {}
            Some((_, figure)) => faults.push(format!("{name}: {column} is {figure}")),
        }
    }
    for (column, _) in &row.figures {
        if !want
            .columns
            .iter()
            .any(|of| of.trim_end_matches('?') == *column)
        {
            faults.push(format!(
                "{name}: has a figure of {column}, which is not in the list"
            ));
        }
    }
}

/// The rows of one part of the list.
fn part(heading: &str) -> Vec<Wanted> {
    let lines = LIST
        .lines()
        .skip_while(|line| line.strip_prefix("## ") != Some(heading));
    let lines = lines.skip(1).take_while(|line| !line.starts_with("## "));
    let rows = lines.filter_map(|line| line.split_once(" | "));
    rows.map(|(columns, name)| Wanted {
        name: name.to_owned(),
        columns: columns.split_whitespace().map(str::to_owned).collect(),
    })
    .collect()
}

fn wanted(extent: &Extent<'_>) -> Vec<Wanted> {
    let mut rows = part(OPERATIONS);
    if extent.is_whole {
        rows.extend(part(MOVES));
    }
    for mut row in part(DEVICES) {
        row.columns
            .retain(|column| extent.is_whole || column != BYTES);
        let most = if row.name == "mtty" {
            PEER_MOST
        } else {
            usize::MAX
        };
        let numbers = extent.scale.iter().filter(|number| **number < most);
        rows.extend(numbers.map(|number| Wanted {
            name: many(&row.name, *number),
            columns: row.columns.clone(),
        }));
    }
    rows
}

fn found(results: &Results) -> Vec<Found> {
    let rows = results.rows.iter().chain(&results.qemu);
    let mut found: Vec<_> = rows.map(operation).collect();
    for (name, scales, memory) in [
        ("ours", &results.ours, &results.memory.ours),
        ("mtty", &results.peer, &results.memory.peer),
    ] {
        let start = found.len();
        found.extend(scales.iter().map(|scale| one_of_many(name, scale)));
        for (devices, bytes) in memory {
            let name = many(name, *devices);
            match found[start..].iter_mut().find(|row| row.name == name) {
                Some(row) => row.figures.push((BYTES, *bytes)),
                None => found.push(Found {
                    name,
                    figures: vec![(BYTES, *bytes)],
                }),
            }
        }
    }
    found
}

/// The name of the row of a driver at a number of devices.
fn many(driver: &str, devices: usize) -> String {
    format!("{driver}, of {devices} devices")
}

/// Those figures that there are.
fn there(figures: &[(&'static str, Option<f64>)]) -> Vec<(&'static str, f64)> {
    let there = figures
        .iter()
        .filter_map(|(of, figure)| Some((*of, (*figure)?)));
    there.collect()
}

fn operation(row: &Row) -> Found {
    Found {
        name: row.what.clone(),
        figures: there(&[("ours", row.ours), ("mtty", row.peer), ("limit", row.limit)]),
    }
}

fn one_of_many(driver: &str, scale: &Scale) -> Found {
    Found {
        name: many(driver, scale.devices),
        figures: there(&[
            ("create", Some(scale.create)),
            ("remove", Some(scale.remove)),
            ("attribute", scale.attribute),
            ("save", Some(scale.save)),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Goal;

    const SMALL: Extent<'_> = Extent {
        scale: &[1, 3],
        is_whole: false,
    };
    const WHOLE: Extent<'_> = Extent {
        scale: &[1, 10, 100],
        is_whole: true,
    };

    /// A row with a figure in each column that the list has.
    fn row(want: &Wanted) -> Row {
        let is_there = |name| {
            want.columns
                .iter()
                .any(|of| of.trim_end_matches('?') == name)
        };
        let figure = |name| is_there(name).then_some(7.0);
        Row {
            what: want.name.clone(),
            ours: figure("ours"),
            peer: figure("mtty"),
            limit: figure("limit"),
            limit_is: None,
            goal: Goal::None,
        }
    }

    fn scales(numbers: &[usize], attribute: Option<f64>) -> Vec<Scale> {
        let scale = |devices: &usize| Scale {
            devices: *devices,
            create: 1.0,
            remove: 2.0,
            attribute,
            save: 3.0,
        };
        numbers.iter().map(scale).collect()
    }

    fn small() -> Results {
        Results {
            rows: part(OPERATIONS).iter().map(row).collect(),
            ours: scales(&[1, 3], Some(4.0)),
            peer: scales(&[1, 3], None),
            ..Results::default()
        }
    }

    fn whole() -> Results {
        let mut results = small();
        results.qemu = part(MOVES).iter().map(row).collect();
        results.ours = scales(&[1, 10, 100], Some(4.0));
        results.peer = scales(&[1, 10], None);
        results.memory.ours = vec![(1, 5.0), (10, 5.0), (100, 5.0)];
        results.memory.peer = vec![(1, 5.0), (10, 5.0)];
        results
    }

    #[test]
    fn lists_every_part_and_each_row_once() {
        assert_eq!((part(MOVES).len(), part(DEVICES).len()), (3, 2));
        let rows = wanted(&WHOLE);
        assert!(part(OPERATIONS).len() > 40);
        for row in &rows {
            assert_eq!(
                rows.iter().filter(|other| other.name == row.name).count(),
                1
            );
            assert!(!row.columns.is_empty());
        }
    }

    #[test]
    fn finds_no_fault_in_what_is_complete() {
        assert_eq!(faults(&small(), &SMALL), [""; 0]);
        assert_eq!(faults(&whole(), &WHOLE), [""; 0]);
    }

    #[test]
    fn misses_each_row_that_is_not_there() {
        for at in 0..small().rows.len() {
            let mut results = small();
            let row = results.rows.remove(at);
            assert_eq!(
                faults(&results, &SMALL),
                [format!("{}: is missing", row.what)]
            );
        }
        let mut results = small();
        results.peer.pop();
        assert_eq!(faults(&results, &SMALL), ["mtty, of 3 devices: is missing"]);
        assert_eq!(faults(&small(), &WHOLE).len(), 3 + 2 + 2 + 3);
    }

    #[test]
    fn misses_each_figure_that_is_not_there() {
        let mut results = whole();
        results.rows[0].peer = None;
        results.ours[1].attribute = None;
        results.memory.peer.pop();
        let want = [
            "registers: read 1 byte: has no figure of mtty",
            "ours, of 10 devices: has no figure of attribute",
            "mtty, of 10 devices: has no figure of bytes",
        ];
        assert_eq!(faults(&results, &WHOLE), want);
    }

    #[test]
    fn takes_nothing_less_than_a_positive_figure() {
        for figure in [0.0, -1.0, f64::NAN] {
            let mut results = small();
            results.rows[0].ours = Some(figure);
            let want = format!("registers: read 1 byte: ours is {figure}");
            assert_eq!(faults(&results, &SMALL), [want]);
        }
    }

    #[test]
    fn takes_an_empty_loop_that_the_clock_does_not_see() {
        let mut results = small();
        let empty = results.rows.last_mut();
        assert!(empty.is_some_and(|row| row.limit.replace(-2.0).is_some()));
        assert_eq!(faults(&results, &SMALL), [""; 0]);
    }

    #[test]
    fn tells_what_is_there_and_not_in_the_list() {
        let mut results = small();
        results.rows[0].what += " more";
        results.rows.push(results.rows[1].clone());
        results.peer[0].attribute = Some(4.0);
        let want = [
            "registers: read 1 byte: is missing",
            "registers: read 2 bytes: is there 2 times",
            "mtty, of 1 devices: has a figure of attribute, which is not in the list",
            "registers: read 1 byte more: is not in the list",
        ];
        assert_eq!(faults(&results, &SMALL), want);
        let strange = faults(&whole(), &SMALL);
        assert!(strange.contains(&"downtime, ms: is not in the list".to_owned()));
    }
}
