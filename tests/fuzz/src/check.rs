// SPDX-License-Identifier: GPL-2.0-only

//! What the kernel does with a write into a file: the bytes of a user against a device's own string. The input has the
//! device's string in its first line, and behind it what is written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use migver::{
    check,
    compare,
    Class,
    Identity,
    Kind,
    Refusal,
    Side,
    Version, //
};

fuzz_target!(|input: &[u8]| {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (own, text) = (&input[..end], &input[end + 1..]);
    let Ok(own) = Version::parse(own) else {
        return;
    };

    let identity = Identity::new(own);
    let refusal = identity.check(text).err();
    let shown = refusal.map(|refusal| refusal.to_string());
    assert_eq!(
        shown,
        check(text, &own).err().map(|refusal| refusal.to_string())
    );
    match refusal {
        None => assert_fits(text, &own),
        Some(Refusal::Unreadable(error)) => assert_eq!(Version::parse(text), Err(error)),
        Some(Refusal::Incompatible(verdict)) => assert_reasons(&verdict, shown.unwrap_or_default()),
    }
});

fn assert_fits(text: &[u8], own: &Version<'_>) {
    let source = Version::parse(text).expect("what was not refused can be read");
    let verdict = compare(&source, own);
    assert_eq!(verdict.kind(), Kind::Live);
    assert_eq!(verdict.class(), None);
    assert_eq!(verdict.reasons().count(), 0);
}

/// A verdict has reasons, each with its parts, and is shown as all of them.
fn assert_reasons(verdict: &migver::Verdict<'_>, shown: String) {
    assert_eq!(verdict.kind(), Kind::None);
    let reasons: Vec<_> = verdict.reasons().collect();
    let lines: Vec<_> = reasons.iter().map(|reason| reason.to_string()).collect();
    assert_eq!(lines.join("; "), shown);
    assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    assert_eq!(
        verdict.class(),
        reasons.iter().map(|reason| reason.class()).min()
    );
    assert!(verdict.class() > Some(Class::Malformed));

    let [source, destination] =
        [verdict.source(), verdict.destination()].map(|version| version.to_string());
    for reason in reasons {
        assert!(reason.source != reason.destination);
        for (side, text) in [(Side::Source, &source), (Side::Destination, &destination)] {
            if let Some(spelled) = reason.spelled(side) {
                assert!(text.contains(reason.field.key()));
                assert!(text.contains(&spelled.to_string()));
            }
        }
    }
}
