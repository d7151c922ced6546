// SPDX-License-Identifier: GPL-2.0-only

//! The document on version strings says what the code does: every example in it is tried, and its
//! grammar takes what the code takes.

#[path = "migver_support/abnf.rs"]
mod abnf;

use std::{
    collections::BTreeSet,
    fs,
    path::Path, //
};

use abnf::Grammar;
use migver::{
    check,
    compare,
    Class,
    Expected,
    Fault,
    ParseError,
    Refusal,
    Side,
    Version,
    MAX_LEN,
    MAX_NAME_LEN, //
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select, //
};

fn document() -> String {
    read("migration-version.rst")
}

fn read(document: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../Documentation")
        .join(document);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The literal blocks that stand under lines which end like `opening`.
fn blocks(document: &str, opening: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines().peekable();
    while let Some(line) = lines.next() {
        if line != opening {
            continue;
        }
        let mut block = String::new();
        while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with("    ")) {
            block += line;
            block += "\n";
        }
        blocks.push(block);
    }
    blocks
}

fn grammar() -> Grammar {
    let blocks = blocks(&document(), ".. code-block:: abnf");
    assert_eq!(blocks.len(), 1);
    Grammar::read(&blocks[0])
}

/// An example: what is asked, and what the document says is answered.
#[derive(Debug, Default)]
struct Example {
    text: Option<String>,
    source: Option<String>,
    destination: Option<String>,
    verdict: Option<String>,
    errno: Option<String>,
    reasons: Vec<String>,
}

impl Example {
    /// Reads a block whose lines each begin with what they are, or [`None`] for other blocks.
    fn read(block: &str) -> Option<Self> {
        let mut example = Self::default();
        for line in block.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (what, value) = line.split_once("  ")?;
            let value = value.trim().to_string();
            match what {
                "text" => example.text = Some(value),
                "source" => example.source = Some(value),
                "destination" => example.destination = Some(value),
                "verdict" => example.verdict = Some(value),
                "errno" => example.errno = Some(value),
                "reason" | "" => example.reasons.push(value),
                other => panic!("an example has no {other}"),
            }
        }
        Some(example)
    }

    /// Asks the code, and returns the errno that it gives, if any.
    fn try_out(self) -> Option<String> {
        let shown = format!("{self:?}");
        let verdict = self.verdict.expect("an example has a verdict");
        let (kind, errno, reasons) = match (self.text, self.source, self.destination) {
            (Some(text), None, None) => {
                let error = Version::parse(text.as_bytes()).expect_err(&shown);
                let reasons = vec![error.to_string()];
                (
                    Refusal::Unreadable(error).kind(),
                    Some(error.class()),
                    reasons,
                )
            }
            (None, Some(source_text), Some(destination)) => {
                let source = Version::parse(source_text.as_bytes()).expect(&shown);
                let destination = Version::parse(destination.as_bytes()).expect(&shown);
                let verdict = compare(&source, &destination);
                let checked = check(source_text.as_bytes(), &destination);
                let class = checked.err().map(|refusal| refusal.class());
                assert_eq!(class, verdict.class(), "{shown}");
                let reasons = verdict.reasons().map(|reason| reason.to_string());
                (verdict.kind(), class, reasons.collect())
            }
            _ => panic!("an example has a text, or a source and a destination: {shown}"),
        };
        let errno = errno.map(|class| class.errno_name().to_string());
        assert_eq!(kind.name(), verdict, "{shown}");
        assert_eq!(errno, self.errno, "{shown}");
        assert_eq!(reasons, self.reasons, "{shown}");
        errno
    }
}

#[test]
fn every_example_is_true() {
    let mut errnos = BTreeSet::new();
    let mut strings = 0;
    for block in blocks(&document(), "::") {
        match Example::read(&block) {
            Some(example) => {
                errnos.insert(example.try_out());
            }
            None => {
                let text = block.trim();
                let version = Version::parse(text.as_bytes());
                assert!(
                    version.is_ok_and(|version| version.to_string() == text),
                    "{text}"
                );
                strings += 1;
            }
        }
    }
    assert_eq!(strings, 1);
    // A string that is too long would not fit a page.
    let mut expected = BTreeSet::from(Class::ALL.map(|class| Some(class.errno_name().to_string())));
    expected.remove(&Some(Class::TooLong.errno_name().into()));
    expected.insert(None);
    assert_eq!(errnos, expected);
}

#[test]
fn the_numbers_in_the_text_are_those_of_the_code() {
    let document = document();
    for claim in [
        format!("A string has at most {MAX_LEN} bytes."),
        format!("A name has at most {MAX_NAME_LEN} bytes."),
        format!("1*{MAX_NAME_LEN}("),
        format!("A number is at most {}; ", u32::MAX),
        format!("{}.", u64::MAX),
        format!("more than {MAX_LEN} bytes"),
    ] {
        assert!(document.contains(&claim), "{claim}");
    }
}

#[test]
fn the_table_of_errors_is_that_of_the_code() {
    let document = document();
    let rows: Vec<_> = document
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (class, errno) = (words.next()?, words.next()?);
            let known = Class::ALL.iter().any(|known| known.name() == class);
            (known && errno.starts_with('E')).then(|| (class.to_string(), errno.to_string()))
        })
        .collect();
    let expected: Vec<_> = Class::ALL
        .iter()
        .map(|class| (class.name().to_string(), class.errno_name().to_string()))
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_table_of_faults_is_that_of_the_code() {
    let document = document();
    let both = |fault: fn(Side) -> Fault| Side::ALL.map(fault);
    let faults = [
        &[Fault::Different][..],
        &both(Fault::TooOld),
        &both(Fault::TooSmall),
        &both(Fault::Missing),
        &[Fault::Dropped],
    ]
    .concat();
    let rows: Vec<_> = document
        .lines()
        .skip_while(|line| !line.starts_with("Fault  "))
        .skip(2)
        .take_while(|line| !line.starts_with("=="))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let expected: Vec<_> = faults
        .iter()
        .map(|fault| {
            let side = fault.side().map_or("neither", Side::name);
            format!("{} {side} {fault}", fault.name())
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_table_of_the_abi_has_the_errors_in_order_of_precedence() {
    let document = read("ABI/testing/sysfs-bus-mdev-migdev");
    // The first table is that of the errors.
    let rows: Vec<_> = document
        .lines()
        .skip_while(|line| !line.trim_start().starts_with("==="))
        .skip(1)
        .take_while(|line| !line.trim_start().starts_with("==="))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| Class::ALL.iter().any(|class| class.errno_name() == *word))
        .collect();
    assert_eq!(rows, Class::ALL.map(Class::errno_name));
}

#[test]
fn the_grammar_is_closed() {
    assert_eq!(grammar().undefined(), BTreeSet::new());
}

/// Whether an error is about one of the rules that the document says are not in the grammar.
fn is_outside_the_grammar(error: &ParseError) -> bool {
    match *error {
        ParseError::TooLong { .. } => true,
        // The grammar has a rule for these, to which it is not bound.
        ParseError::Schema { .. } => true,
        ParseError::Malformed {
            expected, found, ..
        } => match expected {
            Expected::Ascending | Expected::Range | Expected::Taken => true,
            // A number that is canonical, and too large.
            Expected::Number32 | Expected::Number64 => {
                found.is_some_and(|byte| byte.is_ascii_digit())
            }
            Expected::Name => found.is_some_and(|byte| byte.is_ascii_alphanumeric()),
            _ => false,
        },
    }
}

fn assert_agreement(grammar: &Grammar, text: &[u8]) {
    let shown = String::from_utf8_lossy(text);
    match Version::parse(text) {
        Ok(_) => assert!(grammar.matches("schema-1", text), "{shown}"),
        Err(error @ ParseError::Schema { .. }) => {
            assert!(grammar.matches("other-schema", text), "{shown}: {error}");
        }
        Err(error) => {
            // In the grammar and refused: then it is for a rule that is not in the grammar.
            if grammar.matches("schema-1", text) {
                assert!(is_outside_the_grammar(&error), "{shown}: {error}");
            }
        }
    }
}

/// Texts in and near the grammar.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let heads = &[
        "migver:1,vendor=a,model=a,abi=1.0,stream=1:0-2",
        "migver:1,vendor=a,model=a,abi=1.0",
        "migver:1,vendor=a",
        "migver:",
        "",
    ];
    let pieces = &[
        "1",
        "0",
        "10",
        "4294967296",
        "99999999999999999999",
        "migver:2,",
        ",model=",
        ",stream=",
        ",needs=a",
        ",takes=a",
        ",needs=",
        ",takes=",
        "+b",
        "+",
        ",param.",
        ",param.a=eq:",
        "=le:0",
        "=ge:",
        ",ext.",
        ",ext.a=may:",
        "=must:x",
        "a",
        "b",
        "c-d",
        "-",
        ".",
        "_",
        ":",
        ",",
        "=",
        "A",
        "/",
        "\n",
    ];
    (select(&heads[..]), vec(select(&pieces[..]), 0..8))
        .prop_map(|(head, pieces)| format!("{head}{}", pieces.concat()).into_bytes())
}

#[test]
fn the_grammar_takes_what_the_code_takes() {
    let grammar = grammar();
    let config = ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(text in text())| {
        // A newline at the end is not part of the string.
        let mut string = text.as_slice();
        while let [rest @ .., b'\n'] = string {
            string = rest;
        }
        assert_agreement(&grammar, string);
    });
}

#[test]
fn the_grammar_and_the_code_break_a_string_at_the_same_bytes() {
    let grammar = grammar();
    let text = b"migver:1,vendor=a.b,model=c,abi=1.0,stream=1:1-1,needs=a,takes=a+b-c,\
                 param.p=eq:10,param.q=le:0,ext.e=may:A+b:1,ext.f=must:0";
    assert!(grammar.matches("version-string", text));
    for at in 0..text.len() {
        assert_agreement(&grammar, &text[..at]);
        for byte in b"09az.-+,:=_A\xff" {
            let mut changed = text.to_vec();
            changed[at] = *byte;
            assert_agreement(&grammar, &changed);
            changed = text.to_vec();
            changed.insert(at, *byte);
            assert_agreement(&grammar, &changed);
        }
    }
}
