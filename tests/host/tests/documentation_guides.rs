// SPDX-License-Identifier: GPL-2.0-only

//! The guides say what the code does, where that can be told without a kernel: their programs run, their tables are
//! complete, and what they name is there. Their commands are typed by tests/guides/replay.

#[allow(dead_code)]
#[path = "documentation_support/mod.rs"]
mod support;

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    process::{
        Command,
        Stdio, //
    },
    thread, //
};

use migver::{
    check,
    Class,
    Refusal,
    Version, //
};
use support::{
    dangling,
    read,
    table,
    top, //
};

const OPERATORS: &str = "Documentation/guide-operators.rst";
const UPGRADE: &str = "Documentation/guide-upgrade.rst";
const MANAGEMENT: &str = "Documentation/guide-management.rst";

// The example of the guide begins here.
/// What to tell who asked for a migration.
enum Answer {
    Yes,
    No {
        class: &'static str,
        reasons: String,
    },
}

/// Weighs the string of a source against that of a destination.
fn decide(source: &[u8], destination: &[u8]) -> Result<Answer, migver::ParseError> {
    // A destination is read once, whatever number of sources is weighed against it.
    let destination = migver::Version::parse(destination)?;
    Ok(match migver::check(source, &destination) {
        Ok(()) => Answer::Yes,
        Err(refusal) => Answer::No {
            class: refusal.class().name(),
            reasons: refusal.to_string(),
        },
    })
}
// It ends here.

/// The code under a line, without its indentation.
fn code(document: &str, language: &str) -> String {
    let opening = format!(".. code-block:: {language}");
    let mut lines = document
        .lines()
        .skip_while(|line| *line != opening)
        .skip(2)
        .peekable();
    let mut code = String::new();
    while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with("    ")) {
        code += line.strip_prefix("    ").unwrap_or(line);
        code += "\n";
    }
    code.trim_end().to_owned()
}

#[test]
fn the_example_in_rust_is_the_code_here() {
    let (_, code_here) = include_str!("documentation_guides.rs")
        .split_once("begins here.\n")
        .unwrap();
    let (code_here, _) = code_here.split_once("\n// It ends").unwrap();
    assert_eq!(code(&read(MANAGEMENT), "rust"), code_here);
}

#[test]
fn the_example_in_rust_decides() {
    let old = b"migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:2";
    let new = b"migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,param.ports=eq:2";
    assert!(matches!(decide(old, new), Ok(Answer::Yes)));
    let Ok(Answer::No { class, reasons }) = decide(new, old) else {
        panic!("a downgrade was taken");
    };
    assert_eq!(class, "version");
    assert!(
        reasons.starts_with("abi: source 1.1, destination 1.0: "),
        "{reasons}"
    );
    assert!(decide(new, b"nonsense").is_err());
}

/// What the library says of a pair: the errno, and the fields of all reasons.
fn ours(source: &[u8], destination: &Version<'_>) -> String {
    match check(source, destination) {
        Ok(()) => "live".to_owned(),
        Err(Refusal::Unreadable(error)) => error.class().errno_name().to_owned(),
        Err(Refusal::Incompatible(verdict)) => {
            let reasons: BTreeSet<_> = verdict
                .reasons()
                .map(|reason| format!("{} {}", reason.class().errno_name(), reason.field))
                .collect();
            Vec::from_iter(reasons).join(";")
        }
    }
}

/// Reads pairs in hexadecimal, one a line, and answers as [`ours`].
const ANSWER: &str = r#"
import sys
for line in sys.stdin:
    source, destination = (bytes.fromhex(word).decode("latin-1") for word in line.split("-"))
    destination = parse(destination)
    try:
        print(";".join(sorted({f"{errno} {field}" for errno, field in compare(parse(source), destination)})) or "live")
    except Refused as refusal:
        print(refusal)
"#;

/// Every string and every text that a document or the fuzzers' corpus has, and each with one byte changed.
fn texts() -> BTreeSet<Vec<u8>> {
    let document = read("Documentation/migration-version.rst");
    let mut texts: BTreeSet<Vec<u8>> = document
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .filter(|word| word.starts_with("migver:"))
        .map(|word| word.as_bytes().to_vec())
        .collect();
    assert!(texts.len() > 20);
    for text in texts.clone() {
        for at in 0..text.len() {
            let mut without = text.clone();
            let byte = without.remove(at);
            texts.insert(without);
            for other in b"01a=,+:\n\xff".iter().filter(|other| **other != byte) {
                let mut changed = text.clone();
                changed[at] = *other;
                texts.insert(changed);
            }
        }
        texts.insert([&text[..], b"\n"].concat());
        texts.insert([&text[..], b"\n\n"].concat());
        texts.insert([&text[..], &[b'1'; 1023]].concat());
    }
    for entry in fs::read_dir(top().join("tests/fuzz/corpus/parse")).unwrap() {
        texts.insert(fs::read(entry.unwrap().path()).unwrap());
    }
    texts
}

#[test]
fn the_example_in_python_agrees_with_the_library() {
    let texts = texts();
    let fit_to_compare: Vec<&Vec<u8>> = texts
        .iter()
        .filter(|text| Version::parse(text).is_ok())
        .collect();
    let first = fit_to_compare[0];
    // Each text as a source, and some of those that can be read with every other.
    let few: Vec<_> = fit_to_compare.iter().step_by(101).copied().collect();
    let pairs: Vec<(&Vec<u8>, &Vec<u8>)> = texts
        .iter()
        .map(|text| (text, first))
        .chain(
            few.iter()
                .flat_map(|source| few.iter().map(|destination| (*source, *destination))),
        )
        .collect();
    assert!(pairs.len() > 10_000, "{}", pairs.len());

    let program = code(&read(MANAGEMENT), "python") + ANSWER;
    let mut python = Command::new("python3")
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 can be run");
    let hexadecimal = |text: &[u8]| {
        let digits: Vec<_> = text.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.concat()
    };
    let lines: Vec<_> = pairs
        .iter()
        .map(|(source, destination)| {
            format!("{}-{}\n", hexadecimal(source), hexadecimal(destination))
        })
        .collect();
    let mut stdin = python.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(lines.concat().as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let mut seen = BTreeSet::new();
    let mut count = 0;
    for ((source, destination), theirs) in pairs.iter().zip(answers.lines()) {
        let ours = ours(source, &Version::parse(destination).unwrap());
        let shown = source.escape_ascii();
        assert_eq!(theirs, ours, "{shown} to {}", destination.escape_ascii());
        seen.insert(ours.split(' ').next().unwrap().to_owned());
        count += 1;
    }
    assert_eq!(count, pairs.len(), "every pair has an answer");
    let mut all = BTreeSet::from(Class::ALL.map(|class| class.errno_name().to_owned()));
    all.insert("live".to_owned());
    assert_eq!(seen, all, "every kind of answer was given");
}

fn column(document: &str, name: &str) -> Vec<String> {
    let rows = table(&read(document), name);
    rows.into_iter().map(|row| row[0].clone()).collect()
}

#[test]
fn the_tables_of_errors_are_complete_and_in_order() {
    let errnos = Class::ALL.map(Class::errno_name);
    assert_eq!(column(OPERATORS, "errors of migration_version"), errnos);
    assert_eq!(column(MANAGEMENT, "errors"), errnos);
}

#[test]
fn the_table_of_an_inventory_has_its_fields() {
    let mut fields = BTreeSet::new();
    for node in ["node1", "node3"] {
        let inventory = read(&format!("tests/guides/fleet/{node}.json"));
        for line in inventory.lines() {
            if let Some((name, _)) = line
                .trim()
                .strip_prefix('"')
                .and_then(|line| line.split_once("\":"))
            {
                fields.insert(name.to_owned());
            }
        }
    }
    let table = column(MANAGEMENT, "inventory");
    assert_eq!(BTreeSet::from_iter(table), fields);
}

#[test]
fn the_table_of_the_configuration_has_its_keys() {
    let keys: Vec<_> = read("tools/install/libvirt-hook.toml")
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once(" = "))
        .map(|(key, _)| key.to_owned())
        .filter(|key| !key.contains(' '))
        .collect();
    assert!(keys.len() > 5);
    assert_eq!(column(OPERATORS, "configuration"), keys);
}

#[test]
fn no_command_is_shown_that_is_not_tried() {
    for guide in [OPERATORS, UPGRADE, MANAGEMENT] {
        let (mut tried, mut commands) = (false, 0);
        for line in read(guide).lines() {
            if line.starts_with("    # ") {
                assert!(tried, "{guide}: {line}");
                commands += 1;
            } else if !line.is_empty() && !line.starts_with(' ') && line != "::" {
                tried = line.starts_with(".. session ");
            }
        }
        assert!(commands >= 7, "{guide}: {commands}");
    }
}

#[test]
fn every_file_they_name_is_there() {
    for guide in [OPERATORS, UPGRADE, MANAGEMENT] {
        assert_eq!(dangling(&read(guide)), [""; 0], "{guide}");
    }
}

#[test]
fn a_file_that_is_not_there_would_be_noticed() {
    assert_eq!(dangling("``tests/none`` ``tests/run``"), ["tests/none"]);
}
