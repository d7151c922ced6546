// SPDX-License-Identifier: GPL-2.0-only

//! What of a domain's XML is read, that the rest comes back as it was, and that no XML does harm.

use migver_cli::libvirt::xml::{
    parse,
    replace,
    Domain,
    Edit,
    XmlError,
    MAX_LEN, //
};
use proptest::prelude::*;

/// What libvirt hands to a hook.
const IMAGE: &str = include_str!("libvirt/image.xml");
/// What libvirt keeps of a domain that runs.
const STATUS: &str = include_str!("libvirt/status.xml");

const DEVICE: &str = "206bb5c2-2bc3-4986-8d12-144a875d2567";
const OTHER: &str = "8ce25d31-69ea-4f43-b4da-77fa7aca2ea7";

fn read(xml: &str) -> Result<Domain, XmlError> {
    parse(xml.as_bytes())
}

/// Puts `OTHER` wherever the domain has `DEVICE`.
fn substituted(xml: &str) -> String {
    let domain = read(xml).unwrap();
    let spans = domain
        .mdevs
        .iter()
        .map(|mdev| mdev.span.clone())
        .chain(domain.pins.iter().map(|pin| pin.uuid.span.clone()));
    let edits = spans.map(|span| Edit {
        span,
        value: OTHER.to_owned(),
    });
    replace(xml, edits.collect())
}

#[test]
fn reads_what_libvirt_writes() {
    for xml in [IMAGE, STATUS] {
        let domain = read(xml).unwrap();
        assert_eq!(domain.name, "guest");
        assert_eq!(domain.uuid.as_str(), "c7a5fdbd-edaf-9455-926a-d65c16db1809");
        let mdevs: Vec<_> = domain
            .mdevs
            .iter()
            .map(|mdev| mdev.value.as_str())
            .collect();
        assert_eq!(mdevs, [DEVICE]);
        let pin = domain.pin(&domain.mdevs[0].value).unwrap();
        assert_eq!(
            pin.version.value,
            "migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,param.ports=eq:2"
        );
    }
}

#[test]
fn changes_the_uuids_and_nothing_else() {
    let changed = substituted(IMAGE);
    assert_ne!(changed, IMAGE);
    assert_eq!(changed, IMAGE.replace(DEVICE, OTHER));
    assert_eq!(changed.replace(OTHER, DEVICE), IMAGE);
}

#[test]
fn what_is_not_understood_comes_back_byte_for_byte() {
    let xml = format!(
        "<?xml version='1.0' encoding='UTF-8'?>\r\n<!-- {DEVICE} -->\n<?editor a='b'?>\n\
         <domain  type = \"kvm\" xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>\n\
         \t<name>a&amp;b&#233;<![CDATA[<]]></name ><uuid>\nC7A5FDBD-EDAF-9455-926A-D65C16DB1809 </uuid>\n\
         <description>{DEVICE} &lt;hostdev></description>\n\
         <metadata><x:migration xmlns:x='urn:other'><x:device uuid='{DEVICE}' version='v'/></x:migration>\n\
         <migration xmlns='urn:migdev:libvirt:1'><device version='a&apos;b' extra=\"&gt;\" uuid=\"{DEVICE}\"></device>\
         </migration></metadata>\n\
         <devices><hostdev type='pci'><source><address uuid='{DEVICE}'/></source></hostdev>\
         <hostdev mode='subsystem' type='mdev'><!-- --><source><address  uuid = '{DEVICE}' /></source></hostdev></devices>\n\
         <q:commandline><q:arg value='{DEVICE}'/></q:commandline></domain>\n<!-- end -->\n"
    );
    let domain = read(&xml).unwrap();
    assert_eq!(domain.name, "a&b\u{e9}<");
    assert_eq!(domain.pins[0].version.value, "a'b");
    let changed = substituted(&xml);
    let expected = xml
        .replace(&format!("uuid=\"{DEVICE}\""), &format!("uuid=\"{OTHER}\""))
        .replace(&format!("uuid = '{DEVICE}'"), &format!("uuid = '{OTHER}'"));
    assert_eq!(changed, expected);
    assert_eq!(changed.matches(OTHER).count(), 2);
}

#[test]
fn what_is_put_in_cannot_end_the_attribute() {
    let xml = "<a b='x'/>";
    let edit = Edit {
        span: 6..7,
        value: "'/><evil c=\"&".to_owned(),
    };
    assert_eq!(
        replace(xml, vec![edit]),
        "<a b='&apos;/&gt;&lt;evil c=&quot;&amp;'/>"
    );
}

#[test]
fn a_domain_without_mdevs_has_none() {
    let xml = "<domain><name>n</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid></domain>";
    let domain = read(xml).unwrap();
    assert!(domain.mdevs.is_empty() && domain.pins.is_empty());
}

#[test]
fn refuses_entities_that_the_xml_declares_itself() {
    let bomb = "<!DOCTYPE domain [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>\
                <domain><name>&b;</name></domain>";
    assert_eq!(read(bomb), Err(XmlError::DocumentType));
    let file = "<!DOCTYPE domain [<!ENTITY a SYSTEM 'file:///etc/shadow'>]><domain><name>&a;</name></domain>";
    assert_eq!(read(file), Err(XmlError::DocumentType));
    let undeclared = IMAGE.replace("<name>guest", "<name>&guest;");
    assert!(matches!(read(&undeclared), Err(XmlError::Malformed(_))));
}

#[test]
fn refuses_what_is_too_long_too_deep_or_too_wide() {
    let long = "a".repeat(MAX_LEN + 1);
    assert_eq!(read(&long), Err(XmlError::TooLong));
    let deep = "<a>".repeat(100_000);
    assert_eq!(read(&format!("<domain>{deep}")), Err(XmlError::TooComplex));
    let wide: Vec<_> = (0..1000).map(|n| format!(" a{n}=''")).collect();
    let wide = wide.concat();
    let xml = IMAGE.replace("<hostdev ", &format!("<hostdev {wide} "));
    assert_eq!(read(&xml), Err(XmlError::TooComplex));
}

#[test]
fn refuses_what_is_not_a_domain() {
    for xml in ["", "guest", "<network/>", "<x:domain xmlns:x='urn:x'/>"] {
        assert_eq!(read(xml), Err(XmlError::NotADomain), "{xml}");
    }
    assert_eq!(parse(b"<domain>\xff</domain>"), Err(XmlError::NotUtf8));
    let nameless = IMAGE.replace("<name>guest</name>", "");
    assert_eq!(read(&nameless), Err(XmlError::Missing("<name>")));
    for (from, to) in [
        ("</domain>", ""),
        ("</domain>", "</domain><domain/>"),
        ("</devices>", "</device>"),
        ("<devices>", "<devices"),
    ] {
        let xml = IMAGE.replacen(from, to, 1);
        assert!(
            matches!(read(&xml), Err(XmlError::Malformed(_))),
            "{from} {to}"
        );
    }
}

#[test]
fn refuses_what_can_be_said_only_once() {
    let twice = IMAGE.replace("<name>guest</name>", "<name>guest</name><name>other</name>");
    assert!(matches!(read(&twice), Err(XmlError::Twice("<name>", _))));
    let hostdev =
        format!("<hostdev type='mdev'><source><address uuid='{DEVICE}'/></source></hostdev>");
    let twice = IMAGE.replace("</devices>", &format!("{hostdev}</devices>"));
    assert_eq!(
        read(&twice),
        Err(XmlError::Twice("<hostdev>", DEVICE.to_owned()))
    );
}

#[test]
fn refuses_uuids_that_are_none() {
    for bad in ["", "../../../etc", "206bb5c2"] {
        let xml = IMAGE.replace(DEVICE, bad);
        assert!(matches!(read(&xml), Err(XmlError::Value(..))), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail_otherwise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_damage_makes_it_fail_otherwise(at in 0..IMAGE.len(), with in "[<>&'\"/a \\]\\[!?=-]{0,4}", cut in 0..8usize) {
        let mut bytes = IMAGE.as_bytes().to_vec();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        // What is still a domain can still be changed, and then says so.
        if let Ok(domain) = parse(&bytes) {
            let xml = String::from_utf8(bytes).unwrap();
            let changed = read(&substituted(&xml)).unwrap();
            prop_assert_eq!(changed.mdevs.len(), domain.mdevs.len());
            prop_assert!(changed.mdevs.iter().all(|mdev| mdev.value.as_str() == OTHER));
        }
    }
}
