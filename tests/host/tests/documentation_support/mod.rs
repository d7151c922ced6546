// SPDX-License-Identifier: GPL-2.0-only

//! What the tests of the documents share: the documents, and the paths and the tests that they name.

pub mod tests;

use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    }, //
};

/// The project's directory.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads a file of the project.
pub fn read(path: &str) -> String {
    let path = top().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The texts between double backticks.
pub fn literals(document: &str) -> impl Iterator<Item = &str> {
    document.split("``").skip(1).step_by(2)
}

/// The paths that a document names in this project and that are not there.
pub fn dangling(document: &str) -> Vec<&str> {
    const ROOTS: [&str; 4] = ["src/", "tests/", "tools/", "Documentation/"];
    literals(document)
        .filter(|text| !text.contains([' ', '*', '<']))
        .filter(|text| {
            let path = if text.ends_with(".rst") || text.starts_with("ABI/") {
                top().join("Documentation").join(text)
            } else if ROOTS.iter().any(|root| text.starts_with(root)) {
                top().join(text)
            } else {
                return false;
            };
            !path.exists()
        })
        .collect()
}

/// The first columns of the table that stands under a line `.. table NAME`.
pub fn table(document: &str, name: &str) -> Vec<Vec<String>> {
    let mut lines = document
        .lines()
        .skip_while(|line| *line != format!(".. table {name}"))
        .skip_while(|line| !line.starts_with("=="));
    let rule = lines.next().unwrap_or_else(|| panic!("no table {name}"));
    let first = rule.find(' ').unwrap_or(rule.len());
    lines
        .skip(2)
        .take_while(|line| !line.starts_with("=="))
        .filter_map(|line| {
            let (name, rest) = line.split_at_checked(first).unwrap_or((line, ""));
            let row = vec![name.trim().to_owned(), rest.trim().to_owned()];
            // A row without a first column goes on with the one before.
            (!name.trim().is_empty()).then_some(row)
        })
        .collect()
}
