// SPDX-License-Identifier: GPL-2.0-only

//! The machine code of the version strings never panics and never allocates: there is no call in it that could. Outside
//! their own code they call the formatting of `core`, its check of UTF-8, and what copies and compares memory.

use std::{
    collections::BTreeSet,
    env,
    path::Path,
    process::Command, //
};

/// Runs a program, and returns what it prints.
fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).expect("names are ASCII")
}

/// Compiles `migver_support/entry.rs` as the kernel compiles its modules, overflow checks included, and returns the names
/// of what it calls and does not hold.
fn called(name: &str, options: &[&str]) -> BTreeSet<String> {
    let object = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.o"));
    let entry = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migver_support/entry.rs");
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    output(
        Command::new(rustc)
            .args(["--edition=2021", "--crate-type=lib", "--emit=obj"])
            .args(["-Copt-level=2", "-Cpanic=abort", "-Ccodegen-units=1"])
            .args(["-Coverflow-checks=on", "-Cdebug-assertions=off"])
            .args(["--cap-lints=allow", "-o"])
            .arg(&object)
            .args(options)
            .arg(&entry),
    );
    let names = output(
        Command::new("nm")
            .args(["--undefined-only", "--format=just-symbols"])
            .arg(&object),
    );
    names.lines().map(String::from).collect()
}

/// Whether the function, whose name is mangled in the old way or in the new one, neither panics nor allocates.
fn is_harmless(name: &str) -> bool {
    let memory = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];
    let is_core = name.contains("core");
    let is_known = name.contains("3fmt") || name.contains("9from_utf8");
    memory.contains(&name) || (is_core && is_known && !name.contains("panic"))
}

#[test]
fn nothing_that_is_called_panics_or_allocates() {
    let called = called("migver", &[]);
    assert!(called.len() > 5, "{called:?}");
    let harmful: Vec<_> = called.iter().filter(|name| !is_harmless(name)).collect();
    assert!(harmful.is_empty(), "{harmful:?}");
}

#[test]
fn a_panic_would_be_noticed() {
    let called = called("migver-planted", &["--cfg=planted"]);
    let harmful: Vec<_> = called.iter().filter(|name| !is_harmless(name)).collect();
    assert!(
        matches!(&harmful[..], [name] if name.contains("panic")),
        "{harmful:?}"
    );
}
