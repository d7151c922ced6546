# SPDX-License-Identifier: GPL-2.0-only
"""A domain with a device is saved and goes on with another, which libvirt's hook finds or makes; where none fits, the
hook refuses and leaves nothing. One guest is carried through all of it: a scenario gets it where the one before left
it."""

import pathlib
import uuid
import xml.etree.ElementTree as ElementTree

import domain
import host
import nodedev
from card import KernelLog
from domain import NAME, NAMESPACES
from host import DEVICES, ONE_PORT, SOFTWARE, TWO_PORTS, run, virsh

IMAGE = "/tmp/saved"
CHANGED = "/tmp/changed.xml"
RECORDS = pathlib.Path("/run/migdev")


class World:
    """What the scenarios hand on."""

    def __init__(self):
        self.device = None
        """The UUID of the domain's device."""
        self.others = []
        """Those of devices that were made for a scenario."""

    def clear(self):
        host.try_virsh("destroy", NAME)
        for identifier in host.devices():
            host.remove(identifier)
        self.__init__()


def image(path=IMAGE):
    """The XML of the saved domain."""
    return ElementTree.fromstring(virsh("save-image-dumpxml", path))


def save(report):
    """The domain with the string of its device in its metadata, saved. Returns that string."""
    identifier, = domain.its_devices(domain.live())
    string = host.string_of(DEVICES / identifier)
    run("migver", "libvirt-stamp", NAME)
    report.equal("the metadata has the string of the device", domain.stamps(domain.live()), {identifier: string})
    virsh("save", NAME, IMAGE)
    report.equal("the saved domain has it too", domain.stamps(image()), {identifier: string})
    return string


def check_restored(report):
    """The domain runs, with one device that its metadata tells the truth of. Returns the device."""
    tree = domain.live()
    identifier, = domain.its_devices(tree)
    report.equal("the domain has a device that is here", identifier in host.devices(), True)
    report.equal("its metadata names that", domain.stamps(tree), {identifier: host.string_of(DEVICES / identifier)})
    domain.check_guest(report)
    return identifier


def uses(world, report):
    world.device = nodedev.make(host.cards()[0])
    virsh("create", "/dev/stdin", text=domain.description(world.device))
    report.equal("the domain runs with the device", domain.its_devices(domain.live()), [world.device])
    domain.await_boot()
    domain.check_guest(report)


def by_hand(world, report):
    """Without a string in its metadata the hook lets the domain alone."""
    virsh("save", NAME, IMAGE)
    nodedev.end(host.cards()[0], world.device)
    old, world.device = world.device, str(uuid.uuid4())
    host.create(SOFTWARE, TWO_PORTS, world.device)
    pathlib.Path(CHANGED).write_text(virsh("save-image-dumpxml", IMAGE).replace(old, world.device))
    virsh("restore", IMAGE, "--xml", CHANGED)
    report.equal("the domain has the device of the changed XML", domain.its_devices(domain.live()), [world.device])
    domain.check_guest(report)


def finds(world, report):
    """A device of another UUID that is here and free."""
    save(report)
    report.check("the device that nobody made for it stays", world.device in host.devices())
    host.remove(world.device)
    world.device = nodedev.make(host.cards()[1])
    before = host.devices()
    virsh("restore", IMAGE)
    report.equal("the domain goes on with the device that is here", check_restored(report), world.device)
    report.equal("and none was made", host.devices(), before)


def makes(world, report):
    """A device of another UUID, since something else has the old one."""
    save(report)
    nodedev.end(host.cards()[1], world.device)
    nodedev.make(host.cards()[1], ONE_PORT, world.device)
    taken, before = world.device, host.devices()
    virsh("restore", IMAGE)
    world.device = check_restored(report)
    report.check("the domain goes on with another device", world.device != taken)
    made = {identifier: kind for identifier, kind in host.devices().items() if identifier not in before}
    report.equal("which was made, and nothing else", list(made), [world.device])
    report.equal("of the right type", made[world.device].split("/")[1], TWO_PORTS)
    nodedev.end(host.cards()[1], taken)


def releases(world, report):
    report.check("the hook remembers what it made", any(world.device in path.read_text() for path in records()))
    save(report)
    report.check("once the domain has ended, that is gone", world.device not in host.devices())
    report.equal("the hook remembers nothing more", records(), [])


def records():
    """The hook's files about domains."""
    return [path for path in RECORDS.rglob("*") if path.is_file() and path.name != "lock"]


def refused(report, field, *arguments):
    """The saved domain is not restored; libvirt's error names the field."""
    before = host.snapshot()
    result = host.try_virsh("restore", IMAGE, *arguments)
    report.check("libvirt fails", result.status != 0, result)
    report.note(result.errors)
    report.check(f"and shows what differs: {field}", field in result.errors, result)
    host.check_unchanged(report, before)


def restamp(string):
    """The saved domain's XML with another string; returns its file."""
    tree = image()
    stamp, = tree.findall("./metadata/migdev:migration/migdev:device", NAMESPACES)
    stamp.set("version", string)
    pathlib.Path(CHANGED).write_text(ElementTree.tostring(tree, encoding="unicode"))
    return CHANGED


def refuses_older(_, report):
    with host.baseline(host.parents(), "abi=1.0,stream=1"):
        refused(report, "abi")


def changed_string(old, new):
    string, = domain.stamps(image()).values()
    if old not in string:
        raise host.Failure(f"{string} has no {old}")
    return restamp(string.replace(old, new))


def refuses_vendor(_, report):
    refused(report, "vendor", "--xml", changed_string("vendor=migdev", "vendor=other"))


def refuses_ports(_, report):
    refused(report, "param.ports", "--xml", changed_string("ports=eq:2", "ports=eq:4"))


def refuses_nonsense(_, report):
    refused(report, "malformed at byte 0", "--xml", restamp("nonsense"))


def device_refuses(_, report):
    """A string that is not the device's: the hook makes what the string asks for, and that refuses the state."""
    before, log = host.snapshot(), KernelLog()
    result = host.try_virsh("restore", IMAGE, "--xml", changed_string("ports=eq:2", "ports=eq:1"))
    report.check("libvirt fails", result.status != 0, result)
    report.note(result.errors)
    told = [line for line in log.lines() if "migration refused (ERANGE): param.ports: source eq:2" in line]
    report.check("it was the device that refused, by the string in the stream", told)
    host.check_unchanged(report, before)


def goes_on(world, report):
    """After all refusals."""
    virsh("restore", IMAGE)
    world.device = check_restored(report)
