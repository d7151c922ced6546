// SPDX-License-Identifier: GPL-2.0-only

//! What is written: strings of devices that could be, strings with something wrong, and what is no string at all.

use std::collections::{
    BTreeMap,
    BTreeSet, //
};

use migver::{
    Version,
    MAX_LEN, //
};

use crate::random::Random;

/// Makes a text for a place that says `own`, where the strings `known` are about. It is never empty: that is not handed
/// to a driver.
pub fn text(random: &mut Random, own: &str, known: &[String]) -> Vec<u8> {
    let start = if random.once_in(4) {
        known[random.below(known.len())].as_str()
    } else {
        own
    };
    let mut text = match random.below(16) {
        0..=6 => varied(random, start).into_bytes(),
        7..=9 => {
            let whole = varied(random, start).into_bytes();
            damaged(random, whole)
        }
        10 | 11 => shuffled(random, start).into_bytes(),
        12 => other_schema(random, start).into_bytes(),
        13 => garbage(random),
        14 => long(random, start).into_bytes(),
        _ => start.as_bytes().to_vec(),
    };
    match random.below(8) {
        0..=3 => text.push(b'\n'),
        4 if random.once_in(4) => text.extend_from_slice(b"\n\n"),
        5 if random.once_in(4) => text.extend_from_slice(b"\r\n"),
        _ => (),
    }
    if text.is_empty() {
        text.push(b'\n');
    }
    text
}

/// A device like the one of a string, but for a few things.
fn varied(random: &mut Random, start: &str) -> String {
    let mut draft = Draft::of(start);
    for _ in 0..random.below(4) {
        draft.change(random);
    }
    draft.text()
}

/// A device, as parts of its string that need not go together.
struct Draft {
    names: [String; 2],
    abi: [u64; 2],
    stream: [u64; 3],
    needs: BTreeSet<String>,
    takes: BTreeSet<String>,
    parameters: BTreeMap<String, (String, u64)>,
    extensions: BTreeMap<String, (String, String)>,
}

impl Draft {
    fn of(text: &str) -> Self {
        let version = Version::parse(text.as_bytes()).expect("the kernel's own string is one");
        let (abi, stream) = (version.abi(), version.stream());
        Self {
            names: [version.vendor().into(), version.model().into()],
            abi: [abi.major, abi.minor].map(u64::from),
            stream: [stream.writes, stream.oldest, stream.newest].map(u64::from),
            needs: version.needs().map(String::from).collect(),
            takes: version.takes().map(String::from).collect(),
            parameters: version
                .parameters()
                .map(|item| (item.name.into(), (item.rule.as_str().into(), item.value)))
                .collect(),
            extensions: version
                .extensions()
                .map(|item| {
                    let value = (item.marking.as_str().into(), item.value.into());
                    (item.name.into(), value)
                })
                .collect(),
        }
    }

    fn change(&mut self, random: &mut Random) {
        let name = random
            .pick(&["a", "fifo64", "numa", "ports", "x.y-z"])
            .to_string();
        match random.below(14) {
            0 => {
                let name =
                    random.pick(&["migdev", "serial", "acme", "example.com", "Migdev", "a--b"]);
                self.names[random.below(2)] = name.into();
            }
            1 | 2 => near(random, &mut self.abi),
            3 | 4 => near(random, &mut self.stream),
            5 => {
                self.needs.insert(name.clone());
                self.takes.insert(name);
            }
            6 => drop(self.takes.insert(name)),
            7 => drop(self.needs.insert(name)),
            8 | 9 => {
                let mut value = [1 + u64::from(random.once_in(2))];
                if random.once_in(2) {
                    near(random, &mut value);
                }
                let rule = random.pick(&["eq", "eq", "le", "ge"]).into();
                let name = if random.once_in(3) {
                    name
                } else {
                    "ports".into()
                };
                self.parameters.insert(name, (rule, value[0]));
            }
            10 => drop(self.parameters.remove("ports")),
            11 | 12 => {
                let value = random.pick(&["0", "7.2-rc1", "A:b+c", "aes"]).into();
                let marking = random.pick(&["may", "may", "may", "must", "can"]).into();
                self.extensions.insert(name, (marking, value));
            }
            _ => drop(self.extensions.pop_first()),
        }
    }

    fn text(&self) -> String {
        let [writes, oldest, newest] = self.stream;
        let mut text = format!(
            "migver:1,vendor={},model={},abi={}.{},stream={writes}:{oldest}-{newest}",
            self.names[0], self.names[1], self.abi[0], self.abi[1],
        );
        for (field, names) in [("needs", &self.needs), ("takes", &self.takes)] {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            if !names.is_empty() {
                text += &format!(",{field}={}", names.join("+"));
            }
        }
        for (name, (rule, value)) in &self.parameters {
            text += &format!(",param.{name}={rule}:{value}");
        }
        for (name, (marking, value)) in &self.extensions {
            text += &format!(",ext.{name}={marking}:{value}");
        }
        text
    }
}

/// Changes one of some numbers, mostly by little.
fn near(random: &mut Random, numbers: &mut [u64]) {
    let number = &mut numbers[random.below(numbers.len())];
    *number = match random.below(12) {
        0..=3 => number.saturating_add(1),
        4..=7 => number.saturating_sub(1),
        8 => 0,
        9 => u32::MAX.into(),
        10 => u64::from(u32::MAX) + 1,
        _ => random.next() >> random.below(64),
    };
}

/// A text with one byte wrong, or two.
fn damaged(random: &mut Random, mut text: Vec<u8>) -> Vec<u8> {
    const BYTES: &[u8] = b"019azAZ.,:+-=_/ \t\n\0\x7f\x80\xff";
    for _ in 0..=random.below(2) {
        let at = random.below(text.len());
        let byte = BYTES[random.below(BYTES.len())];
        match random.below(5) {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            2 if text.len() > 1 => drop(text.remove(at)),
            3 => text.truncate(at.max(1)),
            _ => text.swap(at, at.saturating_sub(1)),
        }
    }
    text
}

/// The fields of a string, one of them left out, twice there, or elsewhere.
fn shuffled(random: &mut Random, start: &str) -> String {
    let mut fields: Vec<_> = start.split(',').collect();
    let at = random.below(fields.len());
    match random.below(3) {
        0 => drop(fields.remove(at)),
        1 => fields.insert(at, fields[at]),
        _ => fields.swap(at, 0),
    }
    fields.join(",")
}

fn other_schema(random: &mut Random, start: &str) -> String {
    let number = random.pick(&["0", "2", "01", "", "10", "4294967295", "4294967296", "-1"]);
    let rest = match random.below(4) {
        0 => "",
        1 => ",",
        2 => ",anything",
        _ => start.strip_prefix("migver:1").unwrap_or(start),
    };
    format!("migver:{number}{rest}")
}

fn garbage(random: &mut Random) -> Vec<u8> {
    let printable = random.once_in(2);
    (0..=random.below(80))
        .map(|_| {
            let byte = random.next().to_le_bytes()[0];
            if printable {
                b' ' + byte % 95
            } else {
                byte
            }
        })
        .collect()
}

/// A string of a length around the greatest that there can be, or around a page.
fn long(random: &mut Random, start: &str) -> String {
    const ELEMENT: usize = ",ext.p00=may:".len();
    let length = match random.below(8) {
        0..=5 => MAX_LEN - 3 + random.below(6),
        6 => 4096 - 2 + random.below(2),
        _ => 2000 + random.below(2000),
    };
    let mut text = start.to_string();
    for index in 0..100 {
        let left = length.saturating_sub(text.len());
        if left <= ELEMENT {
            break;
        }
        // What is left then is nothing, or enough for one more.
        let value = match left - ELEMENT {
            fits @ 1..=63 => fits,
            more if more - 63 > ELEMENT => 63,
            _ => 40,
        };
        text += &format!(",ext.p{index:02}=may:{}", "v".repeat(value));
    }
    text
}

/// Makes a text for a `migration_baseline` that says `now`.
pub fn baseline(random: &mut Random, now: &str, known: &[String]) -> Vec<u8> {
    let whole = match random.below(4) {
        0 => now,
        1 => known[random.below(known.len())].as_str(),
        _ => random.pick(&[
            "abi=1.2,stream=1",
            "abi=01.0,stream=1",
            "abi=1.1,stream=+2",
            "abi=1.00,stream=02",
            "abi=2.0,stream=2",
            "abi=1.1,stream=0",
            "abi=1.0,stream=4294967296",
        ]),
    };
    let (abi, stream) = whole.split_once(',').unwrap_or((whole, ""));
    let text = match random.below(6) {
        0 => abi.to_string(),
        1 => stream.to_string(),
        2 => format!("{stream},{abi}"),
        _ => whole.to_string(),
    };
    let mut text = text.into_bytes();
    if random.once_in(3) {
        text = damaged(random, text);
    }
    if random.once_in(2) {
        text.push(b'\n');
    }
    text
}
