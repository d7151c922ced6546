// SPDX-License-Identifier: GPL-2.0-only

//! Three devices, alike but for some changes: each pair of them compares as the rules of the document say, and what the
//! document says can be relied on holds of all three.

#![no_main]

mod devices;
#[path = "../../host/tests/migver_support/mod.rs"]
mod support;

use devices::Devices;
use libfuzzer_sys::{
    fuzz_target,
    Corpus, //
};
use migver::MAX_LEN;
use support::{
    fits,
    found,
    reasons,
    Plain, //
};

fuzz_target!(|devices: Devices| -> Corpus {
    let Devices([source, middle, destination]) = &devices;
    let all = [source, middle, destination];
    if all.iter().any(|device| device.text().len() > MAX_LEN) {
        return Corpus::Reject;
    }

    for one in all {
        assert!(fits(one, one));
        for other in all {
            assert_eq!(found(one, other), reasons(one, other));
        }
    }
    if fits(source, middle) {
        assert_no_detour(source, middle, destination);
    }
    for feature in source.needs.iter().chain(&middle.takes) {
        assert_harmless(source, destination, feature);
    }
    Corpus::Keep
});

/// Where the state of `source` can go from `middle`, which has taken it in, it could have gone directly.
fn assert_no_detour(source: &Plain, middle: &Plain, destination: &Plain) {
    let carrying = middle.carrying(source);
    if carrying.text().len() > MAX_LEN {
        return;
    }
    assert!(fits(source, &carrying) && fits(&carrying, middle));
    if fits(&carrying, destination) {
        assert!(fits(source, destination));
    }
}

/// A feature more at the destination removes its own reason, and changes nothing else.
fn assert_harmless(source: &Plain, destination: &Plain, feature: &str) {
    let mut more = destination.clone();
    more.takes.insert(feature.into());
    if more.text().len() <= MAX_LEN {
        let mut expected = found(source, destination);
        expected.retain(|reason| reason.field != format!("feature {feature}"));
        assert_eq!(found(source, &more), expected);
    }
}
