// SPDX-License-Identifier: GPL-2.0-only

//! A host in memory, that counts what changes it and can refuse at any step.

use migver_cli::{
    inventory::{
        Device,
        Inventory,
        Parent,
        Type, //
    },
    libvirt::{
        Entry,
        Host,
        Node,
        Uuid, //
    },
    Error, //
};

use std::{
    cell::RefCell,
    collections::{
        BTreeMap,
        BTreeSet, //
    },
    io, //
};

/// A version string of a serial card.
pub fn version(abi: &str, stream: &str, ports: u32) -> String {
    format!("migver:1,vendor=migdev,model=serial,abi={abi},stream={stream},param.ports=eq:{ports}")
}

/// Turns a digit into a UUID.
pub fn uuid(digit: u32) -> Uuid {
    format!("00000000-0000-4000-8000-{digit:012x}")
        .parse()
        .unwrap()
}

/// A host that is a few maps.
#[derive(Debug, Default)]
pub struct Memory {
    /// The types: string and how many more devices can be created.
    pub types: BTreeMap<(String, String), (String, u64)>,
    /// The devices: parent, type and string.
    pub devices: BTreeMap<Uuid, (String, String, String)>,
    /// Who has a device.
    pub users: BTreeMap<Uuid, String>,
    /// What is written down of the domain.
    pub notes: Vec<Entry>,
    /// Devices that somebody else creates between the inventory and our own creation.
    pub races: BTreeSet<Uuid>,
    /// What the device's file answers, whatever the type said.
    pub device_refuses: bool,
    /// The step that fails, counted from 0.
    pub fails_at: Option<usize>,
    /// After how many steps a signal comes.
    pub interrupted_after: Option<usize>,
    /// What was done, in order.
    pub steps: RefCell<Vec<String>>,
    next: u32,
}

impl Memory {
    /// Returns a host with types as `(parent, type, string)`, of each of which 4 devices can be created.
    pub fn with(types: &[(&str, &str, &str)]) -> Self {
        let types = types
            .iter()
            .map(|(parent, name, string)| {
                let key = ((*parent).to_owned(), (*name).to_owned());
                (key, ((*string).to_owned(), 4))
            })
            .collect();
        Self {
            types,
            ..Self::default()
        }
    }

    /// Adds a device that exists.
    pub fn add(&mut self, device: &Uuid, parent: &str, name: &str, string: &str) {
        let value = (parent.to_owned(), name.to_owned(), string.to_owned());
        self.devices.insert(device.clone(), value);
    }

    /// Counts a step, which fails if it is the one that is to fail.
    fn step(&self, what: String) -> io::Result<()> {
        let mut steps = self.steps.borrow_mut();
        let fails = self.fails_at == Some(steps.len());
        steps.push(what);
        if fails {
            Err(io::Error::other("this step fails"))
        } else {
            Ok(())
        }
    }
}

impl Host for Memory {
    fn inventory(&self) -> Result<Inventory, Error> {
        let mut parents: Vec<Parent> = Vec::new();
        for ((parent, name), (string, available)) in &self.types {
            if parents.last().is_none_or(|last| last.name != *parent) {
                parents.push(Parent {
                    name: parent.clone(),
                    types: Vec::new(),
                });
            }
            parents.last_mut().unwrap().types.push(Type {
                name: name.clone(),
                pretty_name: String::new(),
                device_api: "vfio-pci".to_owned(),
                available_instances: *available,
                migration_version: (!string.is_empty()).then(|| string.clone()),
                migration_baseline: None,
            });
        }
        let devices = self
            .devices
            .iter()
            .map(|(uuid, (parent, name, string))| Device {
                uuid: uuid.to_string(),
                parent: parent.clone(),
                type_name: name.clone(),
                migration_version: (!string.is_empty()).then(|| string.clone()),
            });
        Ok(Inventory {
            schema: 1,
            host: "memory".to_owned(),
            collected: String::new(),
            kernel: String::new(),
            parents,
            devices: devices.collect(),
        })
    }

    fn offer(&mut self, node: &Node, source: &str) -> io::Result<()> {
        self.step(format!("offer to {node}"))?;
        let string = match node {
            Node::Type { parent, name } => &self.types[&(parent.clone(), name.clone())].0,
            Node::Device(_) if self.device_refuses => return Err(io::Error::from_raw_os_error(95)),
            Node::Device(uuid) => &self.devices[uuid].2,
        };
        let source = migver::Version::parse(source.as_bytes()).unwrap();
        let destination = migver::Version::parse(string.as_bytes()).unwrap();
        if migver::compare(&source, &destination).is_compatible() {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(95))
        }
    }

    fn version(&self, uuid: &Uuid) -> io::Result<String> {
        self.step(format!("read {uuid}"))?;
        Ok(self.devices[uuid].2.clone())
    }

    fn create(&mut self, parent: &str, name: &str, uuid: &Uuid) -> io::Result<()> {
        self.step(format!("create {uuid} of {parent}/{name}"))?;
        if self.races.remove(uuid) {
            let string = version("1.0", "1:1-1", 7);
            self.add(uuid, parent, name, &string);
        }
        if self.devices.contains_key(uuid) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (string, available) = self.types.get_mut(&(parent.into(), name.into())).unwrap();
        *available -= 1;
        let string = string.clone();
        self.add(uuid, parent, name, &string);
        Ok(())
    }

    fn remove(&mut self, uuid: &Uuid) -> io::Result<()> {
        // What takes back does not fail here, whatever failed before.
        self.steps.borrow_mut().push(format!("remove {uuid}"));
        let (parent, name, _) = self.devices.remove(uuid).unwrap();
        self.types.get_mut(&(parent, name)).unwrap().1 += 1;
        Ok(())
    }

    fn user(&self, uuid: &Uuid) -> io::Result<Option<String>> {
        self.step(format!("look who has {uuid}"))?;
        Ok(self.users.get(uuid).cloned())
    }

    fn fresh(&mut self) -> io::Result<Uuid> {
        self.step("make a UUID".to_owned())?;
        self.next += 1;
        Ok(uuid(0xf00 + self.next))
    }

    fn note(&mut self, entries: &[Entry]) -> io::Result<()> {
        self.step(format!("note {}", entries.len()))?;
        self.notes = entries.to_vec();
        Ok(())
    }

    fn interrupted(&self) -> bool {
        self.interrupted_after
            .is_some_and(|steps| self.steps.borrow().len() >= steps)
    }
}
