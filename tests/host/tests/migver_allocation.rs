// SPDX-License-Identifier: GPL-2.0-only

//! Reading, comparing and telling why allocates nothing: counted, for every input that the fuzzers have kept and every
//! example of the document, with an allocator that counts.

use std::{
    alloc::{
        GlobalAlloc,
        Layout,
        System, //
    },
    cell::Cell,
    fmt::{
        self,
        Write, //
    },
    fs,
    path::Path, //
};

use migver::{
    Baseline,
    Identity,
    Side,
    Version, //
};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: It is the system's allocator; the counter allocates nothing, as it is initialised in a constant and not dropped.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: The caller promises what the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: The pointer came from the system's allocator, for this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `action` allocates, on this thread.
fn allocations(action: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    action();
    ALLOCATIONS.get() - before
}

/// Room for a line, as a kernel's log has it.
struct Line {
    bytes: [u8; 64 * 1024],
    len: usize,
}

impl Line {
    const fn new() -> Self {
        Self {
            bytes: [0; 64 * 1024],
            len: 0,
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Does all that a driver or a tool does with two texts, and returns how many reasons there are.
fn weigh(source: &[u8], destination: &[u8], line: &mut Line) -> Result<usize, fmt::Error> {
    let destination = match Version::parse(destination) {
        Ok(version) => version,
        Err(error) => return write!(line, "{error}").map(|()| 0),
    };
    let identity = Identity::new(destination);
    write!(line, "{identity} {}", Baseline::of(identity.version()))?;
    if let Err(refusal) = identity.check(source) {
        write!(line, "{} {} {refusal}", refusal.kind(), refusal.class())?;
    }
    let Ok(source) = Version::parse(source) else {
        return Ok(0);
    };
    write!(line, "{source}")?;
    let verdict = migver::compare(&source, &destination);
    for reason in verdict.reasons() {
        write!(line, "{} {}", reason.field, reason.fault.name())?;
        for side in Side::ALL {
            if let Some(spelled) = reason.spelled(side) {
                write!(line, "{spelled}")?;
            }
        }
    }
    Ok(verdict.reasons().count())
}

/// The files of a directory of the fuzzers' corpus.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    fs::read_dir(&directory)
        .expect("there is a corpus")
        .map(|entry| fs::read(entry.expect("an entry").path()).expect("a file"))
        .collect()
}

/// The lines of the document that may be strings.
fn examples() -> Vec<Vec<u8>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Documentation/migration-version.rst");
    let document = fs::read_to_string(path).expect("there is a document");
    let words = document.split_whitespace();
    let strings = words.filter(|word| word.starts_with("migver:1,"));
    strings.map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn weighing_two_texts_allocates_nothing() {
    let mut texts = [examples(), corpus("parse")].concat();
    for input in corpus("check") {
        texts.extend(input.splitn(2, |byte| *byte == b'\n').map(<[u8]>::to_vec));
    }
    texts.push(vec![b'a'; 5000]);
    assert!(texts.len() > 150);

    let mut line = Line::new();
    let mut reasons = 0;
    for source in &texts {
        for destination in &texts {
            line.len = 0;
            let mut found = Ok(0);
            let count = allocations(|| found = weigh(source, destination, &mut line));
            assert_eq!(count, 0);
            reasons += found.expect("a line has room");
        }
    }
    assert!(reasons > 1000);
}

#[test]
fn changing_a_baseline_allocates_nothing() {
    let before = Baseline {
        abi: migver::Abi { major: 1, minor: 1 },
        stream: 2,
    };
    for text in corpus("baseline") {
        let mut after = None;
        let count = allocations(|| after = before.changed(&text));
        assert_eq!(count, 0, "{after:?}");
    }
}

#[test]
fn an_allocation_would_be_counted() {
    assert_eq!(allocations(|| drop(Box::new(1_u8))), 1);
    assert!(allocations(|| drop(format!("{}", Side::Source))) > 0);
}
