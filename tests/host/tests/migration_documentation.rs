// SPDX-License-Identifier: GPL-2.0-only

//! `Documentation/migration-states.rst` says what the code does: each of its tables is read and compared with what the
//! code says, those of states and arcs for all pairs.

mod migration_support;

use std::{
    fs,
    path::Path, //
};

use migdev_migration::{
    arcs::{
        effect,
        next,
        Effect, //
    },
    device_state::{
        target,
        Bits, //
    },
    Direction,
    Error,
    State, //
};
use migration_support::*;

/// The cells of the table with this title, the heading first.
fn table(title: &str) -> Vec<Vec<String>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Documentation/migration-states.rst");
    let document =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let directive = format!(".. table:: {title}");
    assert_eq!(
        document.lines().filter(|line| *line == directive).count(),
        1,
        "{title}"
    );
    let mut lines = document
        .lines()
        .skip_while(|line| *line != directive)
        .skip(1)
        .skip_while(|line| line.is_empty())
        .take_while(|line| line.starts_with("   "));

    // A column begins where a run of = does, and ends where the next begins.
    let rule = lines.next().unwrap();
    let starts: Vec<_> = rule
        .char_indices()
        .filter(|(at, char)| *char == '=' && !rule[..*at].ends_with('='))
        .map(|(at, _)| at)
        .collect();
    lines
        .filter(|line| *line != rule)
        .map(|line| {
            let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
            starts
                .iter()
                .zip(ends)
                .map(|(start, end)| line.get(*start..end.min(line.len())).unwrap_or_default())
                .map(|cell| cell.trim().to_string())
                .collect()
        })
        .collect()
}

/// The rows without the heading, which must be this one.
fn rows(title: &str, heading: &[&str]) -> Vec<Vec<String>> {
    let mut table = table(title);
    assert_eq!(table.remove(0), heading, "{title}");
    table
}

fn names() -> Vec<&'static str> {
    State::ALL.iter().map(|state| state.name()).collect()
}

#[test]
fn the_states_are_those_of_the_document() {
    let rows = rows(
        "The states",
        &["State", "Number", "Version 1", "The device", "Session"],
    );
    let expected: Vec<_> = State::ALL
        .iter()
        .map(|state| {
            let (mut bench, id) = Bench::in_state(*state);
            let ready = id.map(|id| bench.machine.readiness(id));
            let session = match ready {
                None => "none",
                Some(ready) if ready.writable => "loading",
                Some(_) => "saving",
            };
            [
                state.to_string(),
                state.number().to_string(),
                format!("{:03b}", bench.device_state()),
                if bench.machine.is_running() {
                    "runs"
                } else {
                    "is stopped"
                }
                .to_string(),
                session.to_string(),
            ]
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_arcs_are_those_of_the_document() {
    let rows = rows("The arcs", &["From", "To", "The device", "The session"]);
    let mut count = 0;
    for from in State::ALL {
        for to in State::ALL {
            let row: Vec<_> = rows
                .iter()
                .filter(|row| row[0] == from.name() && row[1] == to.name())
                .collect();
            let Some(effect) = effect(from, to) else {
                assert!(row.is_empty(), "{from} to {to}");
                continue;
            };
            let device = match (from.is_running(), to.is_running()) {
                (true, true) => "runs on",
                (true, false) => "stops",
                (false, true) => "starts",
                (false, false) => "stays stopped",
            };
            let session = match effect {
                Effect::Nothing => "none",
                Effect::Opens(Direction::Loading) => "opens to load",
                Effect::Opens(Direction::Saving) if to == State::StopCopy => {
                    "opens to save, with all of the stream"
                }
                Effect::Opens(Direction::Saving) => "opens to save, with the head",
                Effect::Keeps => "goes on",
                Effect::Completes => "goes on, with the rest added",
                Effect::Closes => "ends",
            };
            assert_eq!(
                row,
                [&[from.name(), to.name(), device, session]],
                "{from} to {to}"
            );
            count += 1;
        }
    }
    assert_eq!(rows.len(), count);
}

#[test]
fn the_next_state_is_that_of_the_document() {
    let heading = [&["From, to"], &names()[..]].concat();
    let rows = rows("The next state on the way", &heading);
    assert_eq!(rows.len(), State::ALL.len());
    for (from, row) in State::ALL.into_iter().zip(rows) {
        assert_eq!(row[0], from.name());
        for (to, cell) in State::ALL.into_iter().zip(&row[1..]) {
            let next = next(from, to).map_or("refused", State::name);
            assert_eq!(cell, next, "{from} to {to}");
        }
    }
}

#[test]
fn version_1_goes_where_the_document_says() {
    let heading: Vec<_> = Bits::ALL.iter().map(|bits| bits.to_string()).collect();
    let heading: Vec<_> = ["From, to"]
        .into_iter()
        .chain(heading.iter().map(String::as_str))
        .collect();
    let rows = rows("Writing device_state", &heading);
    assert_eq!(rows.len(), DEVICE_STATES.len());
    for from in State::ALL {
        let label = Bits::from(from).to_string();
        let row = rows.iter().find(|row| row[0] == label).unwrap();
        for (to, cell) in Bits::ALL.into_iter().zip(&row[1..]) {
            let reached = match target(from, to) {
                Err(_) => "refused",
                Ok(state) if state == from => "stays",
                Ok(state) => state.name(),
            };
            assert_eq!(cell, reached, "{from} to {to}");
        }
    }
}

#[test]
fn the_fields_are_those_of_the_document() {
    let rows = rows("The fields", &["Offset", "Bytes", "Field", "Read", "Write"]);
    let mut documented = Vec::new();
    for row in &rows {
        let offset = u64::from_str_radix(row[0].trim_start_matches("0x"), 16).unwrap();
        let len: usize = row[1].parse().unwrap();
        documented.push((offset, len));

        // A device that is loaded, of which a byte has come, so that each field can be told from the others.
        let mut bench = Bench::in_device_state(0b100);
        bench.write(0x1000, &Board::new(1).stream()[..8]).unwrap();
        let mut bytes = vec![0; len];
        bytes[0] = 1;
        if cfg!(target_endian = "big") {
            bytes.reverse();
        }
        let written = bench.write(offset, &bytes);
        let value = Bench::in_device_state(0b010).field((offset, len));
        let (read, text, write) = match row[2].as_str() {
            "device_state" => (0b010, "the state", "goes to a state"),
            "reserved" => (0, "0", "is ignored"),
            "pending_bytes" => (
                Board::new(1).stream().len() as u64,
                "how much is left",
                "EINVAL",
            ),
            "data_offset" => (0x1000, "0x1000", "EINVAL"),
            "data_size" => (0, "length of the chunk", "a chunk is there"),
            other => panic!("there is no field {other}"),
        };
        assert_eq!(value, read, "{}", row[2]);
        assert_eq!(row[3..], [text, write]);
        assert_eq!(written.is_err(), write == "EINVAL", "{}", row[2]);
        match row[2].as_str() {
            "device_state" => assert_eq!(bench.machine.state(), State::Running),
            "data_size" => assert_eq!(bench.machine.counters().loaded_bytes, 1),
            _ => assert_eq!(bench.machine.state(), State::Resuming),
        }
    }
    let mut bench = Bench::new(1);
    for offset in 0..0x1000 {
        for len in 1..=16 {
            let listed = documented.contains(&(offset, len));
            assert_eq!(
                bench.read(offset, len).is_ok(),
                listed,
                "{offset:#x}, {len}"
            );
        }
    }
}

#[test]
fn the_errnos_are_those_of_the_document() {
    let rows = rows("The errors", &["Error", "errno", "What was refused"]);
    let (from, to) = (State::StopCopy, State::PreCopy);
    let bits = Bits::of(0);
    let errors = [
        Error::UnknownState(8),
        Error::Arc { from, to },
        Error::DeviceState {
            from: bits,
            to: bits,
        },
        Error::Incomplete,
        Error::Access,
        Error::NotPreCopy,
        Error::Busy,
        Error::NoMemory,
        Error::TooLarge,
        Error::Disabled,
        Error::NoMessage,
    ];
    assert_eq!(rows.len(), errors.len());
    for (row, error) in rows.iter().zip(errors) {
        let name = format!("{error:?}");
        let name = name.split([' ', '(']).next().unwrap();
        let errno = match error.errno() {
            12 => "ENOMEM",
            16 => "EBUSY",
            19 => "ENODEV",
            22 => "EINVAL",
            28 => "ENOSPC",
            42 => "ENOMSG",
            other => panic!("{other} is not documented"),
        };
        assert_eq!(row[..2], [name, errno]);
    }
}
