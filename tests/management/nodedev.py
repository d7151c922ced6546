# SPDX-License-Identifier: GPL-2.0-only
"""libvirt's node devices: it lists the types under each card, and makes and ends devices of them."""

import uuid
import xml.etree.ElementTree as ElementTree

import host
from host import DEVICES, TWO_PORTS, node, virsh

WRONG = "migver:1,vendor=other,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:2"


def description(card, identifier, kind=TWO_PORTS, attributes=()):
    """The XML of a device to be made, with sysfs attributes that mdevctl is to write."""
    attrs = "".join(f"<attr name='{name}' value='{value}'/>" for name, value in attributes)
    return (
        f"<device><parent>{node(card)}</parent><capability type='mdev'>"
        f"<type id='{kind}'/><uuid>{identifier}</uuid>{attrs}</capability></device>"
    )


def name_of(card, identifier):
    """What libvirt calls a device."""
    return f"mdev_{identifier.replace('-', '_')}_{node(card)[4:]}"


def make(card, kind=TWO_PORTS, identifier=None):
    """A device by libvirt, which is gone once it is ended; returns its UUID."""
    identifier = identifier or str(uuid.uuid4())
    virsh("nodedev-create", "/dev/stdin", text=description(card, identifier, kind))
    return identifier


def end(card, identifier):
    virsh("nodedev-destroy", name_of(card, identifier))


def inactive():
    """The devices that are defined and do not exist, as libvirt knows."""
    return host.words(virsh("nodedev-list", "--inactive", "--cap", "mdev"))


def capability(card):
    """What libvirt says of a card's types: for each its name, API and available instances."""
    tree = ElementTree.fromstring(virsh("nodedev-dumpxml", node(card)))
    return {
        kind.get("id"): (kind.findtext("name"), kind.findtext("deviceAPI"), kind.findtext("availableInstances"))
        for kind in tree.findall(".//capability[@type='mdev_types']/type")
    }


def in_sysfs(card):
    """The same as the kernel says it."""
    return {
        path.name: tuple(
            (path / attribute).read_text().strip() for attribute in ("name", "device_api", "available_instances")
        )
        for path in (host.PARENTS / card / "mdev_supported_types").iterdir()
    }


def dumped(card, identifier):
    """libvirt's description of a device, once that has its driver, of which libvirt learns by an event of the kernel."""

    def description_with_driver():
        tree = ElementTree.fromstring(virsh("nodedev-dumpxml", name_of(card, identifier)))
        return tree if tree.findtext("driver/name") else None

    return host.until(description_with_driver, "libvirt to see the driver of a device")


def check_device(report, card, identifier, kind=TWO_PORTS):
    """A device is there, as it was asked for."""
    report.equal("it is in sysfs, with its parent and its type", host.devices().get(identifier), f"{card}/{kind}")
    wanted = host.string_of(host.type_of(card, kind))
    report.equal("its migration_version is its type's", host.string_of(DEVICES / identifier), wanted)
    tree = dumped(card, identifier)
    found = tuple(tree.findtext(path) for path in ("parent", "driver/name", ".//uuid", ".//parent_addr"))
    report.equal("libvirt describes it", found, (node(card), "migdev", identifier, card))
    report.equal("with its type", [each.get("id") for each in tree.findall(".//type")], [kind])


def lists_types(_, report):
    cards = host.cards()
    report.check("there are cards", len(cards) >= 2, cards)
    listed = host.words(virsh("nodedev-list", "--cap", "mdev_types"))
    report.equal("libvirt lists each card, and nothing else", listed, sorted(map(node, cards)))
    for card in cards:
        report.equal(f"{card}: it tells name, API and instances of each type", capability(card), in_sysfs(card))
        report.equal("which are all three", sorted(in_sysfs(card)), sorted([host.ONE_PORT, host.TWO_PORTS, host.LOCAL]))


def defines_and_starts(_, report):
    before = host.snapshot()
    card, identifier = host.cards()[0], str(uuid.uuid4())
    name = name_of(card, identifier)
    free = host.instances(card, TWO_PORTS)
    virsh("nodedev-define", "/dev/stdin", text=description(card, identifier))
    report.equal("defined, it is inactive", inactive(), [name])
    report.equal("and not in sysfs", host.devices(), before["devices"])
    virsh("nodedev-start", name)
    check_device(report, card, identifier)
    report.equal("libvirt knows one instance less", capability(card)[TWO_PORTS][2], str(free - 1))
    virsh("nodedev-destroy", name)
    report.equal("ended, it is gone from sysfs", host.devices(), before["devices"])
    host.until(inactive, "libvirt to notice that the device has gone")
    report.equal("and still defined", inactive(), [name])
    virsh("nodedev-start", name)
    report.check("it can be started again", identifier in host.devices())
    virsh("nodedev-destroy", name)
    virsh("nodedev-undefine", name)
    host.forget_definitions(card)
    host.check_unchanged(report, before, "undefined, all is as before")


def creates(_, report):
    before = host.snapshot()
    for card in host.cards():
        identifier = make(card)
        check_device(report, card, identifier)
        again = host.try_virsh("nodedev-create", "/dev/stdin", text=description(card, identifier))
        report.check("a second one of the same UUID is refused", again.status != 0, again)
        end(card, identifier)
    host.check_unchanged(report, before, "ended, all is as before")


def pins(_, report):
    """libvirt hands a node device's attributes to mdevctl, which writes them once the device exists."""
    before = host.snapshot()
    card, identifier = host.cards()[0], str(uuid.uuid4())
    string = host.string_of(host.type_of(card, TWO_PORTS))
    xml = description(card, identifier, attributes=[("migration_version", string)])
    virsh("nodedev-create", "/dev/stdin", text=xml)
    report.check("with a string that it accepts, a device is made", identifier in host.devices())
    end(card, identifier)
    xml = description(card, identifier, attributes=[("migration_version", WRONG)])
    refused = host.try_virsh("nodedev-create", "/dev/stdin", text=xml)
    report.check("with one that it does not accept, none is", refused.status != 0, refused)
    report.note(refused)
    host.check_unchanged(report, before)
