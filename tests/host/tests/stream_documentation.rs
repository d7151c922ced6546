// SPDX-License-Identifier: GPL-2.0-only

//! The document on the stream says what the code does: its tables have the fields of the code, and its example is what
//! a card saves. The list of refusals is checked in `stream_refusals.rs`.

mod stream_support;

use std::fs;

use migdev_migration::stream::{
    Incoming,
    Outgoing,
    Snapshot,
    END,
    END_LEN,
    HEAD_LEN,
    MAGIC,
    MANDATORY,
    MAX_STREAM,
    RECORD_LEN, //
};
use migdev_model::{
    snapshot::{
        CONFIG,
        COUNTERS,
        COUNTERS_FIELDS,
        NEWEST,
        OLDEST,
        PORT,
        PORT_FIELDS,
        REGISTERS,
        VERSIONS, //
    },
    Abi,
    Card,
    Ports, //
};
use stream_support::{
    as_of,
    checksum,
    load,
    save_as,
    string_of,
    Plain, //
};

fn document() -> String {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../Documentation/migration-stream.rst"
    );
    fs::read_to_string(path).expect(path)
}

/// What stands after the comment `.. MARK`.
fn after<'a>(document: &'a str, mark: &str) -> &'a str {
    let (_, after) = document
        .split_once(&format!("\n.. {mark}\n"))
        .unwrap_or_else(|| panic!("there is no mark {mark}"));
    after
}

/// The rows of the table after the comment `.. table NAME`, without those that go on with the row above. The last
/// column may have blanks in it.
fn table(document: &str, name: &str) -> Vec<Vec<String>> {
    let mut lines = after(document, &format!("table {name}"))
        .lines()
        .skip_while(|line| !line.starts_with("=="));
    let columns = lines.next().expect("a table").split("  ").count();
    lines
        .skip(2)
        .take_while(|line| !line.starts_with("=="))
        .filter(|line| !line.starts_with(' '))
        .map(|line| {
            let mut rest = line;
            let mut row = Vec::new();
            for _ in 1..columns {
                let (cell, later) = rest.split_once("  ").expect(line);
                row.push(cell.to_string());
                rest = later.trim_start();
            }
            row.push(rest.to_string());
            row
        })
        .collect()
}

/// The first columns of a table.
fn columns(document: &str, name: &str, count: usize) -> Vec<Vec<String>> {
    let mut rows = table(document, name);
    for row in &mut rows {
        row.truncate(count);
    }
    rows
}

fn row(cells: &[&dyn ToString]) -> Vec<String> {
    cells.iter().map(|cell| cell.to_string()).collect()
}

/// The literal block after the comment `.. MARK`.
fn block(document: &str, mark: &str) -> String {
    after(document, mark)
        .lines()
        .skip_while(|line| !line.starts_with("    "))
        .take_while(|line| line.starts_with("    "))
        .flat_map(|line| [&line[4..], "\n"])
        .collect()
}

#[test]
fn the_limits_are_those_of_the_code() {
    let limits = [
        MAX_STREAM,
        migver::MAX_LEN,
        Incoming::<Card>::PAYLOAD,
        Outgoing::CAPACITY,
    ];
    assert_eq!(
        columns(&document(), "limits", 1),
        limits.map(|limit| row(&[&limit]))
    );
}

#[test]
fn the_head_has_the_fields_of_the_table() {
    let expected = [
        row(&[&0, &8, &"magic"]),
        row(&[&8, &2, &"version"]),
        row(&[&10, &2, &"string_length"]),
        row(&[&12, &4, &"reserved"]),
        row(&[&HEAD_LEN, &"n", &"string"]),
    ];
    assert_eq!(columns(&document(), "head", 3), expected);
    let magic = MAGIC.map(|byte| format!("{byte:02x}")).join(" ");
    assert_eq!(table(&document(), "head")[0][3], format!("``{magic}``"));

    let what = &table(&document(), "head")[1][3];
    assert_eq!(
        what,
        &format!("the version of the stream: {OLDEST} or {NEWEST}")
    );

    for version in VERSIONS {
        let bytes = save_as(version, &Card::new(Ports::One, Abi::NEWEST));
        let plain = Plain::read(&bytes);
        assert_eq!(bytes[..8], MAGIC);
        assert_eq!(bytes[8..10], version.to_le_bytes());
        assert_eq!(bytes[10..12], (plain.string.len() as u16).to_le_bytes());
        assert_eq!(bytes[12..HEAD_LEN], [0; 4]);
    }
}

#[test]
fn the_versions_are_those_of_the_code() {
    let listed: Vec<_> = table(&document(), "versions")
        .into_iter()
        .map(|row| row[0].parse::<u16>().expect("a number"))
        .collect();
    assert_eq!(listed, VERSIONS.collect::<Vec<_>>());
    for version in VERSIONS {
        let string = string_of(version, Ports::One);
        let (_, stream) = string.split_once(",stream=").expect(string);
        let (stream, _) = stream.split_once(',').expect(string);
        assert!(document().contains(&format!("``stream={stream}``")));
    }
}

#[test]
fn records_have_the_fields_of_the_table() {
    let expected = [
        row(&[&0, &2, &"tag"]),
        row(&[&2, &2, &"flags"]),
        row(&[&4, &4, &"length"]),
        row(&[&RECORD_LEN, &"n", &"payload"]),
    ];
    assert_eq!(columns(&document(), "record", 3), expected);
}

#[test]
fn the_tags_are_those_that_the_card_knows() {
    let config: usize = REGISTERS.iter().map(|register| register.len).sum();
    let port: usize = PORT_FIELDS.iter().map(|field| field.2).sum();
    let counters: usize = COUNTERS_FIELDS.iter().map(|field| field.2).sum();
    let mut expected = Vec::new();
    for tag in 0..=u16::MAX {
        let lengths = match tag {
            CONFIG => config.to_string(),
            PORT => format!("{port}-{}", port + 16 * 3),
            COUNTERS => format!("{counters} or {}", 2 * counters),
            _ => String::new(),
        };
        let known: Vec<_> = VERSIONS
            .filter_map(|version| Some((version, Card::kind(version, tag)?)))
            .collect();
        if let [(since, kind), later @ ..] = &known[..] {
            assert!(lengths.ends_with(&kind.longest.to_string()));
            assert!(later.iter().all(|(_, later)| later == kind));
            assert_eq!(known.len(), usize::from(NEWEST + 1 - since));
            expected.push([
                format!("{tag:#06x}"),
                kind.name.into(),
                since.to_string(),
                format!("{:#x}", kind.flags),
                lengths,
            ]);
        }
    }
    let end = (END_LEN - RECORD_LEN).to_string();
    expected.push([
        format!("{END:#06x}"),
        "END".into(),
        OLDEST.to_string(),
        format!("{MANDATORY:#x}"),
        end,
    ]);
    assert_eq!(columns(&document(), "tags", 5), expected);
}

#[test]
fn config_has_the_fields_of_the_table() {
    let mut at = 0;
    let mut expected = Vec::new();
    for register in &REGISTERS {
        let offset = format!("{:#04x}", register.offset);
        expected.push(row(&[
            &at,
            &register.len,
            &register.name,
            &offset,
            &register.allowed,
        ]));
        at += register.len;
    }
    assert_eq!(table(&document(), "config"), expected);
}

/// Compares fields that follow one another with a table.
fn has_the_fields(fields: &[(&str, usize, usize)], name: &str) {
    let mut at = 0;
    let mut expected = Vec::new();
    for (name, offset, size) in fields {
        assert_eq!(*offset, at);
        expected.push(row(&[offset, size, name]));
        at += size;
    }
    assert_eq!(columns(&document(), name, 3), expected);
}

#[test]
fn port_has_the_fields_of_the_table() {
    has_the_fields(&PORT_FIELDS, "port");
}

#[test]
fn counters_has_the_fields_of_the_table() {
    has_the_fields(&COUNTERS_FIELDS, "counters");
}

/// The card of the example.
fn example() -> Card {
    let mut card = Card::new(Ports::One, Abi::NEWEST);
    card.config_write(0x04, &0x0405_u16.to_le_bytes());
    card.config_write(0x10, &0xc040_u32.to_le_bytes());
    card.config_write(0x3c, &[11]);
    card.config_write(0x44, &0xfee0_1000_u32.to_le_bytes());
    card.config_write(0x4c, &0x0022_u16.to_le_bytes());
    card.config_write(0x42, &[0x81, 0x00]);
    for (register, value) in [
        (3, 0x83),
        (0, 0x01),
        (3, 0x13),
        (2, 0x81),
        (4, 0x0b),
        (1, 0x05),
    ] {
        card.io_write(register, &[value]);
    }
    card.io_read(6, &mut [0]);
    for character in b"ok\n" {
        card.io_write(0, &[*character]);
    }
    card
}

/// A stream, field by field.
fn dump(bytes: &[u8]) -> String {
    let plain = Plain::read(bytes);
    let mut fields = vec![
        (8, String::from("magic")),
        (2, format!("version: {}", plain.version)),
        (2, format!("string_length: {}", plain.string.len())),
        (4, String::from("reserved")),
    ];
    for part in plain.string.chunks(8) {
        fields.push((part.len(), String::from_utf8_lossy(part).into()));
    }
    for record in &plain.records {
        let name = Card::kind(plain.version, record.tag).expect("known").name;
        fields.push((2, format!("tag: {name}")));
        fields.push((2, String::from("flags: MANDATORY")));
        fields.push((4, format!("length: {}", record.payload.len())));
        if record.tag == CONFIG {
            for register in &REGISTERS {
                fields.push((register.len, register.name.into()));
            }
            continue;
        }
        if record.tag == COUNTERS {
            for (name, _, size) in COUNTERS_FIELDS {
                fields.push((size, name.into()));
            }
            continue;
        }
        for (name, _, size) in PORT_FIELDS {
            fields.push((size, name.into()));
        }
        for pair in record.payload[13..].chunks(2) {
            fields.push((2, format!("rx_value, rx_errors: {:?}", char::from(pair[0]))));
        }
    }
    fields.push((2, String::from("tag: END")));
    fields.push((2, String::from("flags: MANDATORY")));
    fields.push((4, String::from("length: 4")));
    fields.push((4, String::from("checksum")));

    let mut at = 0;
    let mut text = String::new();
    for (size, meaning) in fields {
        let hex: Vec<_> = bytes[at..at + size]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        text += &format!("{at:04x}  {:23}  {meaning}\n", hex.join(" "));
        at += size;
    }
    assert_eq!(at, bytes.len());
    text
}

#[test]
fn the_example_is_what_a_card_saves() {
    for version in VERSIONS {
        let shown = block(&document(), &format!("example {version}"));
        assert_eq!(shown, dump(&save_as(version, &example())));
    }
}

#[test]
fn the_example_loads() {
    for version in VERSIONS {
        let text = block(&document(), &format!("example {version}"));
        let bytes: Vec<u8> = text
            .lines()
            .flat_map(|line| line[6..29].split_whitespace())
            .map(|byte| u8::from_str_radix(byte, 16).expect(byte))
            .collect();
        assert_eq!(load(Ports::One, &bytes).card(), as_of(version, &example()));
    }
}

#[test]
fn the_checksum_is_the_one_of_rfc_3720() {
    assert!(document().contains("``123456789`` is 0xe3069283"));
    assert_eq!(checksum(0, b"123456789"), 0xe306_9283);
    // Appendix B.4: 32 bytes of zeros, of ones, counting up and counting down. It writes the CRC as it is sent.
    let up: Vec<u8> = (0..32).collect();
    let down: Vec<u8> = (0..32).rev().collect();
    let examples: [(&[u8], [u8; 4]); 4] = [
        (&[0; 32], [0xaa, 0x36, 0x91, 0x8a]),
        (&[0xff; 32], [0x43, 0xab, 0xa8, 0x62]),
        (&up, [0x4e, 0x79, 0xdd, 0x46]),
        (&down, [0x5c, 0xdb, 0x3f, 0x11]),
    ];
    for (bytes, sum) in examples {
        assert_eq!(checksum(0, bytes).to_le_bytes(), sum);
        let (left, right) = bytes.split_at(11);
        assert_eq!(checksum(checksum(0, left), right).to_le_bytes(), sum);
    }
}
