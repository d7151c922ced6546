// SPDX-License-Identifier: GPL-2.0-only
//! The reports of several devices side by side: as a table for a terminal, as a page, and against a page.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;

use crate::cases::{all, AREAS};

/// What came of a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The device keeps the promise.
    Kept,
    /// It does not; the text says what was seen.
    Broken(String),
    /// It was not tried; the text says why.
    Skipped(String),
}

impl Verdict {
    /// The sign of it in a table.
    pub fn sign(&self) -> &'static str {
        match self {
            Verdict::Kept => "✓",
            Verdict::Broken(_) => "✗",
            Verdict::Skipped(_) => "–",
        }
    }
}

/// What is known of one device.
pub struct Column {
    /// Its heading.
    pub name: String,
    /// The kernels that it ran on.
    pub kernels: Vec<String>,
    verdicts: HashMap<String, Verdict>,
}

impl Column {
    /// Reads `NAME=FILE`, where the file is a report or several, one after the other; the last word on a case counts.
    ///
    /// # Errors
    ///
    /// A text for the person.
    pub fn read(argument: &str) -> Result<Self, String> {
        let (name, file) = argument
            .split_once('=')
            .ok_or(format!("{argument} is not NAME=FILE"))?;
        let text = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        Ok(Column::parse(name, &String::from_utf8_lossy(&text)))
    }

    /// Reads several.
    ///
    /// # Errors
    ///
    /// A text for the person.
    pub fn read_all(arguments: &[String]) -> Result<Vec<Self>, String> {
        arguments.iter().map(|text| Column::read(text)).collect()
    }

    fn parse(name: &str, text: &str) -> Self {
        let mut column = Column {
            name: name.to_owned(),
            kernels: Vec::new(),
            verdicts: HashMap::new(),
        };
        let mut said: Vec<&str> = Vec::new();
        for line in text.lines() {
            if let Some(release) = line.strip_prefix("# kernel ") {
                if !column.kernels.iter().any(|known| known == release) {
                    column.kernels.push(release.to_owned());
                }
            } else if let Some(remark) = line.strip_prefix("# ") {
                said.push(remark);
                continue;
            } else if let Some(result) = line.strip_prefix("ok ") {
                let (head, skip) = match result.split_once(" # SKIP") {
                    Some((head, reason)) => (head, Some(reason.trim().to_owned())),
                    None => (result, None),
                };
                let verdict = skip.map_or(Verdict::Kept, Verdict::Skipped);
                column.learn(head, verdict);
            } else if let Some(result) = line.strip_prefix("not ok ") {
                column.learn(result, Verdict::Broken(said.join("; ")));
            }
            said.clear();
        }
        column
    }

    /// Takes `NUMBER NAME` and what came of it.
    fn learn(&mut self, head: &str, verdict: Verdict) {
        if let Some((_, case)) = head.split_once(' ') {
            self.verdicts.insert(case.trim().to_owned(), verdict);
        }
    }

    /// What came of a case; a case without a result is one that was not run.
    pub fn verdict(&self, case: &str) -> Verdict {
        let none = || Verdict::Skipped("it was not run".to_owned());
        self.verdicts.get(case).cloned().unwrap_or_else(none)
    }

    /// The cases that there are results of.
    pub fn len(&self) -> usize {
        self.verdicts.len()
    }

    /// How many were kept, broken and skipped, of the cases whose name contains the filter.
    pub fn counts(&self, filter: &str) -> [usize; 3] {
        let mut counts = [0; 3];
        for (name, _) in all().filter(|(name, _)| name.contains(filter)) {
            match self.verdict(&name) {
                Verdict::Kept => counts[0] += 1,
                Verdict::Broken(_) => counts[1] += 1,
                Verdict::Skipped(_) => counts[2] += 1,
            }
        }
        counts
    }
}

/// The table for a terminal, with or without colour.
pub fn table(columns: &[Column], filter: &str, colour: bool) -> String {
    let mut text = String::new();
    let width = all().map(|(name, _)| name.len()).max().unwrap_or_default();
    let paint = |verdict: Verdict| {
        let (code, word) = match verdict {
            Verdict::Kept => ("32", "kept"),
            Verdict::Broken(_) => ("31", "BROKEN"),
            Verdict::Skipped(_) => ("33", "skipped"),
        };
        match colour {
            true => format!("\x1b[{code}m{word:<8}\x1b[0m"),
            false => format!("{word:<8}"),
        }
    };
    let mut row = |name: &str, cells: Vec<String>| {
        let _ = writeln!(text, "{name:<width$}  {}", cells.join(" ").trim_end());
    };
    let heads = columns.iter().map(|column| format!("{:<8}", column.name));
    row("", heads.collect());
    for (name, _) in all().filter(|(name, _)| name.contains(filter)) {
        let cells = columns.iter().map(|column| paint(column.verdict(&name)));
        row(&name, cells.collect());
    }
    text.push('\n');
    for column in columns {
        let [kept, broken, skipped] = column.counts(filter);
        let _ = writeln!(
            text,
            "{:<8} {kept} kept, {broken} broken, {skipped} skipped",
            column.name
        );
    }
    text
}

/// Tells what was seen of a device where it broke a promise.
pub fn reasons(column: &Column, filter: &str) -> String {
    let mut text = String::new();
    for (name, _) in all().filter(|(name, _)| name.contains(filter)) {
        if let Verdict::Broken(reason) = column.verdict(&name) {
            let _ = writeln!(text, "{name}\n    {reason}");
        }
    }
    text
}

/// When and where the columns of a page come from.
#[derive(clap::Args, Default)]
pub struct Provenance {
    /// The date of the run, for the page
    #[arg(long, default_value = "")]
    pub date: String,
    /// The commit that ran, for the page
    #[arg(long, default_value = "")]
    pub commit: String,
    /// The kernel that perilous cases ran on, for the page
    #[arg(long, default_value = "")]
    pub perilous: String,
}

/// The page, with what is written by hand around the tables.
pub fn page(columns: &[Column], from: &Provenance) -> String {
    let mut kernels: Vec<&str> = columns
        .iter()
        .flat_map(|column| &column.kernels)
        .map(String::as_str)
        .collect();
    kernels.sort_unstable();
    kernels.dedup();
    let mut facts = format!(
        "| Date | {} |\n|---|---|\n| Commit | {} |\n| Kernel | {} |\n| Perilous cases | on {} |\n",
        from.date,
        from.commit,
        kernels.join(", "),
        from.perilous
    );
    for column in columns {
        let [kept, broken, skipped] = column.counts("");
        let _ = writeln!(
            facts,
            "| {} | {kept} kept, {broken} broken, {skipped} skipped |",
            column.name
        );
    }
    let mut tables = String::new();
    for area in AREAS {
        let _ = writeln!(tables, "### {}\n", area.title);
        let heads: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        let _ = writeln!(
            tables,
            "| Case | What is promised | By | {} |",
            heads.join(" | ")
        );
        let _ = writeln!(tables, "|---|---|---|{}", ":-:|".repeat(columns.len()));
        for case in area.cases {
            let name = format!("{}.{}", area.name, case.name);
            let mark = if case.perilous { " †" } else { "" };
            let signs: Vec<_> = columns
                .iter()
                .map(|column| column.verdict(&name).sign())
                .collect();
            let _ = writeln!(
                tables,
                "| `{name}`{mark} | {} | {} | {} |",
                case.promise,
                case.source,
                signs.join(" | ")
            );
        }
        tables.push('\n');
        for column in columns {
            seen(&mut tables, area.name, area.cases, column);
        }
    }
    include_str!("../page.md")
        .replace("{{facts}}\n", &facts)
        .replace("{{tables}}\n\n", &tables)
}

/// What was seen of a device where it broke a promise of an area.
fn seen(text: &mut String, area: &str, cases: &[crate::case::Case], column: &Column) {
    let mut list = String::new();
    for case in cases {
        let (verb, reason) = match column.verdict(&format!("{area}.{}", case.name)) {
            Verdict::Kept => continue,
            Verdict::Broken(reason) => ("", reason),
            Verdict::Skipped(reason) => ("skipped: ", reason),
        };
        let reason = reason.replace('|', "\\|").replace('<', "&lt;");
        let _ = writeln!(list, "- `{}`: {verb}{reason}", case.name);
    }
    if !list.is_empty() {
        let _ = writeln!(text, "Seen of {}:\n\n{list}", column.name);
    }
}

/// What a page says came of each case of a device, and the kernels that it names.
fn said_by(page: &str, column: &str) -> (HashMap<String, String>, Vec<String>) {
    let (mut signs, mut kernels, mut at) = (HashMap::new(), Vec::new(), None);
    for line in page.lines() {
        let cells: Vec<_> = line
            .trim()
            .trim_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect();
        match cells.as_slice() {
            ["Kernel", names] => kernels = names.split(", ").map(str::to_owned).collect(),
            ["Case", ..] => at = cells.iter().position(|cell| *cell == column),
            [case, ..] if case.starts_with('`') => {
                let name = case
                    .trim_start_matches('`')
                    .split('`')
                    .next()
                    .unwrap_or_default();
                if let Some(sign) = at.and_then(|at| cells.get(at)) {
                    signs.insert(name.to_owned(), (*sign).to_owned());
                }
            }
            _ => {}
        }
    }
    (signs, kernels)
}

/// Compares a report with what a page says, as KTAP; true when they agree.
pub fn check(page: &str, column: &Column) -> bool {
    let (signs, kernels) = said_by(page, &column.name);
    println!("KTAP version 1");
    if !column.kernels.iter().all(|kernel| kernels.contains(kernel)) {
        println!("1..1");
        println!(
            "ok 1 the page tells of {} # SKIP it is of kernel {}",
            column.name,
            kernels.join(", ")
        );
        return true;
    }
    let wrong: Vec<_> = all()
        .filter_map(|(name, _)| {
            let sign = column.verdicts.get(&name)?.sign();
            let said = signs.get(&name).map_or("nothing", String::as_str);
            (said != sign).then(|| format!("{name}: the page says {said}, the run {sign}"))
        })
        .collect();
    println!("1..2");
    let enough = column.len() > 0;
    println!(
        "{} 1 there is a report of {}",
        if enough { "ok" } else { "not ok" },
        column.name
    );
    for line in &wrong {
        println!("# {line}");
    }
    let agree = wrong.is_empty();
    println!(
        "{} 2 the page tells what became of each of {} cases of {}",
        if agree { "ok" } else { "not ok" },
        column.len(),
        column.name
    );
    enough && agree
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const REPORT: &str = "KTAP version 1\n1..3\n# device some-1\n# kernel 7.3.4\n\
        ok 1 config.is_256_bytes_long\n\
        # first\n# second\nnot ok 2 config.sizes_its_bars\n\
        ok 3 uart.keeps_its_ports_apart # SKIP there is no type with 2 ports\n\
        # 3 cases, 1 failed\n";

    #[test]
    fn reads_what_a_report_says_of_each_case() {
        let column = Column::parse("some", REPORT);
        assert_eq!(column.kernels, ["7.3.4"]);
        assert_eq!(column.len(), 3);
        assert_eq!(column.verdict("config.is_256_bytes_long"), Verdict::Kept);
        let broken = Verdict::Broken("first; second".to_owned());
        assert_eq!(column.verdict("config.sizes_its_bars"), broken);
        let skipped = Verdict::Skipped("there is no type with 2 ports".to_owned());
        assert_eq!(column.verdict("uart.keeps_its_ports_apart"), skipped);
        assert_eq!(column.counts("config.")[..2], [1, 1]);
    }

    #[test]
    fn takes_the_last_word_on_a_case_that_is_told_twice() {
        let text = format!("{REPORT}\n# kernel: BUG\nnot ok 1 config.is_256_bytes_long\n");
        let column = Column::parse("some", &text);
        let verdict = column.verdict("config.is_256_bytes_long");
        assert_eq!(verdict, Verdict::Broken("kernel: BUG".to_owned()));
    }

    #[test]
    fn reads_back_what_it_wrote_on_a_page() {
        let columns = [Column::parse("other", ""), Column::parse("some", REPORT)];
        let text = page(&columns, &Provenance::default());
        let (signs, kernels) = said_by(&text, "some");
        assert_eq!(kernels, ["7.3.4"]);
        assert_eq!(signs.len(), all().count());
        assert_eq!(signs["config.is_256_bytes_long"], "✓");
        assert_eq!(signs["config.sizes_its_bars"], "✗");
        assert_eq!(signs["uart.keeps_its_ports_apart"], "–");
        assert!(check(&text, &columns[1]));
        let (signs, _) = said_by(&text, "other");
        assert_eq!(signs["config.is_256_bytes_long"], "–");
    }

    #[test]
    fn disagrees_with_a_page_of_another_outcome() {
        let text = page(&[Column::parse("some", REPORT)], &Provenance::default());
        let other = REPORT.replace("not ok 2", "ok 2");
        assert!(!check(&text, &Column::parse("some", &other)));
        let elsewhere = other.replace("7.3.4", "7.4.0");
        assert!(check(&text, &Column::parse("some", &elsewhere)));
        assert!(!check(&text, &Column::parse("some", "")));
    }

    #[test]
    fn each_case_has_a_name_of_its_own_and_a_promise_in_a_sentence() {
        let mut names = HashSet::new();
        for (name, case) in all() {
            assert!(names.insert(name.clone()), "{name}");
            let sentence = case.promise.ends_with('.') && !case.promise.contains('|');
            assert!(sentence, "{name}");
        }
    }
}
