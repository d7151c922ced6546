// SPDX-License-Identifier: GPL-2.0-only

//! The document on the design names tests and files that are there.

#[allow(dead_code)]
#[path = "documentation_support/mod.rs"]
mod support;

use support::{
    dangling,
    read,
    tests::{
        has,
        held_by, //
    }, //
};

const DOCUMENT: &str = "Documentation/design.rst";

/// The document, with each item of a list in one line.
fn document() -> String {
    read(DOCUMENT).replace("\n  ", " ")
}

#[test]
fn every_test_it_names_is_there() {
    let document = document();
    let tests: Vec<_> = document.lines().filter_map(held_by).collect();
    let items = document.matches("\n- ``").count();
    assert!(tests.len() > 30 && tests.len() == items, "{}", tests.len());
    for (file, name) in tests {
        assert!(has(file, name), "{file} has no test {name}");
    }
}

#[test]
fn a_test_that_is_not_there_would_be_noticed() {
    assert!(!has(
        "tests/host/tests/migver_properties.rs",
        "a_device_fits"
    ));
    assert!(!has("tests/guest/pci_cards.sh", "each is a par"));
    assert!(!has("tests/management/saving.py", "device_refused"));
}

#[test]
fn each_of_the_nine_rules_is_held_by_tests() {
    let document = document();
    let mut rules = Vec::new();
    let lines: Vec<_> = document.lines().collect();
    for pair in lines.windows(2) {
        let [title, line] = pair else { continue };
        if line.starts_with("---") {
            rules.push((title.split_once(". ").map(|(number, _)| number), 0));
        } else if line.starts_with("===") {
            // The chapter on the contract ends here.
            if !rules.is_empty() {
                break;
            }
        } else if let (Some(_), Some((_, tests))) = (held_by(line), rules.last_mut()) {
            *tests += 1;
        }
    }
    let numbers: Vec<_> = rules.iter().filter_map(|(number, _)| *number).collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    for (number, tests) in rules {
        assert!(tests >= 2, "rule {number:?} is held by {tests}");
    }
}

#[test]
fn every_file_it_names_is_there() {
    assert_eq!(dangling(&read(DOCUMENT)), [""; 0]);
}
