// SPDX-License-Identifier: GPL-2.0-only

//! A table of plain columns, as wide as what is in them.

use crate::style::Palette;

use std::io::{
    self,
    Write, //
};

/// Rows of text under a head.
#[derive(Clone, Debug)]
pub struct Table<const N: usize> {
    head: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    pub const fn new(head: [&'static str; N]) -> Self {
        Self {
            head,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the table: the head, then each row, with two spaces between columns and none at the end of a line.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write, style: Palette) -> io::Result<()> {
        let mut widths = self.head.map(str::len);
        for row in &self.rows {
            for (width, text) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.chars().count());
            }
        }
        let head = line(&widths, &self.head.map(str::to_owned));
        writeln!(out, "{}", style.heading(head))?;
        for row in &self.rows {
            writeln!(out, "{}", line(&widths, row))?;
        }
        Ok(())
    }
}

fn line(widths: &[usize], row: &[String]) -> String {
    let mut line = String::new();
    for (width, text) in widths.iter().zip(row) {
        line.push_str(&format!("{text:width$}  "));
    }
    line.truncate(line.trim_end().len());
    line
}
