# SPDX-License-Identifier: GPL-2.0-only
"""A card is unplugged while a domain uses a device of it: the kernel asks VFIO's user to let go, and waits for that."""

import pathlib
import subprocess

import domain
import host
import nodedev
from domain import NAME
from host import PCI, until, virsh

LOG = pathlib.Path(f"/var/log/libvirt/qemu/{NAME}.log")


def card_of(identifier):
    return host.devices()[identifier].split("/")[0]


def unplug(card):
    """Begin to unplug a card; that ends once nobody uses its devices."""
    return subprocess.Popen(["sh", "-c", f"echo 1 > {PCI}/devices/{card}/remove"])


def check_unplugged(report, card, process):
    process.wait(host.PATIENCE)
    report.check("the card is gone", not (PCI / "devices" / card).exists())
    report.check("with its devices", not [kind for kind in host.devices().values() if kind.startswith(card)])
    until(lambda: host.node(card) not in virsh("nodedev-list"), "libvirt to notice")
    report.check("libvirt's node devices are without it", True)


def check_back(report, card):
    """It comes back, and is of use."""
    (PCI / "rescan").write_text("1")
    until(lambda: host.node(card) in virsh("nodedev-list", "--cap", "mdev_types").split(), "libvirt to notice")
    report.equal("the card comes back with its types", nodedev.capability(card), nodedev.in_sysfs(card))
    identifier = nodedev.make(card)
    nodedev.check_device(report, card, identifier)
    nodedev.end(card, identifier)


def guest_lets_go(world, report):
    """The guest's port allows it: QEMU asks the guest, and takes the device away from it."""
    numbers, rounds, faults = domain.finish()
    report.note(f"{numbers} numbers and {rounds} full UARTs on all devices that the guest had")
    report.equal("no fault was found by the guest, which still has a port open", faults, 0)
    card = card_of(world.device)
    process = unplug(card)
    until(lambda: domain.UNPLUGGED.search(domain.text()), "the guest to lose its card")
    report.equal("the domain runs on", domain.state(), "running")
    until(lambda: not domain.its_devices(domain.live()), "libvirt to see the device leave")
    report.check("without the device", True)
    check_unplugged(report, card, process)
    report.equal("the domain still runs", domain.state(), "running")
    domain.tell(b"\r", lambda: domain.state() != "running", "the domain to end")
    check_back(report, card)


def guest_does_not(world, report):
    """The bus does not allow it: the card waits until the domain ends."""
    world.clear()
    card = host.cards()[0]
    identifier = nodedev.make(card)
    virsh("create", "--paused", "/dev/stdin", text=domain.description(identifier, "bus='0' slot='5'"))
    process = unplug(card)
    until(lambda: "does not support hotplugging" in LOG.read_text(), "QEMU to be asked, and to decline")
    report.equal("the domain keeps the device", domain.its_devices(domain.live()), [identifier])
    report.equal("and the card waits", process.poll(), None)
    virsh("destroy", NAME)
    check_unplugged(report, card, process)
    check_back(report, card)
