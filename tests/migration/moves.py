# SPDX-License-Identifier: GPL-2.0-only
"""How a machine is moved, and what a saved one holds."""

import dataclasses
import struct

from machine import Failure

FULL_SPEED = 1 << 30
"""Bytes a second."""

CONFIG_RECORD = struct.pack("<HHI", 1, 1, 21)
PORT_RECORD = struct.pack("<HH", 2, 1)
COUNTERS_RECORD = struct.pack("<HHI", 3, 1, 32)
"""Of the card that moves, which has two ports."""
RECORDS = 1024
"""Bytes that a card's records have at most."""

STATE = 1 << 16
"""Bytes that a card's whole state has at most."""

PIECE = struct.pack(">Q", 0xFFFFFFFFEF100004)
"""What QEMU says before each piece of a device's state; the piece's length follows, as 8 bytes, then the piece."""


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


async def begin(source, destination, *, through=None, bandwidth=FULL_SPEED, answers=True):
    """Begin a migration; `through` is the socket of a proxy. Returns where the source's events of it begin.

    Unless `answers` is False, the source waits for its destination's word, and so learns of one that fails at the very
    end. Where both can, it also has its guest run until the destination has taken in what devices say in pre-copy.
    """
    since = len(source.events)
    address = f"unix:{destination.directory.name}/incoming"
    modern = [machine for machine in (source, destination) if machine.version != "7.2"]
    await set_capability("switchover-ack", False, *modern)  # which needs the other
    await set_capability("return-path", answers, source, destination)
    await set_capability("switchover-ack", answers and len(modern) == 2, *modern)
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


def head(card, data):
    """Of a card's state in a saved machine: the version string that its head names, and where its records begin."""
    at = data.index(card.magic) + len(card.magic)
    version, length, reserved = struct.unpack_from("<HHI", data, at)
    at += struct.calcsize("<HHI")
    string = data[at : at + length]
    if b",stream=%d:" % version not in string or reserved:
        raise Failure(f"the head of {string} has version {version} and {reserved} where nothing is to be")
    return string, at + length


def untouched(data, at):
    """What of a card's records, which begin at `at`, no guest changes that only runs: CONFIG and the last PORT."""
    end = data.index(COUNTERS_RECORD, at, at + RECORDS)
    config = data.index(CONFIG_RECORD, at, end)
    length = len(CONFIG_RECORD) + 21
    return data[config : config + length], data[data.rindex(PORT_RECORD, at, end) : end]


class CacheLineSize:
    """For a proxy: finds that register, which may have any value, in the CONFIG record of a card. The card sends the
    record once it is stopped. QEMU 7.2 sends its state in pieces, which may end anywhere."""

    OFFSET = len(CONFIG_RECORD) + 2

    def __init__(self):
        self.state = b""
        """As far as it has passed."""

    def __call__(self, data):
        at = 0
        while (piece := data.find(PIECE, at)) >= 0:
            begin = piece + len(PIECE) + 8
            length = int.from_bytes(data[piece + len(PIECE) : begin], "big")
            end = begin + length
            if len(data) >= begin and length > STATE:  # memory that looks like one
                at = piece + 1
                continue
            if len(data) < end:
                return None, piece
            self.state += data[begin:end]
            wanted = self.state.find(CONFIG_RECORD) + self.OFFSET
            if self.OFFSET <= wanted < len(self.state):
                return end - len(self.state) + wanted, end
            at = end
        begun = max(n for n in range(len(PIECE)) if data.endswith(PIECE[:n]))
        return None, len(data) - begun
