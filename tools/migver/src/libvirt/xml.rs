// SPDX-License-Identifier: GPL-2.0-only

//! The domain XML of libvirt: what of it matters here is found, and changed in place.
//!
//! libvirt hands a hook the whole domain and takes a whole domain back. Everything that is not
//! changed comes back byte for byte: the parser only tells where the values stand, and
//! [`replace`] puts others there.
//!
//! What is looked at:
//!
//! ```xml
//! <domain type='kvm'>
//!   <name>guest</name>
//!   <uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
//!   <metadata>
//!     <migdev:migration xmlns:migdev="urn:migdev:libvirt:1">
//!       <migdev:device uuid="206bb5c2-..." version="migver:1,..."/>
//!     </migdev:migration>
//!   </metadata>
//!   <devices>
//!     <hostdev mode='subsystem' type='mdev' managed='no' model='vfio-pci'>
//!       <source><address uuid='206bb5c2-...'/></source>
//!     </hostdev>
//!   </devices>
//! </domain>
//! ```
//!
//! The XML may come from another host. It is read without recursion, a document type (and with
//! it every entity of its own) is refused, and so is what is too long or too deep.

use super::Uuid;

use quick_xml::{
    escape::resolve_predefined_entity,
    events::{
        BytesStart,
        Event, //
    },
    name::{
        Namespace,
        ResolveResult, //
    },
    NsReader, //
};

use std::{
    fmt,
    ops::Range, //
};

/// The namespace of the metadata.
pub const NAMESPACE: &str = "urn:migdev:libvirt:1";

/// The greatest length of a domain's XML that is read, in bytes: as much as libxml2 takes in one
/// text by default.
pub const MAX_LEN: usize = 10_000_000;

/// How deep elements may be nested: as deep as libxml2 goes by default.
const MAX_DEPTH: usize = 256;

/// How many attributes an element that is looked at may have. libvirt writes fewer than ten.
const MAX_ATTRIBUTES: usize = 64;

/// A text and the bytes of the XML that it was read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spanned<T> {
    /// What was read.
    pub value: T,
    /// Where it stands.
    pub span: Range<usize>,
}

/// What a domain's metadata says of one device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pin {
    /// The device.
    pub uuid: Spanned<Uuid>,
    /// The string of the device on the source; it is not yet parsed.
    pub version: Spanned<String>,
}

/// What of a domain matters here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Domain {
    /// Its name, as a person gave it.
    pub name: String,
    /// Its UUID.
    pub uuid: Uuid,
    /// The mdevs that are assigned to it, in the order of the XML. No UUID is there twice.
    pub mdevs: Vec<Spanned<Uuid>>,
    /// What the metadata says, in the order of the XML. No UUID is there twice.
    pub pins: Vec<Pin>,
}

impl Domain {
    /// Finds what the metadata says of a device.
    pub fn pin(&self, uuid: &Uuid) -> Option<&Pin> {
        self.pins.iter().find(|pin| pin.uuid.value == *uuid)
    }
}

/// Why a domain's XML is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum XmlError {
    /// It is longer than [`MAX_LEN`].
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// It is not well-formed.
    Malformed(String),
    /// It has a document type, which no domain has.
    DocumentType,
    /// It is nested too deep, or one of its elements has too many attributes.
    TooComplex,
    /// It is no domain.
    NotADomain,
    /// An element that every domain has is missing.
    Missing(&'static str),
    /// A value cannot be read.
    Value(&'static str, String),
    /// Something is said twice that can be said only once.
    Twice(&'static str, String),
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it is longer than {MAX_LEN} bytes"),
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
            Self::Malformed(why) => write!(f, "it is not well-formed: {why}"),
            Self::DocumentType => f.write_str("it has a document type, which is not read"),
            Self::TooComplex => f.write_str("it is nested too deep or has too many attributes"),
            Self::NotADomain => f.write_str("it is not a <domain>"),
            Self::Missing(what) => write!(f, "it has no {what}"),
            Self::Value(what, why) => write!(f, "{what}: {why}"),
            Self::Twice(what, which) => write!(f, "{what} {which} is there twice"),
        }
    }
}

impl std::error::Error for XmlError {}

/// Where in the XML the parser is, as far as that matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Status,
    Domain,
    Name,
    Uuid,
    Metadata,
    Migration,
    Devices,
    Hostdev,
    Source,
    Elsewhere,
}

impl Place {
    /// Returns the place that an element makes, within this one.
    fn enter(parent: Option<Self>, ours: bool, none: bool, name: &[u8]) -> Self {
        match (parent, name) {
            (None, b"domain") | (Some(Self::Status), b"domain") if none => Self::Domain,
            (None, b"domstatus") if none => Self::Status,
            (Some(Self::Domain), b"name") if none => Self::Name,
            (Some(Self::Domain), b"uuid") if none => Self::Uuid,
            (Some(Self::Domain), b"metadata") if none => Self::Metadata,
            (Some(Self::Domain), b"devices") if none => Self::Devices,
            (Some(Self::Metadata), b"migration") if ours => Self::Migration,
            (Some(Self::Devices), b"hostdev") if none => Self::Hostdev,
            (Some(Self::Hostdev), b"source") if none => Self::Source,
            _ => Self::Elsewhere,
        }
    }
}

/// Reads a domain.
///
/// `xml` is a `<domain>`, or the `<domstatus>` in which libvirt keeps that of one that runs.
///
/// # Errors
///
/// As [`XmlError`] says.
pub fn parse(xml: &[u8]) -> Result<Domain, XmlError> {
    if xml.len() > MAX_LEN {
        return Err(XmlError::TooLong);
    }
    let xml = std::str::from_utf8(xml).map_err(|_| XmlError::NotUtf8)?;
    let mut reader = NsReader::from_str(xml);
    let mut parser = Parser::new(xml);
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(malformed)?;
        let none = matches!(namespace, ResolveResult::Unbound);
        let ours = matches!(namespace, ResolveResult::Bound(Namespace(name)) if name == NAMESPACE.as_bytes());
        match event {
            Event::Start(start) => parser.open(&start, ours, none)?,
            Event::Empty(start) => {
                parser.open(&start, ours, none)?;
                parser.close();
            }
            Event::End(_) => parser.close(),
            Event::Text(text) => parser.text(text.as_ref()),
            Event::CData(text) => parser.text(text.as_ref()),
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().map_err(malformed)? {
                    Some(character) => character.to_string(),
                    None => reference
                        .decode()
                        .ok()
                        .and_then(|name| resolve_predefined_entity(&name).map(str::to_owned))
                        .ok_or_else(|| {
                            XmlError::Malformed("an entity is not declared".to_owned())
                        })?,
                };
                parser.text(character.as_bytes());
            }
            Event::DocType(_) => return Err(XmlError::DocumentType),
            Event::Eof => return parser.finish(),
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
        }
    }
}

fn malformed(error: impl fmt::Display) -> XmlError {
    XmlError::Malformed(error.to_string())
}

/// What was found so far.
struct Parser<'x> {
    xml: &'x str,
    places: Vec<Place>,
    seen_root: bool,
    /// Whether the `<hostdev>` that is open is an mdev.
    is_mdev: bool,
    name: Option<String>,
    uuid: Option<String>,
    mdevs: Vec<Spanned<Uuid>>,
    pins: Vec<Pin>,
}

impl<'x> Parser<'x> {
    const fn new(xml: &'x str) -> Self {
        Self {
            xml,
            places: Vec::new(),
            seen_root: false,
            is_mdev: false,
            name: None,
            uuid: None,
            mdevs: Vec::new(),
            pins: Vec::new(),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>, ours: bool, none: bool) -> Result<(), XmlError> {
        if self.places.len() >= MAX_DEPTH {
            return Err(XmlError::TooComplex);
        }
        let parent = self.places.last().copied();
        if parent.is_none() && std::mem::replace(&mut self.seen_root, true) {
            return Err(XmlError::Malformed("it has two roots".to_owned()));
        }
        let name = start.local_name();
        let place = Place::enter(parent, ours, none, name.as_ref());
        match place {
            Place::Elsewhere if parent.is_none() => return Err(XmlError::NotADomain),
            Place::Name => first("<name>", &mut self.name)?,
            Place::Uuid => first("<uuid>", &mut self.uuid)?,
            Place::Hostdev => {
                let kind = self.attribute(start, "type")?;
                self.is_mdev = kind.is_some_and(|kind| kind.value == "mdev");
            }
            _ => {}
        }
        match (parent, name.as_ref()) {
            (Some(Place::Source), b"address") if none && self.is_mdev => self.mdev(start)?,
            (Some(Place::Migration), b"device") if ours => self.pin(start)?,
            _ => {}
        }
        self.places.push(place);
        Ok(())
    }

    fn close(&mut self) {
        self.places.pop();
    }

    fn text(&mut self, text: &[u8]) {
        let to = match self.places.last() {
            Some(Place::Name) => &mut self.name,
            Some(Place::Uuid) => &mut self.uuid,
            _ => return,
        };
        to.get_or_insert_default()
            .push_str(&String::from_utf8_lossy(text));
    }

    fn mdev(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        const WHAT: &str = "the address of a <hostdev>";
        let uuid = self
            .attribute(start, "uuid")?
            .ok_or_else(|| XmlError::Value(WHAT, "it has no uuid".to_owned()))?;
        let mdev = uuid_of(WHAT, uuid)?;
        if self.mdevs.iter().any(|other| other.value == mdev.value) {
            return Err(XmlError::Twice("<hostdev>", mdev.value.to_string()));
        }
        self.mdevs.push(mdev);
        Ok(())
    }

    fn pin(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        const WHAT: &str = "a device of the metadata";
        let missing = |name: &str| XmlError::Value(WHAT, format!("it has no {name}"));
        let uuid = self
            .attribute(start, "uuid")?
            .ok_or_else(|| missing("uuid"))?;
        let version = self
            .attribute(start, "version")?
            .ok_or_else(|| missing("version"))?;
        let uuid = uuid_of(WHAT, uuid)?;
        if self.pins.iter().any(|pin| pin.uuid.value == uuid.value) {
            return Err(XmlError::Twice(WHAT, uuid.value.to_string()));
        }
        self.pins.push(Pin { uuid, version });
        Ok(())
    }

    /// Returns the value of an attribute that is in no namespace, and where it stands.
    fn attribute(
        &self,
        start: &BytesStart<'_>,
        name: &str,
    ) -> Result<Option<Spanned<String>>, XmlError> {
        let mut found = None;
        for (count, attribute) in start.attributes().enumerate() {
            if count == MAX_ATTRIBUTES {
                return Err(XmlError::TooComplex);
            }
            let attribute = attribute.map_err(malformed)?;
            if attribute.key.as_ref() == name.as_bytes() {
                found = Some(attribute);
            }
        }
        let Some(attribute) = found else {
            return Ok(None);
        };
        let raw: &[u8] = &attribute.value;
        // The parser borrows from the XML, so the distance of the two is the place.
        let place = (raw.as_ptr() as usize).wrapping_sub(self.xml.as_ptr() as usize);
        let span = place..place.wrapping_add(raw.len());
        let value = self
            .xml
            .get(span.clone())
            .filter(|text| text.as_bytes() == raw)
            .ok_or_else(|| XmlError::Malformed("a value is not where it was read".to_owned()))?;
        let value = quick_xml::escape::unescape(value)
            .map_err(malformed)?
            .into_owned();
        Ok(Some(Spanned { value, span }))
    }

    fn finish(self) -> Result<Domain, XmlError> {
        if !self.places.is_empty() {
            return Err(XmlError::Malformed("it ends too early".to_owned()));
        }
        if !self.seen_root {
            return Err(XmlError::NotADomain);
        }
        let uuid = self.uuid.ok_or(XmlError::Missing("<uuid>"))?;
        Ok(Domain {
            name: self.name.ok_or(XmlError::Missing("<name>"))?,
            uuid: uuid
                .trim()
                .parse()
                .map_err(|error| XmlError::Value("<uuid>", format!("{error}")))?,
            mdevs: self.mdevs,
            pins: self.pins,
        })
    }
}

/// Marks an element as seen, which can be there once.
fn first(what: &'static str, text: &mut Option<String>) -> Result<(), XmlError> {
    match text.replace(String::new()) {
        None => Ok(()),
        Some(_) => Err(XmlError::Twice(what, String::new())),
    }
}

fn uuid_of(what: &'static str, text: Spanned<String>) -> Result<Spanned<Uuid>, XmlError> {
    match text.value.parse() {
        Ok(value) => Ok(Spanned {
            value,
            span: text.span,
        }),
        Err(error) => Err(XmlError::Value(what, format!("{}: {error}", text.value))),
    }
}

/// One change to a text: what stands in the range gives way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edit {
    /// The bytes that go.
    pub span: Range<usize>,
    /// The value of an attribute that takes their place. It is escaped here.
    pub value: String,
}

/// Returns `xml` with each of `edits` made and everything else as it was.
///
/// Edits whose ranges overlap or lie outside are not made; [`parse`] gives no such ranges.
pub fn replace(xml: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.span.start);
    let mut out = String::with_capacity(xml.len());
    let mut done = 0;
    for edit in edits {
        let Some(before) = xml.get(done..edit.span.start) else {
            continue;
        };
        if xml.get(edit.span.clone()).is_some() {
            out.push_str(before);
            out.push_str(&quick_xml::escape::escape(edit.value.as_str()));
            done = edit.span.end;
        }
    }
    out.push_str(xml.get(done..).unwrap_or_default());
    out
}
