// SPDX-License-Identifier: GPL-2.0-only

//! Which device a domain gets for one that it had on the source.
//!
//! In this order:
//!
//! 1. the device of the same UUID, if there is one,
//! 2. any other device that exists,
//! 3. a device that is created, of the same UUID if that is not taken.
//!
//! Each must be free and take the source's string. The library says what cannot fit, and why; what
//! is left is offered to the kernel, whose word counts: a type before a device is made of it, the
//! device itself after. Of several that fit, the parents that the configuration names go first, in
//! its order, then what is most like the source, in the [order](crate::fleet) of `migver find`.

use super::{
    Host,
    Node,
    Transaction,
    Uuid, //
};

use crate::{
    exit::os_text,
    fleet::{
        candidates,
        Candidate,
        Search,
        Why, //
    },
    inventory::Inventory, //
};

use migver::{
    Class,
    Version, //
};

use std::{
    collections::BTreeSet,
    fmt,
    io, //
};

/// How often a UUID is made anew because somebody else took it.
const ATTEMPTS: usize = 8;

/// A device of the source, for which one is sought here.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Its UUID on the source.
    pub uuid: &'a Uuid,
    /// Its string on the source.
    pub source: Version<'a>,
    /// The same as text.
    pub text: &'a str,
}

/// What the operator allows.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The parents that go first.
    pub parents: Vec<String>,
    /// Whether a device that exists may be taken, besides that of the same UUID.
    pub reuse: bool,
    /// Whether a device may be created.
    pub create: bool,
    /// Whether the domain's UUIDs may be replaced by others.
    pub substitute: bool,
}

/// How a device came to the domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum How {
    /// The device of the same UUID was here.
    Kept,
    /// Another device was here.
    Found,
    /// It was created, of this type.
    Created(Node),
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept"),
            Self::Found => f.write_str("found"),
            Self::Created(_) => f.write_str("created"),
        }
    }
}

/// The device that was chosen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choice {
    /// Its UUID here.
    pub uuid: Uuid,
    /// Its own string, for the domain's next migration.
    pub version: String,
    /// How it was got.
    pub how: How,
}

/// Why one node is not it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The strings do not fit: how far they are apart, and every reason.
    Incompatible(usize, String),
    /// The strings fit, and the kernel refused or failed all the same.
    Failed(&'static str, String),
    /// Somebody has it.
    InUse(String),
    /// No more devices can be created.
    Full,
    /// It does not migrate.
    DoesNotMigrate,
}

impl Fault {
    /// How far the node is from being it.
    const fn distance(&self) -> usize {
        match self {
            Self::Failed(..) | Self::InUse(_) | Self::Full => 0,
            Self::Incompatible(distance, _) => *distance,
            Self::DoesNotMigrate => usize::MAX,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incompatible(_, reasons) => f.write_str(reasons),
            Self::Failed(what, why) => write!(f, "{what}: {why}"),
            Self::InUse(by) => write!(f, "it is in use by {by}"),
            Self::Full => f.write_str("no more devices can be created of it"),
            Self::DoesNotMigrate => f.write_str("it does not migrate"),
        }
    }
}

/// Why there is no device for a wish: every node that was looked at, and its fault.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Refusal {
    /// The nodes in the order in which they were looked at.
    pub faults: Vec<(Node, Fault)>,
}

impl Refusal {
    fn add(&mut self, node: Node, fault: Fault) {
        self.faults.push((node, fault));
    }
}

/// One line: the node that came nearest, and every reason against it.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nearest = self.faults.iter().min_by_key(|(_, fault)| fault.distance());
        match (nearest, self.faults.len()) {
            (None, _) => f.write_str("this host has no mdev type"),
            (Some((node, fault)), 1) => write!(f, "{fault} ({node})"),
            (Some((node, fault)), count) => {
                write!(
                    f,
                    "{fault} ({node}, the nearest of {count} types and devices here)"
                )
            }
        }
    }
}

/// Finds or creates a device for `wish`.
///
/// `given` holds the devices that the domain was given already; the chosen one is added.
///
/// # Errors
///
/// If there is none. What was created on the way is removed again, or will be with the
/// transaction.
pub fn choose<H: Host>(
    transaction: &mut Transaction<'_, H>,
    inventory: &Inventory,
    policy: &Policy,
    wish: Wish<'_>,
    given: &mut BTreeSet<Uuid>,
) -> Result<Choice, Refusal> {
    let mut chooser = Chooser {
        transaction,
        inventory,
        policy,
        wish,
        given,
        refusal: Refusal::default(),
    };
    match chooser.existing().or_else(|| chooser.creation()) {
        Some(choice) => {
            given.insert(choice.uuid.clone());
            Ok(choice)
        }
        None => Err(chooser.refusal),
    }
}

struct Chooser<'s, 't, H: Host> {
    transaction: &'s mut Transaction<'t, H>,
    inventory: &'s Inventory,
    policy: &'s Policy,
    wish: Wish<'s>,
    given: &'s BTreeSet<Uuid>,
    refusal: Refusal,
}

impl<'s, H: Host> Chooser<'s, '_, H> {
    /// Looks for a device that exists.
    fn existing(&mut self) -> Option<Choice> {
        let uuid = self.wish.uuid;
        let device = self.inventory.find_device(uuid.as_str());
        // One that does not migrate is no candidate, unless the domain names it.
        if device.is_some_and(|device| device.migration_version.is_none()) {
            let node = Node::Device(uuid.clone());
            self.refusal.add(node, Fault::DoesNotMigrate);
        }
        let is_same = |name: &str| name.eq_ignore_ascii_case(uuid.as_str());
        let is_given = |name: &str| self.given.iter().any(|given| given.as_str() == name);
        let (same, mut others): (Vec<_>, Vec<_>) = candidates(self.inventory)
            .filter(|candidate| candidate.uuid().is_some_and(|name| !is_given(name)))
            .partition(|candidate| candidate.uuid().is_some_and(is_same));
        if !(self.policy.reuse && self.policy.substitute) {
            others.clear();
        }
        [same, others].into_iter().find_map(|candidates| {
            self.fitting(candidates)
                .into_iter()
                .find_map(|candidate| self.take(&candidate))
        })
    }

    /// Takes a device if it is free and the kernel agrees.
    fn take(&mut self, candidate: &Candidate<'_>) -> Option<Choice> {
        let uuid: Uuid = candidate.uuid()?.parse().ok()?;
        let node = Node::Device(uuid.clone());
        match self.transaction.host().user(&uuid) {
            Ok(None) => {}
            Ok(Some(user)) => {
                self.refusal.add(node, Fault::InUse(user));
                return None;
            }
            Err(error) => {
                let fault = Fault::Failed("its user cannot be told", os_text(&error));
                self.refusal.add(node, fault);
                return None;
            }
        }
        if !self.offer(&node) {
            return None;
        }
        self.transaction.reserve(&uuid);
        let how = if uuid == *self.wish.uuid {
            How::Kept
        } else {
            How::Found
        };
        let version = candidate.string.to_owned();
        Some(Choice { uuid, version, how })
    }

    /// Creates a device of the first type that takes the source's.
    fn creation(&mut self) -> Option<Choice> {
        if !self.policy.create {
            return None;
        }
        let types = candidates(self.inventory)
            .filter(|candidate| candidate.uuid().is_none())
            .collect();
        self.fitting(types)
            .into_iter()
            .find_map(|candidate| self.create(&candidate))
    }

    /// Creates a device of one type, and asks the kernel before and after.
    fn create(&mut self, candidate: &Candidate<'_>) -> Option<Choice> {
        let ty = node(candidate);
        if !self.offer(&ty) {
            return None;
        }
        let uuid = match self.create_unused(candidate.parent, candidate.type_name) {
            Ok(uuid) => uuid,
            Err(error) => {
                let fault = Fault::Failed("a device cannot be created", os_text(&error));
                self.refusal.add(ty, fault);
                return None;
            }
        };
        let device = Node::Device(uuid.clone());
        let version = if self.offer(&device) {
            self.transaction.host().version(&uuid).map_err(|error| {
                let fault = Fault::Failed("its string cannot be read", os_text(&error));
                self.refusal.add(device, fault);
            })
        } else {
            Err(())
        };
        match version {
            Ok(version) => Some(Choice {
                uuid,
                version,
                how: How::Created(ty),
            }),
            Err(()) => {
                // If this fails, the end of the transaction tries again.
                let _ = self.transaction.discard(&uuid);
                None
            }
        }
    }

    /// Creates a device of the same UUID, or of a new one if somebody has that.
    fn create_unused(&mut self, parent: &str, name: &str) -> io::Result<Uuid> {
        let mut uuid = self.wish.uuid.clone();
        let is_taken = self.inventory.find_device(uuid.as_str()).is_some();
        let mut result = if is_taken || self.given.contains(&uuid) {
            Err(io::ErrorKind::AlreadyExists.into())
        } else {
            self.transaction.create(parent, name, &uuid)
        };
        for _ in 0..ATTEMPTS {
            match result {
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && self.policy.substitute =>
                {
                    uuid = self.transaction.host().fresh()?;
                    result = self.transaction.create(parent, name, &uuid);
                }
                _ => break,
            }
        }
        result.map(|()| uuid)
    }

    /// Offers the source's string to the kernel.
    fn offer(&mut self, node: &Node) -> bool {
        match self.transaction.host().offer(node, self.wish.text) {
            Ok(()) => true,
            Err(error) => {
                let fault = Fault::Failed("the kernel refused", os_text(&error));
                self.refusal.add(node.clone(), fault);
                false
            }
        }
    }

    /// Drops what cannot fit, with the reasons, and puts the best first.
    fn fitting(&mut self, candidates: Vec<Candidate<'s>>) -> Vec<Candidate<'s>> {
        let found = Search::new(&self.wish.source).run(candidates);
        let mut fitting: Vec<_> = found.matches.iter().map(|item| item.candidate).collect();
        for refused in found.refused {
            let fault = match refused.why {
                // A string that this library is too old for. The kernel can still tell.
                Why::Unreadable(..) => {
                    fitting.push(refused.candidate);
                    continue;
                }
                Why::Incompatible(verdict) => {
                    let distance = verdict.reasons().map(|reason| weight(reason.class())).sum();
                    Fault::Incompatible(distance, verdict.to_string())
                }
                Why::Full => Fault::Full,
            };
            self.refusal.add(node(&refused.candidate), fault);
        }
        let parents = &self.policy.parents;
        fitting.sort_by_key(|candidate| {
            let place = parents.iter().position(|name| name == candidate.parent);
            place.unwrap_or(parents.len())
        });
        fitting
    }
}

/// Returns how much a reason sets a node apart. A type that is the right one but for its version is
/// what an operator wants to hear of, however many reasons there are, before one of another shape.
const fn weight(class: Class) -> usize {
    match class {
        Class::Version => 1,
        Class::Feature => 10,
        Class::Parameter => 1_000,
        _ => 100_000,
    }
}

/// Returns the node that a candidate stands for.
fn node(candidate: &Candidate<'_>) -> Node {
    match candidate.uuid().map(str::parse) {
        Some(Ok(uuid)) => Node::Device(uuid),
        _ => Node::Type {
            parent: candidate.parent.to_owned(),
            name: candidate.type_name.to_owned(),
        },
    }
}
