// SPDX-License-Identifier: GPL-2.0-only

//! A matrix as one page that needs nothing else: no script, no picture, no other file.

use super::{
    matrix::Counted,
    Matrix,
    Row, //
};

use std::{
    fmt,
    io::{
        self,
        Write, //
    },
};

/// What the page looks like. The colours follow what the reader has the browser set to.
const STYLE: &str = include_str!("page.css");

/// Writes the page.
///
/// What came from an inventory is written as text, whatever is in it; the page forbids itself to run or to fetch
/// anything.
///
/// # Errors
///
/// Those of `out`.
pub fn page(matrix: &Matrix<'_>, out: &mut dyn Write) -> io::Result<()> {
    let hosts = {
        let mut hosts: Vec<_> = matrix
            .rows()
            .iter()
            .flat_map(|row| row.members.iter().map(|member| member.host))
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts.len()
    };
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Migration matrix</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Migration matrix</h1>\n\
         <p>{} on {}. A row is a source, a column is a destination. \
         Open a refusal to read every reason.</p>\n",
        Counted(matrix.rows().len(), "version string"),
        Counted(hosts, "host")
    )?;
    cells(matrix, out)?;
    legend(matrix, out)?;
    out.write_all(b"</body>\n</html>\n")
}

fn cells(matrix: &Matrix<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"<div class=\"scroll\">\n<table class=\"matrix\">\n<thead><tr><td></td>")?;
    for (number, row) in matrix.destinations() {
        head(number, row, "col", out)?;
    }
    out.write_all(b"</tr></thead>\n<tbody>\n")?;
    for (source, from) in matrix.sources() {
        out.write_all(b"<tr>")?;
        head(source, from, "row", out)?;
        for (destination, to) in matrix.destinations() {
            let Some(why) = from.weigh(to) else {
                write!(
                    out,
                    "<td class=\"yes\" title=\"{source} fits {destination}\">\u{2713}</td>"
                )?;
                continue;
            };
            let reasons = why.reasons();
            write!(
                out,
                "<td class=\"no\" title=\"{}\"><details><summary>{}</summary><ul>",
                Escaped(&reasons.join("\n")),
                why.mark()
            )?;
            for reason in &reasons {
                write!(out, "<li>{}</li>", Escaped(reason))?;
            }
            out.write_all(b"</ul></details></td>")?;
        }
        out.write_all(b"</tr>\n")?;
    }
    out.write_all(b"</tbody>\n</table>\n</div>\n")
}

fn head(number: usize, row: &Row<'_>, scope: &str, out: &mut dyn Write) -> io::Result<()> {
    write!(
        out,
        "<th scope=\"{scope}\"><a href=\"#s{number}\" title=\"{}\">{number}</a></th>",
        Escaped(row.text)
    )
}

fn legend(matrix: &Matrix<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"<h2>Strings</h2>\n<dl>\n")?;
    for (number, row) in (1_usize..).zip(matrix.rows()) {
        write!(
            out,
            "<dt id=\"s{number}\">{number} <code>{}</code></dt>\n<dd>",
            Escaped(row.text)
        )?;
        if let Some(error) = row.unreadable() {
            write!(out, "<p class=\"unreadable\">{}</p>", Escaped(&error))?;
        }
        write!(out, "<details><summary>{}</summary><ul>", row.count())?;
        for member in &row.members {
            write!(
                out,
                "<li>{} <code>{}</code>",
                Escaped(member.host),
                Escaped(&member.to_string())
            )?;
            if let Some(available) = member.available() {
                write!(out, " {available} available")?;
            }
            out.write_all(b"</li>")?;
        }
        out.write_all(b"</ul></details></dd>\n")?;
    }
    out.write_all(b"</dl>\n")
}

/// A text as HTML has it, in an element and in an attribute between double quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            '\n' => f.write_str("&#10;"),
            other => write!(f, "{other}"),
        })
    }
}
