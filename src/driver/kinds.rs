// SPDX-License-Identifier: GPL-2.0-only

//! The kinds of card that a parent offers, each as one mdev type.

use crate::{
    mdev::TypeInfo,
    migver::{
        Abi,
        Baseline,
        Description,
        Identity,
        Parameter,
        Rule,
        Stream,
        Version, //
    },
    model::{
        self,
        snapshot::OLDEST,
        Ports, //
    },
};

/// A kind of card.
pub(super) struct Kind {
    /// Its names in sysfs.
    pub(super) info: TypeInfo,
    /// What the `description` file says.
    pub(super) description: &'static str,
    /// The card.
    pub(super) ports: Ports,
    /// The versions that it can be held at, the newest first; none for a card that does not migrate.
    pub(super) levels: &'static [Level],
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
        levels: &ONE_PORT,
    },
    &Kind {
        info: TypeInfo {
            name: c"serial2",
            pretty_name: c"PCI serial card, 2 ports",
        },
        description: "PCI serial card with two 16550A ports, each in a loopback plug",
        ports: Ports::Two,
        levels: &TWO_PORTS,
    },
    &Kind {
        info: TypeInfo {
            name: c"serial1-local",
            pretty_name: c"PCI serial card, 1 port, cannot migrate",
        },
        description:
            "PCI serial card with one 16550A port in a loopback plug, for hosts it need not leave",
        ports: Ports::One,
        levels: &[],
    },
];

/// A version of a kind of card: what is guest-visible, and what is said of it.
pub(super) struct Level {
    pub(super) abi: model::Abi,
    /// What the type and its devices say of themselves, by which their states are compatible with others or not. Both
    /// go by this one value, so that the type predicts the device.
    pub(super) identity: Identity<'static>,
}

impl Level {
    /// What an operator calls it by.
    pub(super) fn baseline(&self) -> Baseline {
        Baseline::of(self.identity.version())
    }
}

static ONE_PORT: [Level; 4] = levels(&[ports(1)]);
static TWO_PORTS: [Level; 4] = levels(&[ports(2)]);

/// The parameter that says how many ports a card has. A guest counts them, so they must be equal.
const fn ports(value: u64) -> Parameter<'static> {
    Parameter {
        name: "ports",
        rule: Rule::Equal,
        value,
    }
}

/// Returns the levels of a card with these parameters, the newest first.
const fn levels(parameters: &'static [Parameter<'static>]) -> [Level; 4] {
    use model::Abi::{V1_0, V1_1};
    [
        level(V1_1, 2, parameters),
        level(V1_1, 1, parameters),
        level(V1_0, 2, parameters),
        level(V1_0, 1, parameters),
    ]
}

/// Returns one level. It loads what older ones write, and nothing that is newer than itself: as a driver would that knows
/// no newer one. So what comes here can also go on to where such a driver is.
const fn level(abi: model::Abi, stream: u32, parameters: &'static [Parameter<'static>]) -> Level {
    let description = Description {
        vendor: "migdev",
        model: "serial",
        abi: Abi {
            major: abi.major() as u32,
            minor: abi.minor() as u32,
        },
        stream: Stream {
            writes: stream,
            oldest: OLDEST as u32,
            newest: stream,
        },
        needs: &[],
        takes: &[],
        parameters,
        extensions: &[],
    };
    // A mistake in here is one at build time.
    match Version::new(&description) {
        Ok(version) => Level {
            abi,
            identity: Identity::new(version),
        },
        Err(_) => panic!("not a valid version"),
    }
}
