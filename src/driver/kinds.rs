// SPDX-License-Identifier: GPL-2.0-only

//! The kinds of card that the parent offers, each as one mdev type.

use crate::{
    mdev::TypeInfo,
    migver::{
        Abi,
        Description,
        Identity,
        Parameter,
        Rule,
        Stream,
        Version, //
    },
    model::Ports, //
};

/// A kind of card.
pub(super) struct Kind {
    /// Its names in sysfs.
    pub(super) info: TypeInfo,
    /// What the `description` file says.
    pub(super) description: &'static str,
    /// The card.
    pub(super) ports: Ports,
    /// What it says of itself, by which its state is compatible with others or not; `None` for a card that does not
    /// migrate. The type and every device of it go by this one value, so that the type predicts the device.
    pub(super) identity: Option<&'static Identity<'static>>,
}

/// All kinds, in the order in which they are registered.
pub(super) static ALL: &[&Kind] = &[
    &Kind {
        info: TypeInfo {
            name: c"serial1",
            pretty_name: c"PCI serial card, 1 port",
        },
        description: "PCI serial card with one 16550A port in a loopback plug",
        ports: Ports::One,
        identity: Some(&ONE_PORT),
    },
    &Kind {
        info: TypeInfo {
            name: c"serial2",
            pretty_name: c"PCI serial card, 2 ports",
        },
        description: "PCI serial card with two 16550A ports, each in a loopback plug",
        ports: Ports::Two,
        identity: Some(&TWO_PORTS),
    },
    &Kind {
        info: TypeInfo {
            name: c"serial1-local",
            pretty_name: c"PCI serial card, 1 port, cannot migrate",
        },
        description:
            "PCI serial card with one 16550A port in a loopback plug, for hosts it need not leave",
        ports: Ports::One,
        identity: None,
    },
];

/// What a card with one port says.
static ONE_PORT: Identity<'static> = identity(&[ports(1)]);

/// What a card with two ports says.
static TWO_PORTS: Identity<'static> = identity(&[ports(2)]);

/// The parameter that says how many ports a card has. A guest counts them, so they must be equal.
const fn ports(value: u64) -> Parameter<'static> {
    Parameter {
        name: "ports",
        rule: Rule::Equal,
        value,
    }
}

/// Returns what a card with these parameters says. A mistake in here is one at build time.
const fn identity(parameters: &'static [Parameter<'static>]) -> Identity<'static> {
    let description = Description {
        vendor: "migdev",
        model: "serial",
        abi: Abi { major: 1, minor: 1 },
        stream: Stream {
            writes: 2,
            oldest: 1,
            newest: 2,
        },
        needs: &[],
        takes: &[],
        parameters,
        extensions: &[],
    };
    match Version::new(&description) {
        Ok(version) => Identity::new(version),
        Err(_) => panic!("not a valid version"),
    }
}
