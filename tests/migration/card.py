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
    fill: int
    """How many characters the nested guest leaves in a UART, 0 for a card that no guest is to use."""
    magic: bytes
    """What its state begins with."""

    @property
    def types(self):
        return pathlib.Path("/sys/class/mdev_bus", self.parent, "mdev_supported_types")


MIGDEV = Card("migdev", "migdev-serial2", "migdev-serial1", 32, b"\x89mig\r\n\x1a\n")
CARDS = {
    "migdev": MIGDEV,
    "migdev-idle": dataclasses.replace(MIGDEV, fill=0),
    # The kernel's sample. A guest that fills its FIFOs is lost without any migration, as they wedge.
    "mtty": Card("mtty", "mtty-2", "mtty-1", 0, b"\x4e\x2c\x3e\x8c\x89\x09\x9d\x7e"),
}


class Device:
    """One mediated device, from its creation on."""

    def __init__(self, card, kind):
        self.uuid = str(uuid.uuid4())
        self.path = DEVICES / self.uuid
        (card.types / kind / "create").write_text(self.uuid)

    @property
    def version(self):
        """What migration_version says of it."""
        return (self.path / "migration_version").read_bytes().rstrip(b"\n")

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
            except BrokenPipeError:  # what came next was overwritten; the next read goes on after it
                continue
            found.append(record.split("\n", 1)[0].split(";", 1)[-1])
