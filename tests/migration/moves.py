# SPDX-License-Identifier: GPL-2.0-only
"""How a machine is moved, and what a saved one holds."""

import dataclasses
import struct

from machine import Failure

FULL_SPEED = 1 << 30
"""Bytes a second."""

CONFIG_RECORD = struct.pack("<HHI", 1, 1, 21)
PORT_RECORD = struct.pack("<HH", 2, 1)
END_RECORD = struct.pack("<HHI", 0xFFFF, 1, 4)
RECORDS = 1024
"""Bytes that a card's records have at most."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """What QEMU measured."""

    downtime: int
    """ms"""
    total: int
    """ms"""
    transferred: int | None
    """Bytes of the device, where QEMU tells."""

    def __str__(self):
        bytes_ = "" if self.transferred is None else f", {self.transferred} bytes of the device"
        return f"downtime {self.downtime} ms, total {self.total} ms{bytes_}"


async def set_capability(name, state, *machines):
    for machine in machines:
        await machine.execute("migrate-set-capabilities", capabilities=[{"capability": name, "state": state}])


async def begin(source, destination, *, through=None, bandwidth=FULL_SPEED):
    """Begin a migration; `through` is the socket of a proxy. Returns where the source's events of it begin.

    The source waits for its destination's word, and so learns of one that fails at the very end. Where both can, it also has its
    guest run until the destination has taken in what devices say in pre-copy.
    """
    since = len(source.events)
    address = f"unix:{destination.directory.name}/incoming"
    await set_capability("return-path", True, source, destination)
    modern = [machine for machine in (source, destination) if machine.version != "7.2"]
    await set_capability("switchover-ack", len(modern) == 2, *modern)
    await source.execute("migrate-set-parameters", **{"max-bandwidth": bandwidth})
    await destination.execute("migrate-incoming", uri=address)
    await source.execute("migrate", uri=f"unix:{through}" if through else address)
    return since


async def complete(source, destination, since=0):
    """Wait for the end of one that must succeed."""
    result = await source.until_migration("completed", "failed", since=since)
    if result["status"] != "completed":
        raise Failure(f"migration failed: {result.get('error-desc', 'and QEMU does not say why')}")
    await destination.until_migration("completed")
    if "downtime" not in result or not result["total-time"]:  # QEMU 7.2 works them out after it announced the end
        result = await source.reported("query-migrate", lambda result: result["total-time"])
    return Figures(result["downtime"], result["total-time"], result.get("vfio", {}).get("transferred"))


async def move(source, destination):
    return await complete(source, destination, await begin(source, destination))


async def save(machine, path):
    """Migrate to a file."""
    since = len(machine.events)
    for name in "switchover-ack", "return-path":
        await set_capability(name, False, machine)
    await machine.execute("migrate", uri=f"file:{path}")
    result = await machine.until_migration("completed", "failed", since=since)
    if result["status"] != "completed":
        raise Failure(f"saving failed: {result.get('error-desc', 'and QEMU does not say why')}")


async def load(machine, path):
    """Migrate from a file."""
    await machine.execute("migrate-incoming", uri=f"file:{path}")
    await machine.until_migration("completed")


def untouched(card, data):
    """What of a saved machine no guest changes that only runs: the card's CONFIG record and that of its last port."""
    at = data.index(card.magic)
    end = data.index(END_RECORD, at)
    config = data.index(CONFIG_RECORD, at)
    length = len(CONFIG_RECORD) + 21
    return data[config : config + length], data[data.rindex(PORT_RECORD, at, end) : end]


def last_character(data):
    """For a proxy: finds the last byte of the card's last port, a character in the transmitter, which may have any value."""
    start = data.find(CONFIG_RECORD)
    while start >= 0:
        end = data.find(END_RECORD, start, start + RECORDS)
        if end >= 0:
            return end - 1, start
        if len(data) < start + RECORDS:
            return None, start
        start = data.find(CONFIG_RECORD, start + 1)  # that one was something else
    return None, max(0, len(data) - len(CONFIG_RECORD) + 1)
