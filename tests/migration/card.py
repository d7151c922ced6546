# SPDX-License-Identifier: GPL-2.0-only
"""The mediated devices that are migrated, and the kernel's log about them."""

import dataclasses
import os
import pathlib
import uuid

DEVICES = pathlib.Path("/sys/bus/mdev/devices")


@dataclasses.dataclass(frozen=True)
class Card:
    """A kind of mediated device."""

    parent: str
    two_ports: str
    """A type with two ports, which is what moves."""
    one_port: str
    """Another, which it cannot move to."""
    region: bool
    """Whether it speaks the region protocol (v1) too."""
    fill: int
    """How many characters the nested guest leaves in a UART, 0 for a card that no guest is to use."""
    magic: bytes
    """What its state begins with."""

    @property
    def types(self):
        return pathlib.Path("/sys/class/mdev_bus", self.parent, "mdev_supported_types")


CARDS = {
    "migdev": Card("migdev", "migdev-serial2", "migdev-serial1", True, 32, b"\x89mig\r\n\x1a\n"),
    # Its FIFOs wedge when they are full, so that its guest would be lost without any migration.
    "mtty": Card("mtty", "mtty-2", "mtty-1", False, 0, bytes.fromhex("4e2c3e8c89099d7e")),
}


class Device:
    """One mediated device, from its creation on."""

    def __init__(self, card, kind):
        self.uuid = str(uuid.uuid4())
        self.path = DEVICES / self.uuid
        (card.types / kind / "create").write_text(self.uuid)

    def remove(self):
        (self.path / "remove").write_text("1")


class KernelLog:
    """What the kernel logs from now on."""

    def __init__(self):
        self.file = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.file, 0, os.SEEK_END)

    def lines(self):
        """The lines since the last call."""
        found = []
        while True:
            try:
                record = os.read(self.file, 8192).decode(errors="replace")
            except BlockingIOError:
                return found
            found.append(record.split("\n", 1)[0].split(";", 1)[-1])
