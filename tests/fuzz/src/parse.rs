// SPDX-License-Identifier: GPL-2.0-only

//! Any bytes are a version string in its only spelling, or are refused in a line that may go to a log.

#![no_main]

use libfuzzer_sys::fuzz_target;
use migver::{
    Class,
    Description,
    Extension,
    Identity,
    Parameter,
    ParseError,
    Version,
    MAX_LEN, //
};

fuzz_target!(|text: &[u8]| {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    match Version::parse(text) {
        Ok(version) => {
            assert!(line.len() <= MAX_LEN);
            assert_eq!(version.to_string().as_bytes(), line);
            assert_eq!(Identity::new(version).as_bytes(), line);
            assert_eq!(Version::parse(line), Ok(version));
            assert!(migver::compare(&version, &version).is_compatible());
            assert_describable(&version);
        }
        Err(error) => assert_honest(line, &error),
    }
});

/// What was read could have been written by a driver: the two ways to a version know the same rules.
fn assert_describable(version: &Version<'_>) {
    let needs: Vec<&str> = version.needs().collect();
    let takes: Vec<&str> = version.takes().collect();
    let parameters: Vec<Parameter<'_>> = version.parameters().collect();
    let extensions: Vec<Extension<'_>> = version.extensions().collect();
    let described = Version::new(&Description {
        vendor: version.vendor(),
        model: version.model(),
        abi: version.abi(),
        stream: version.stream(),
        needs: &needs,
        takes: &takes,
        parameters: &parameters,
        extensions: &extensions,
    });
    assert_eq!(described.as_ref(), Ok(version));
}

/// A refusal tells the truth about the text, and repeats nothing of it.
fn assert_honest(line: &[u8], error: &ParseError) {
    assert_eq!(error.class() == Class::TooLong, line.len() > MAX_LEN);
    match *error {
        ParseError::TooLong { length } => assert_eq!(length, line.len()),
        ParseError::Malformed {
            length, at, found, ..
        } => {
            assert_eq!(length, line.len());
            assert!(at <= length);
            assert_eq!(found, line.get(at).copied());
        }
        ParseError::Schema { schema } => {
            let head = format!("migver:{schema},");
            assert!(schema != migver::SCHEMA && line.starts_with(head.as_bytes()));
        }
    }
    let shown = error.to_string();
    assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    assert!(shown.len() < 256);
}
