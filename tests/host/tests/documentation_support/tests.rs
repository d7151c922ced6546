// SPDX-License-Identifier: GPL-2.0-only

//! Tests that a document names: what it says of them, and whether they are there.

use super::read;

/// A test that holds a promise, as an item of a list in one line names it: its file and its name.
pub fn held_by(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("- ``")?
        .strip_suffix("``")?
        .split_once("``: ``")
}

/// Whether a file has a test of this name: a function, a scenario of Python or of a shell, or what a program prints.
pub fn has(file: &str, name: &str) -> bool {
    let text = read(file);
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let quoted = format!("\"{name}\"");
    let is_there = match file.rsplit_once('.') {
        Some((_, "rs")) if name.chars().all(is_word) => {
            // A program that gives names of their own to its cases has them as texts.
            text.contains(&format!("fn {name}(")) || text.contains(&format!("{quoted},"))
        }
        Some((_, "py")) => text.contains(&format!("\ndef {name}(")),
        _ => text.contains(&quoted),
    };
    // In these, a case is what is listed, not what is defined.
    let is_listed = ["tests/vfio-client/", "tests/faults/"]
        .iter()
        .all(|program| !file.starts_with(program))
        || text.contains(&format!("\n    {name},\n"));
    is_there && is_listed
}
