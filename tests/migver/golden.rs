// SPDX-License-Identifier: GPL-2.0-only

//! What `migver` prints, case by case.
//!
//! A case is a directory below `cases/` with
//!
//! | file | what it is |
//! |---|---|
//! | `cmd` | what a person would type: a script for `sh`, run in an empty directory with `migver` in the path |
//! | `tree` | what is made in that directory before; if the case has none, that of the nearest directory above it |
//! | `stdin` | standard input, else it is empty |
//! | `stdout`, `stderr` | what is expected there; no file for nothing |
//! | `status` | the exit status expected; no file for 0 |
//!
//! A line of `tree` is `PATH=LINE` for a file with this line, `PATH+=LINE` for one more line of it, `PATH -> TARGET` for a
//! symbolic link, `PATH/` for a directory; empty lines and those that begin with `#` say nothing. `ssh` in the path is `bin/ssh`.
//!
//! `cargo test -p migver-cli --test golden NAME` runs the cases whose path has NAME in it, and with `BLESS=1` in the
//! environment writes what came out as what is expected, to be read before it is committed.

use libtest_mimic::{
    Arguments,
    Failed,
    Trial, //
};

use std::{
    env,
    fs,
    io::{
        self,
        Write, //
    },
    os::unix::{
        fs::symlink,
        process::ExitStatusExt, //
    },
    path::{
        Path,
        PathBuf, //
    },
    process::{
        Command,
        ExitCode,
        Stdio, //
    }, //
};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/migver");
    let tests = tests.canonicalize().expect("the tests are there");
    let mut cases = Vec::new();
    find(&tests.join("cases"), &mut cases).expect("the cases can be listed");
    assert!(!cases.is_empty(), "there are no cases");
    cases.sort();
    let trials = cases
        .into_iter()
        .map(|case| {
            let name = case
                .strip_prefix(tests.join("cases"))
                .expect("it is there")
                .to_string_lossy()
                .into_owned();
            let tests = tests.clone();
            Trial::test(name, move || run(&case, &tests))
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // It is empty, if no case left anything.
    let _ = fs::remove_dir(work());
    conclusion.exit_code()
}

/// Finds every directory with a `cmd`.
fn find(dir: &Path, cases: &mut Vec<PathBuf>) -> io::Result<()> {
    if dir.join("cmd").exists() {
        cases.push(dir.to_owned());
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, cases)?;
        }
    }
    Ok(())
}

/// Returns the directory of this run.
fn work() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("golden-{}", std::process::id()))
}

fn run(case: &Path, tests: &Path) -> Result<(), Failed> {
    // A case is known by its path, and a run by its process.
    let place: String = case
        .strip_prefix(tests.join("cases"))?
        .to_string_lossy()
        .replace('/', "-");
    let dir = work().join(place);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir)?;
    if let Some(tree) = case
        .ancestors()
        .map(|dir| dir.join("tree"))
        .find(|tree| tree.exists())
    {
        plant(&fs::read_to_string(tree)?, &dir)?;
    }
    let result = compare(case, &dir, tests);
    fs::remove_dir_all(&dir)?;
    result
}

/// Makes what a `tree` lists.
fn plant(tree: &str, dir: &Path) -> Result<(), Failed> {
    let place = |name: &str| {
        let path = dir.join(name);
        let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
        parent.map(|()| path)
    };
    let lines = tree
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        if let Some((name, content)) = line.split_once('=') {
            let (name, appends) = match name.strip_suffix('+') {
                Some(name) => (name, true),
                None => (name, false),
            };
            let mut file = fs::File::options()
                .create(!appends)
                .append(true)
                .open(place(name)?)?;
            writeln!(file, "{content}")?;
        } else if let Some((name, target)) = line.split_once(" -> ") {
            symlink(target, place(name)?)?;
        } else if let Some(name) = line.strip_suffix('/') {
            fs::create_dir_all(place(name)?)?;
        } else {
            return Err(format!("this is no line of a tree: {line}").into());
        }
    }
    Ok(())
}

/// Runs the command of a case and compares what it did with what is expected.
fn compare(case: &Path, dir: &Path, tests: &Path) -> Result<(), Failed> {
    let migver = Path::new(env!("CARGO_BIN_EXE_migver"));
    let bin = migver.parent().ok_or("the program has no directory")?;
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        bin.display(),
        tests.join("bin").display()
    );
    let stdin = match fs::File::open(case.join("stdin")) {
        Ok(file) => file.into(),
        Err(_) => Stdio::null(),
    };
    // What waits for ever fails its case, and does not hold up the others.
    let output = Command::new("timeout")
        .args(["60", "sh"])
        .arg(case.join("cmd"))
        .current_dir(dir)
        .env_clear()
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .env("TERM", "xterm")
        .env("SOURCE_DATE_EPOCH", "1795449600")
        .stdin(stdin)
        .output()?;
    let status = match (output.status.code(), output.status.signal()) {
        (Some(code), _) => format!("{code}\n"),
        (None, signal) => format!("signal {signal:?}\n"),
    };
    let mut differences = String::new();
    for (name, found, usual) in [
        ("stdout", output.stdout, ""),
        ("stderr", output.stderr, ""),
        ("status", status.into_bytes(), "0\n"),
    ] {
        let file = case.join(name);
        if env::var_os("BLESS").is_some() {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ if found == usual.as_bytes() => {}
                _ => fs::write(&file, &found)?,
            }
            continue;
        }
        let expected = match fs::read(&file) {
            Ok(expected) => expected,
            Err(error) if error.kind() == io::ErrorKind::NotFound => usual.into(),
            Err(error) => return Err(error.into()),
        };
        if found != expected {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            differences += &format!(
                "--- {name}, expected:\n{}--- {name}, found:\n{}",
                text(&expected),
                text(&found)
            );
        }
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences.into())
    }
}
