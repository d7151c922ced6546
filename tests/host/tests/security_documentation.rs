// SPDX-License-Identifier: GPL-2.0-only

//! The page on security says what the code does: its tests are there, its numbers are those of the constants, and its
//! lists of files and messages are complete.

#[allow(dead_code)]
#[path = "documentation_support/mod.rs"]
mod support;

use std::{
    collections::BTreeSet,
    fs,
    path::Path, //
};

use support::{
    dangling,
    read,
    tests::{
        has,
        held_by, //
    },
    top, //
};

const DOCUMENT: &str = "Documentation/security.rst";

/// The document, with each item of a list in one line.
fn document() -> String {
    read(DOCUMENT).replace("\n  ", " ")
}

/// The rows of the table under `.. table NAME`, each cut into its columns.
fn rows<'a>(document: &'a str, name: &str) -> Vec<Vec<&'a str>> {
    document
        .lines()
        .skip_while(|line| *line != format!(".. table {name}"))
        .skip_while(|line| !line.starts_with("=="))
        .skip(3)
        .take_while(|line| !line.starts_with("=="))
        .map(|line| {
            let columns = line.split("  ").map(str::trim);
            columns.filter(|column| !column.is_empty()).collect()
        })
        .collect()
}

/// The sources below a directory of the project, by their paths, without the tests in them.
fn sources(directory: &str) -> Vec<(String, String)> {
    fn walk(directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).expect("a directory of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let path = path.strip_prefix(top()).expect("a path of the project");
                found.push(path.to_str().expect("a path in ASCII").to_owned());
            }
        }
    }

    let mut paths = Vec::new();
    walk(&top().join(directory), &mut paths);
    assert!(!paths.is_empty(), "{directory}");
    paths.sort();
    let without_tests = |path: String| {
        let text = read(&path);
        let end = text.find("\nmod tests {").unwrap_or(text.len());
        (path, text[..end].to_owned())
    };
    paths.into_iter().map(without_tests).collect()
}

/// The lines of a text that are no comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

/// The first text literal in a piece of code.
fn literal(code: &str) -> Option<&str> {
    let (_, rest) = code.split_once('"')?;
    rest.split_once('"').map(|(text, _)| text)
}

/// What follows each use of a macro of the log.
fn messages(text: &str) -> impl Iterator<Item = &str> {
    const LEVELS: [&str; 8] = [
        "emerg", "alert", "crit", "err", "warn", "notice", "info", "dbg",
    ];
    text.split("!(")
        .zip(text.split("!(").skip(1))
        .filter_map(|(before, after)| {
            let name = before
                .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .next()?;
            let level = name.strip_prefix("pr_").or(name.strip_prefix("dev_"))?;
            let level = level.strip_suffix("_once").unwrap_or(level);
            (LEVELS.contains(&level) || level == "cont" || level == "debug").then_some(after)
        })
}

/// The value of a constant, or of a parameter's default, in a text: a number, a product or a power of two.
fn value(text: &str, name: &str) -> Option<u64> {
    let number = |text: &str| {
        let digits = text.trim().replace('_', "");
        match digits.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        }
    };
    let constant = format!("const {name}: ");
    let field = format!("{name}: ");
    text.lines().find_map(|line| {
        let value = match line.split_once(&constant) {
            Some((_, rest)) => rest.split_once(" = ")?.1,
            None => line.trim().strip_prefix(&field)?,
        };
        let value = value.split([';', ',']).next()?;
        match value.split_once("<<") {
            Some((one, shift)) => number(one)?.checked_shl(u32::try_from(number(shift)?).ok()?),
            None => value.split('*').map(number).product(),
        }
    })
}

#[test]
fn every_test_it_names_is_there() {
    let document = document();
    let items = document
        .lines()
        .filter(|line| line.starts_with("- ``") && !line.ends_with('.'));
    let tests: Vec<_> = items
        .map(|line| held_by(line).unwrap_or_else(|| panic!("no file and name: {line}")))
        .collect();
    assert!(tests.len() > 80, "{}", tests.len());
    for (file, name) in tests {
        assert!(has(file, name), "{file} has no test {name}");
    }
}

#[test]
fn each_threat_has_a_test() {
    let document = read(DOCUMENT);
    // Each title of a chapter or a section, with what stands under it.
    let lines: Vec<_> = document.lines().collect();
    let is_rule = |line: &str| line.starts_with("----") || line.starts_with("====");
    let mut sections: Vec<(&str, usize)> = Vec::new();
    for (line, next) in lines.iter().zip(lines.iter().skip(1)) {
        if is_rule(next) && next.len() == line.len() && !is_rule(line) {
            sections.push((line, 0));
        } else if let (".. held by", Some((_, lists))) = (*line, sections.last_mut()) {
            *lists += 1;
        }
    }
    // The page's own title, what is out of scope, and a chapter that consists of sections.
    let without: Vec<_> = sections.iter().filter(|(_, lists)| *lists == 0).collect();
    let without: Vec<_> = without.iter().map(|(title, _)| *title).collect();
    assert_eq!(without, ["Security", "Out of scope", "A user of a device"]);
    assert!(sections.len() > 12, "{sections:?}");
}

#[test]
fn every_file_it_names_is_there() {
    let document = read(DOCUMENT);
    let tests: BTreeSet<_> = dangling(&document).into_iter().collect();
    assert_eq!(tests, BTreeSet::new());
}

#[test]
fn the_table_of_sizes_is_that_of_the_code() {
    let document = read(DOCUMENT);
    let rows = rows(&document, "sizes");
    assert!(rows.len() > 15, "{}", rows.len());
    for row in rows {
        let [input, most, file, name] = row[..] else {
            panic!("four columns: {row:?}")
        };
        let number = most
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok());
        assert!(number.is_some(), "{input}: {most}");
        assert_eq!(value(&read(file), name), number, "{input}");
    }
}

#[test]
fn a_value_is_read_as_it_is_written() {
    let text = "const A: u64 = 1 << 20;\nconst B: usize = 64 * 1024;\nconst C: u32 = 0x2000;\n\
                \tdefault: 4096,\nconst D: usize = 10_000_000;\nconst E: usize = A;\n";
    let values = ["A", "B", "C", "default", "D", "E", "F"].map(|name| value(text, name));
    let wanted = [1 << 20, 1 << 16, 0x2000, 4096, 10_000_000].map(Some);
    assert_eq!(values[..5], wanted);
    assert_eq!(values[5..], [None, None]);
}

#[test]
fn the_table_of_modes_is_that_of_the_code() {
    let mut files = BTreeSet::new();
    for (path, text) in sources("src/driver") {
        for implementation in text.split("\nimpl Attribute<").skip(1) {
            let (owner, rest) = implementation.split_once(" for ").expect("an owner");
            let body = rest.split("\n}\n").next().unwrap_or(rest);
            // A name or a mode that several have is a constant of the file.
            let constant = |name: &str| {
                let find = |text: &str, start: &str| {
                    text.lines()
                        .find_map(|line| line.strip_prefix(start).map(str::to_owned))
                        .unwrap_or_else(|| panic!("{path}: {start}"))
                };
                let own = find(body, &format!("    const {name}: "));
                match own.ends_with(&format!("= {name};")) {
                    true => find(&text, &format!("const {name}: ")),
                    false => own,
                }
            };
            let name = constant("NAME");
            let mode = constant("MODE");
            let of = match owner {
                "Card>" => "devices",
                "mdev::Type<Serial>>" => "types",
                other => panic!("{path}: files of {other}"),
            };
            let mode = mode.split_once("0o").expect("an octal number").1;
            files.insert((
                literal(&name).expect("a name").to_owned(),
                of,
                mode.trim_end_matches(';').to_owned(),
            ));
        }
    }
    // Of debugfs there is one function that makes files, and one that names them.
    let debugfs = read("src/debugfs.rs");
    let modes: Vec<_> = debugfs
        .split("0o")
        .skip(1)
        .filter_map(|rest| rest.get(..3))
        .collect();
    let made: Vec<_> = sources("src/driver")
        .into_iter()
        .flat_map(|(_, text)| {
            let names = text.split("Observed::new(").skip(1).map(str::to_owned);
            names.collect::<Vec<_>>()
        })
        .map(|call| literal(&call).expect("a name").to_owned())
        .collect();
    assert_eq!((modes.len(), made.len()), (1, 1));
    files.insert((made[0].clone(), "debugfs", modes[0].to_owned()));

    let document = read(DOCUMENT);
    let rows = rows(&document, "modes");
    let told: BTreeSet<_> = rows
        .iter()
        .map(|row| (row[0].to_owned(), row[1], row[2].to_owned()))
        .collect();
    assert_eq!(told, files);
    assert_eq!(rows.len(), files.len());
    for row in rows {
        let others = if row[2].ends_with('0') {
            "nothing"
        } else {
            "read"
        };
        assert_eq!(row[3], others, "{row:?}");
    }
}

#[test]
fn the_list_of_messages_is_that_of_the_code() {
    let mut in_code = BTreeSet::new();
    for (path, text) in sources("src") {
        for message in messages(&text) {
            let text = literal(message).unwrap_or_else(|| panic!("{path}: {message}"));
            in_code.insert((path.clone(), text.trim_end_matches("\\n").to_owned()));
        }
    }
    let document = document();
    let (_, list) = document.split_once(".. messages\n").expect("the list");
    let told: BTreeSet<_> = list
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("- "))
        .filter_map(|line| {
            let (path, rest) = line.strip_prefix("- ``")?.split_once("``: ``")?;
            let (text, _) = rest.split_once("``. ")?;
            Some((path.to_owned(), text.to_owned()))
        })
        .collect();
    assert_eq!(told, in_code);
}

#[test]
fn each_message_that_a_user_can_cause_is_limited() {
    let refusals = read("src/driver/refusals.rs");
    // In each function that logs, the limit is asked before.
    let functions: Vec<_> = refusals
        .split("    fn ")
        .flat_map(|part| part.split("pub(super) fn "))
        .filter(|function| messages(function).next().is_some())
        .collect();
    assert_eq!(functions.len(), 3);
    for function in functions {
        let limit = function.find("self.limit.allow(").expect("a limit");
        assert!(limit < function.find("pr_info!(").expect("a message"));
    }
}

#[test]
fn no_text_of_the_module_shows_a_pointer() {
    let formats = |text: &str| {
        let pieces = text.split('{').skip(1).map(|piece| piece.split('}').next());
        let shown: Vec<_> = pieces.flatten().map(str::to_owned).collect();
        shown
            .into_iter()
            .filter_map(|piece| piece.split_once(':').map(|(_, format)| format.to_owned()))
            .collect::<Vec<_>>()
    };
    // `{:?}` is left out too: of a pointer it shows the same as `{:p}`.
    let shows = |format: &str| format.ends_with(['p', '?']) && !format.contains([' ', ';', '\n']);
    for (path, text) in sources("src") {
        for line in code(&text).filter(|line| line.contains('"')) {
            for format in formats(line) {
                assert!(!shows(&format), "{path}: {line}");
            }
        }
    }
    assert!(formats("pr_info!(\"at {:p}\")").iter().any(|f| shows(f)));
    assert!(formats("fmt!(\"at {place:#?}\")").iter().any(|f| shows(f)));

    // The C side has one text, that of the tracepoint.
    for path in [
        "src/helpers.c",
        "include/migdev_trace.h",
        "include/vfio_migration.h",
    ] {
        let text = read(path);
        for word in [
            "%p",
            "%x",
            "%lx",
            "%llx",
            "printk(\"",
            "pr_info(",
            "pr_err(",
        ] {
            let is_trace = word == "printk(\"" && text.contains("TP_printk(\"");
            assert!(is_trace || !text.contains(word), "{path}: {word}");
        }
    }
}

#[test]
fn user_memory_is_accessed_where_the_page_says() {
    let document = document();
    let (_, section) = document
        .split_once("User memory is accessed only in\n")
        .expect("the sentence");
    let (sentence, _) = section.split_once(';').expect("its end");
    let told: BTreeSet<_> = support::literals(sentence).map(str::to_owned).collect();
    let accesses = |text: &str| {
        [
            "UserSlice::new(",
            "copy_from_user",
            "copy_to_user",
            "put_user",
            "get_user",
        ]
        .iter()
        .any(|call| code(text).any(|line| line.contains(call)))
    };
    let found: BTreeSet<_> = sources("src")
        .into_iter()
        .filter(|(_, text)| accesses(text))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(told, found);
    assert!(found.iter().all(|path| !path.starts_with("src/driver/")));
}

#[test]
fn what_a_user_makes_the_driver_keep_is_charged_to_the_user() {
    for path in [
        "src/driver/live.rs",
        "src/vfio/data_file.rs",
        "src/vfio/dma_logging.rs",
        "src/vfio/shared_page.rs",
    ] {
        let text = read(path);
        let flags: Vec<_> = code(&text)
            .flat_map(|line| line.split("GFP_KERNEL").skip(1).map(|rest| rest.to_owned()))
            .collect();
        assert!(!flags.is_empty(), "{path} allocates nothing");
        assert!(
            flags.iter().all(|rest| rest.starts_with("_ACCOUNT")),
            "{path}"
        );
    }
}

#[test]
fn code_above_the_wrappers_denies_unsafe_code() {
    let root = read("src/migdev.rs");
    for module in ["migration", "migver", "model", "driver"] {
        let declared = format!("#[deny(unsafe_code)]\npub mod {module};\n");
        assert!(root.contains(&declared), "{module}");
    }
    for (path, text) in sources("src/driver") {
        assert!(!text.contains("allow(unsafe_code)"), "{path}");
    }
    for path in ["tools/migver/src/lib.rs", "tools/migver/src/main.rs"] {
        assert!(read(path).contains("\n#![forbid(unsafe_code)]\n"), "{path}");
    }
}
