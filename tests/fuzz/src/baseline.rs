// SPDX-License-Identifier: GPL-2.0-only

//! Any bytes that change a baseline do so in their only spelling, and change nothing that they do not name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use migver::{
    Abi,
    Baseline, //
};

fuzz_target!(|text: &[u8]| {
    let before = Baseline {
        abi: Abi {
            major: 77,
            minor: 78,
        },
        stream: 79,
    };
    let Some(after) = before.changed(text) else {
        return;
    };
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    let (abi, stream) = (
        format!("abi={}", after.abi),
        format!("stream={}", after.stream),
    );
    if line.starts_with(b"stream=") {
        assert_eq!(line, stream.as_bytes());
        assert_eq!(after.abi, before.abi);
    } else if line.contains(&b',') {
        assert_eq!(line, after.to_string().as_bytes());
    } else {
        assert_eq!(line, abi.as_bytes());
        assert_eq!(after.stream, before.stream);
    }
    assert_eq!(before.changed(after.to_string().as_bytes()), Some(after));
});
