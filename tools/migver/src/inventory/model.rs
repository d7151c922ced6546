// SPDX-License-Identifier: GPL-2.0-only

//! What one host offers: its mdev parents, their types, and the devices that exist.
//!
//! `migver inventory` collects it from sysfs and writes it as JSON; everything that decides for a fleet reads it back:
//!
//! ```json
//! {"schema":1,"host":"node7","collected":"2026-11-23T16:00:00Z","kernel":"7.3.4",
//!  "parents":[{"name":"0000:00:05.0","types":[{"name":"migdev-serial2","pretty_name":"Serial card with 2 ports",
//!    "device_api":"vfio-pci","available_instances":4096,"migration_version":"migver:1,...","migration_baseline":null}]}],
//!  "devices":[{"uuid":"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001","parent":"0000:00:05.0","type":"migdev-serial2",
//!    "migration_version":"migver:1,..."}]}
//! ```
//!
//! A field that this schema does not know is passed over, so that a newer tool can say more; another schema is
//! refused. What was read comes from other hosts: [`Inventory::read`] refuses text with control characters in it, so
//! that whatever is in an inventory can be shown on a terminal.

use crate::text::is_hidden;

use serde::{
    Deserialize,
    Serialize, //
};

use std::{
    fmt,
    io, //
};

/// The schema that this code reads and writes.
pub const SCHEMA: u32 = 1;

/// The greatest length of a text in an inventory that is not a version string, in bytes.
pub const MAX_TEXT: usize = 255;

/// What one host offers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Inventory {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The host's name.
    pub host: String,
    /// When it was collected: a date and time of RFC 3339 in UTC.
    #[serde(default)]
    pub collected: String,
    /// The release of the host's kernel, as `uname -r` shows it.
    #[serde(default)]
    pub kernel: String,
    /// The mdev parents, sorted by name.
    #[serde(default)]
    pub parents: Vec<Parent>,
    /// The mdev devices that exist, sorted by UUID.
    #[serde(default)]
    pub devices: Vec<Device>,
}

/// A device that mdev devices are created from: an entry of `/sys/class/mdev_bus`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Parent {
    /// Its name in `/sys/class/mdev_bus`.
    pub name: String,
    /// The types it offers, sorted by name.
    #[serde(default)]
    pub types: Vec<Type>,
}

/// An mdev type of one parent: an entry of its `mdev_supported_types`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Type {
    /// The type's identifier.
    pub name: String,
    /// What the vendor calls it for people; empty if it does not.
    #[serde(default)]
    pub pretty_name: String,
    /// How user space talks to its devices, such as `vfio-pci`.
    #[serde(default)]
    pub device_api: String,
    /// How many more devices can be created of it now.
    #[serde(default)]
    pub available_instances: u64,
    /// The string of a device that would be created now; [`None`] if its devices do not migrate.
    #[serde(default)]
    pub migration_version: Option<String>,
    /// The baseline that the type is held at; [`None`] if it has none.
    #[serde(default)]
    pub migration_baseline: Option<String>,
}

/// An mdev device that exists.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Device {
    /// Its UUID, in lower case.
    pub uuid: String,
    /// The name of its parent.
    #[serde(default)]
    pub parent: String,
    /// The identifier of its type.
    #[serde(rename = "type", default)]
    pub type_name: String,
    /// Its string; [`None`] if it does not migrate.
    #[serde(default)]
    pub migration_version: Option<String>,
}

/// What is looked at first: what is of another schema may have other fields.
#[derive(Deserialize)]
struct Head {
    schema: Option<u64>,
}

/// Why an inventory cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// It could not be fetched.
    Io(io::Error),
    /// It is not JSON, or not of the form of an inventory.
    Json(serde_json::Error),
    /// It is of another schema.
    Schema(u64),
    /// A field has text that is empty, too long, or has a control character.
    Text(&'static str),
    /// Something is named twice.
    Twice(&'static str, String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Json(error) => write!(f, "not an inventory: {error}"),
            Self::Schema(schema) => {
                write!(
                    f,
                    "schema {schema} is not known here, only schema {SCHEMA} is"
                )
            }
            Self::Text(field) => write!(
                f,
                "{field} is empty, longer than allowed, or has a control character"
            ),
            Self::Twice(what, name) => write!(f, "{what} {name} is there twice"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() {
            Self::Io(error.into())
        } else {
            Self::Json(error)
        }
    }
}

impl Inventory {
    /// Reads every inventory in a text: one, or several after one another with or without white space between them,
    /// as a loop over hosts gathers them.
    ///
    /// # Errors
    ///
    /// As [`ReadError`] says. A text without any inventory is an error too.
    pub fn read(text: &[u8]) -> Result<Vec<Self>, ReadError> {
        let mut inventories = Vec::new();
        let mut heads = serde_json::Deserializer::from_slice(text).into_iter::<Head>();
        loop {
            let start = heads.byte_offset();
            let Some(head) = heads.next() else {
                break;
            };
            if let Some(schema) = head?.schema.filter(|schema| *schema != u64::from(SCHEMA)) {
                return Err(ReadError::Schema(schema));
            }
            let text = text.get(start..heads.byte_offset()).unwrap_or_default();
            let inventory: Self = serde_json::from_slice(text)?;
            inventory.check()?;
            inventories.push(inventory);
        }
        if inventories.is_empty() {
            // Lets the parser tell what it expected.
            serde_json::from_slice::<serde_json::Value>(text)?;
        }
        Ok(inventories)
    }

    /// Writes the inventory as JSON over several lines, with a newline at its end.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        out.write_all(b"\n")
    }

    /// Iterates over the types of all parents, in their order.
    pub fn types(&self) -> impl Iterator<Item = (&Parent, &Type)> {
        self.parents
            .iter()
            .flat_map(|parent| parent.types.iter().map(move |item| (parent, item)))
    }

    /// Finds a type by the name of its parent and its own.
    pub fn find_type(&self, parent: &str, name: &str) -> Option<&Type> {
        self.types()
            .find(|(owner, item)| owner.name == parent && item.name == name)
            .map(|(_, item)| item)
    }

    /// Finds a device by its UUID, in upper or lower case.
    pub fn find_device(&self, uuid: &str) -> Option<&Device> {
        self.devices
            .iter()
            .find(|device| device.uuid.eq_ignore_ascii_case(uuid))
    }

    /// Sorts parents, types and devices by name, so that one host has one inventory.
    pub fn sort(&mut self) {
        self.parents.sort_by(|a, b| a.name.cmp(&b.name));
        for parent in &mut self.parents {
            parent.types.sort_by(|a, b| a.name.cmp(&b.name));
        }
        self.devices.sort_by(|a, b| a.uuid.cmp(&b.uuid));
    }

    /// Checks that every text can be shown, and that nothing is named twice.
    fn check(&self) -> Result<(), ReadError> {
        name("host", &self.host)?;
        text("collected", &self.collected)?;
        text("kernel", &self.kernel)?;
        unique("parent", self.parents.iter().map(|item| &item.name))?;
        unique("device", self.devices.iter().map(|item| &item.uuid))?;
        for parent in &self.parents {
            name("parents.name", &parent.name)?;
            unique("type", parent.types.iter().map(|item| &item.name))?;
            for item in &parent.types {
                name("parents.types.name", &item.name)?;
                text("parents.types.pretty_name", &item.pretty_name)?;
                text("parents.types.device_api", &item.device_api)?;
                version("parents.types.migration_version", &item.migration_version)?;
                version("parents.types.migration_baseline", &item.migration_baseline)?;
            }
        }
        for device in &self.devices {
            name("devices.uuid", &device.uuid)?;
            text("devices.parent", &device.parent)?;
            text("devices.type", &device.type_name)?;
            version("devices.migration_version", &device.migration_version)?;
        }
        Ok(())
    }
}

/// Checks a text that must be there.
fn name(field: &'static str, text_there: &str) -> Result<(), ReadError> {
    if text_there.is_empty() {
        return Err(ReadError::Text(field));
    }
    text(field, text_there)
}

/// Checks a text that may be empty.
fn text(field: &'static str, text: &str) -> Result<(), ReadError> {
    if text.len() > MAX_TEXT || text.chars().any(is_hidden) {
        return Err(ReadError::Text(field));
    }
    Ok(())
}

/// Checks a version string as far as it could do harm when shown. Whether it can be read is looked at where it is
/// compared: a string of a later schema is no mistake.
fn version(field: &'static str, version: &Option<String>) -> Result<(), ReadError> {
    match version {
        // As much as the kernel lets an attribute hold.
        Some(text) if text.len() > 4096 || text.chars().any(is_hidden) => {
            Err(ReadError::Text(field))
        }
        _ => Ok(()),
    }
}

/// Checks that no name comes twice.
fn unique<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), ReadError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ReadError::Twice(what, name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"schema":1,"host":"node7","collected":"2026-11-23T16:00:00Z","kernel":"7.3.4","color":"red",
        "parents":[{"name":"migdev","types":[
            {"name":"migdev-serial2","pretty_name":"two","device_api":"vfio-pci","available_instances":7,
             "migration_version":"migver:1,a","migration_baseline":"abi=1.1,stream=2"},
            {"name":"migdev-serial2-local","available_instances":7,"migration_version":null}]}],
        "devices":[{"uuid":"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001","parent":"migdev","type":"migdev-serial2",
                    "migration_version":"migver:1,a"}]}"#;

    fn read(text: &str) -> Result<Vec<Inventory>, String> {
        Inventory::read(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn passes_over_fields_that_it_does_not_know() {
        let inventories = read(TEXT).unwrap();
        assert_eq!(inventories.len(), 1);
        let inventory = &inventories[0];
        assert_eq!(inventory.host, "node7");
        assert_eq!(inventory.types().count(), 2);
        let local = inventory.find_type("migdev", "migdev-serial2-local");
        assert_eq!(local.unwrap().migration_version, None);
        let device = inventory.find_device("83B8F4F2-509f-382f-3c1e-e6bfe0fa1001");
        assert_eq!(device.unwrap().type_name, "migdev-serial2");
    }

    #[test]
    fn reads_what_it_writes() {
        let inventories = read(TEXT).unwrap();
        let mut text = Vec::new();
        inventories[0].write(&mut text).unwrap();
        assert_eq!(Inventory::read(&text).unwrap(), inventories);
    }

    #[test]
    fn reads_what_a_loop_over_hosts_gathers() {
        let text = format!("{TEXT}\n{}", TEXT.replace("node7", "node8"));
        let hosts: Vec<_> = read(&text)
            .unwrap()
            .into_iter()
            .map(|item| item.host)
            .collect();
        assert_eq!(hosts, ["node7", "node8"]);
    }

    #[test]
    fn refuses_another_schema_whatever_its_fields_are() {
        let refusal = read(r#"{"schema":2,"name":7}"#).unwrap_err();
        assert_eq!(refusal, "schema 2 is not known here, only schema 1 is");
    }

    #[test]
    fn refuses_what_is_no_inventory() {
        for text in ["", "[]", "7", "{", r#"{"host":"a"}"#, r#"{"schema":1}"#] {
            let refusal = read(text).unwrap_err();
            assert!(refusal.starts_with("not an inventory: "), "{refusal}");
        }
    }

    #[test]
    fn refuses_text_that_could_not_be_shown() {
        for (field, harm) in [
            ("node7", r"\u001b[2J"),
            ("node7", ""),
            ("7.3.4", r"\u202e"),
            ("migdev-serial2", r"a\nb"),
            ("migver:1,a", r"\u0007"),
        ] {
            let text = TEXT.replace(&format!("\"{field}\""), &format!("\"{harm}\""));
            let refusal = read(&text).unwrap_err();
            assert!(refusal.contains("control character"), "{refusal}");
        }
        let long = TEXT.replace("node7", &"a".repeat(MAX_TEXT + 1));
        assert!(read(&long).is_err());
    }

    #[test]
    fn refuses_names_that_come_twice() {
        let text = TEXT.replace("migdev-serial2-local", "migdev-serial2");
        let refusal = read(&text).unwrap_err();
        assert_eq!(refusal, "type migdev-serial2 is there twice");
    }
}
