# SPDX-License-Identifier: GPL-2.0-only
"""The domain that uses a device: how libvirt is told of it, and what its guest says. The guest is the nested one, whose
stock driver drives the card; tools/guest/nested tells the lines of its console."""

import os
import pathlib
import re
import time
import xml.etree.ElementTree as ElementTree

from guest import DONE, DRAINED, FAULT, FILLED, NUMBERS, SEQUENCE
from host import PATIENCE, Failure, try_virsh, until, virsh

NAME = "guest"
CONSOLE = pathlib.Path("/tmp/console")
FILL = 32
"""Characters that the guest leaves in a UART."""

BOOT_PATIENCE = 400
UNPLUGGED = re.compile(r"^guest: unplugged$", re.M)

NAMESPACES = {"migdev": "urn:migdev:libvirt:1"}
ElementTree.register_namespace("migdev", NAMESPACES["migdev"])
ElementTree.register_namespace("qemu", "http://libvirt.org/schemas/domain/qemu/1.0")


def description(uuid, address="bus='1' slot='0'"):
    """The domain's XML, with this device; behind the port that allows it to be unplugged, unless told otherwise."""
    nested = pathlib.Path("nested").resolve()
    arguments = (nested / "arguments").read_text().strip()
    return f"""
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{NAME}</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-10.0'>hvm</type>
    <kernel>{nested}/vmlinux</kernel>
    <initrd>{nested}/initrd</initrd>
    <cmdline>{arguments} exercise={FILL} unplug=yes</cmdline>
  </os>
  <cpu mode='custom' match='exact' check='none'><model>qemu64</model></cpu>
  <on_reboot>destroy</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='pty'><log file='{CONSOLE}' append='on'/></serial>
    <controller type='pci' index='0' model='pcie-root'/>
    <controller type='pci' index='1' model='pcie-root-port'/>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <hostdev mode='subsystem' type='mdev' model='vfio-pci'>
      <source><address uuid='{uuid}'/></source>
      <address type='pci' {address}/>
    </hostdev>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-global'/>
    <qemu:arg value='ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off'/>
  </qemu:commandline>
</domain>
"""


def state():
    """What libvirt says of the domain; empty when it knows none."""
    return try_virsh("domstate", NAME).output.strip()


def live():
    """The XML of the domain that runs."""
    return ElementTree.fromstring(virsh("dumpxml", NAME))


def its_devices(tree):
    """The UUIDs of the devices in a domain's XML."""
    return [address.get("uuid") for address in tree.findall("./devices/hostdev[@type='mdev']/source/address")]


def stamps(tree):
    """The version strings in a domain's metadata, by UUID."""
    found = tree.findall("./metadata/migdev:migration/migdev:device", NAMESPACES)
    return {device.get("uuid"): device.get("version") for device in found}


def text():
    """The guest's console, of all QEMUs that it was in."""
    if not CONSOLE.exists():
        return ""
    return CONSOLE.read_text(errors="replace").replace("\r", "")


def last(pattern):
    """The newest number that the guest told in such a line."""
    found = pattern.findall(text())
    return int(found[-1]) if found else 0


def faults():
    return FAULT.findall(text())


def await_boot():
    until(lambda: last(FILLED) > last(DRAINED), "the guest to fill a UART", BOOT_PATIENCE)


def await_numbers(numbers=NUMBERS):
    """Wait until so many more numbers came back to the guest."""
    wanted = last(SEQUENCE) + numbers
    until(lambda: last(SEQUENCE) >= wanted, f"number {wanted} to come back to the guest")


def tell(letter, condition, what):
    """Give the guest a letter, and wait until `condition` holds. What it says meanwhile is taken off its terminal,
    which would stop it when full."""
    terminal = os.open(virsh("ttyconsole", NAME).strip(), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        os.write(terminal, letter)
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise Failure(f"waited {PATIENCE} seconds for {what}")
            try:
                os.read(terminal, 65536)
            except OSError:  # nothing there, or the domain has ended
                time.sleep(0.1)
    finally:
        os.close(terminal)


def refill():
    """Have the guest read and check what waits in the UART, and fill that anew."""
    wanted = last(DRAINED) + 1
    tell(b"d", lambda: last(FILLED) > last(DRAINED) >= wanted, f"the guest to read back round {wanted}")


def finish():
    """Have the guest end its exercise; returns its numbers, rounds and faults. It still has the card then."""
    tell(b"q", lambda: DONE.search(text()), "the guest to end its exercise")
    return tuple(map(int, DONE.search(text()).groups()))


def check_guest(report):
    """The guest goes on with its sequence, and finds in its UART what it left there."""
    await_numbers()
    report.equal("the guest's sequence goes on with nothing lost, repeated or reordered", faults(), [])
    refill()
    report.equal("and it finds its UART, with full FIFOs, as it left it", faults(), [])
