# SPDX-License-Identifier: GPL-2.0-only
"""What is tried. One guest is carried through all of it: a scenario gets it where the one before left it, and leaves it
running. `World` has what they share.

The guest's interrupts are INTx: its kernel has no CONFIG_PCI_MSI, and 8250_pci asks for MSI for a few cards of other
vendors only. That a card's MSI moves with it is tried by tests/vfio-client (cases/migration/interrupts.rs), without a
QEMU."""

import contextlib
import dataclasses
import pathlib
import re
import signal

import moves
from card import KernelLog
from guest import Guest
from proxy import Proxy
from machine import Machine

LIVE = ["pre-copy", "pre-copy-p2p", "stop-copy", "stop"]
"""The states of a source's device in a live migration, as QEMU 10 tells them."""

SLOW = 300_000
"""Bytes a second with which a migration lasts until somebody ends it."""


@dataclasses.dataclass(frozen=True)
class Reason:
    """How a refusal is told, as patterns."""

    qemu: re.Pattern
    """In the destination's error output."""
    kernel: re.Pattern | None = None
    """In the kernel's log, on one line."""


LOST = re.compile(r"Unable to (write to|read from) socket|[Cc]onnection reset by peer|Broken pipe|Input/output error")
"""How the source's QEMU tells that nobody is there any more: what it says depends on where it notices."""


class World:
    def __init__(self, card):
        self.card = card
        self.log = KernelLog()
        self.guest = None
        self.machines = []

    async def start(self, version, **options):
        """A machine, which the world ends."""
        machine = Machine(version, self.card, **options)
        self.machines.append(machine)
        await machine.start()
        return machine

    async def end(self, machine):
        self.machines.remove(machine)
        await machine.close()

    async def clear(self):
        """Leave nothing."""
        self.guest = None
        for machine in self.machines[:]:
            with contextlib.suppress(OSError):
                await self.end(machine)

    async def running(self, version):
        """The guest in a machine of this version: where it is, or, when that is elsewhere, anew."""
        if self.guest is None or self.guest.machine.version != version:
            await self.clear()
            self.guest = Guest(await self.start(version))
            if self.card.fill:
                await self.guest.booted()
        return self.guest.machine

    async def check_guest(self, report, *, refill=True):
        """The guest goes on with its sequence, and (unless `refill` is False) finds in its UART what it left there."""
        if not self.card.fill:
            return
        report.equal("the guest's sequence goes on", await self.guest.stuck(), None)
        report.equal("with nothing lost, repeated or reordered", self.guest.faults(), [])
        if refill:
            await self.guest.refill()
            report.equal("and it finds its UART, with full FIFOs, as it left it", self.guest.faults(), [])

    async def arrived(self, report, source, destination):
        self.guest.moved_to(destination)
        await self.end(source)
        await self.check_guest(report)

    async def still_here(self, report, source):
        """After a failed migration, which the guest may have stood still for."""
        await source.until_running()
        await self.check_guest(report)


async def migrate(world, report, old, new):
    source = await world.running(old)
    if world.card.fill:
        await world.guest.go_on()
    reasons = (await source.execute("query-migrate")).get("blocked-reasons", [])
    report.equal("QEMU sees no reason against migration", reasons, [])
    destination = await world.start(new, incoming=True)
    since = len(source.events)
    figures = await moves.move(source, destination)
    report.note(f"FIGURES {old} -> {new}: {figures}")
    if old == "10":
        report.check("QEMU transferred bytes of the device", figures.transferred > 0, figures)
        await source.until(lambda: source.states(since)[-1:] == LIVE[-1:], "the source's device to stop")
        report.equal("the device was live until the end", source.states(since), LIVE)
    if new == "10":
        await destination.until(lambda: destination.states()[-1:] == ["running"], "the destination's device to run")
        report.equal("the destination's device went on", destination.states(), ["resuming", "running-p2p", "running"])
    await world.arrived(report, source, destination)


async def migrate_paused(world, report, version):
    source = await world.running(version)
    await source.execute("stop")
    destination = await world.start(version, incoming=True)
    figures = await moves.move(source, destination)
    report.note(f"FIGURES paused {version} -> {version}: {figures}")
    report.equal("the guest is paused there too", (await destination.execute("query-status"))["status"], "paused")
    before = destination.console
    await destination.execute("cont")
    report.equal("and said nothing meanwhile", before, b"")
    await world.arrived(report, source, destination)


async def save_and_load(world, report):
    """QEMU saves no machine that it loaded and that never ran since, so the second file is made after that."""
    source = await world.running("10")
    first, second = (pathlib.Path(source.directory.name, name) for name in ("first", "second"))
    await source.execute("stop")
    await moves.save(source, first)
    destination = await world.start("10", incoming=True)
    await moves.load(destination, first)
    await destination.execute("cont")
    await destination.execute("stop")
    await moves.save(destination, second)
    files = [(machine, path.read_bytes()) for machine, path in ((source, first), (destination, second))]
    heads = [moves.head(world.card, data) for _, data in files]
    report.equal(
        "each file names the version of the device that was saved",
        [string for string, _ in heads],
        [machine.device.version for machine, _ in files],
    )
    one, other = (moves.untouched(data, at) for (_, data), (_, at) in zip(files, heads))
    report.equal("saved again, what the guest left alone has the same bytes", other, one)
    await destination.execute("cont")
    await world.arrived(report, source, destination)


async def refused(world, report, version, reason, *, kind=None, damage=False):
    """A destination that refuses the state, since it is of another kind or a byte is another than was sent."""
    source = await world.running(version)
    destination = await world.start(version, kind=kind, incoming=True)
    world.log.lines()
    async with contextlib.AsyncExitStack() as stack:
        through = None
        if damage:
            proxy = Proxy(destination, moves.CacheLineSize())
            through = (await stack.enter_async_context(proxy)).path
        since = await moves.begin(source, destination, through=through)
        result = await source.until_migration("completed", "failed", since=since)
        if damage:
            report.check("a byte of the device's state was changed on the way", proxy.found)
    report.equal("the migration fails", result["status"], "failed")
    if kind is not None and version == "10":
        report.equal("before the guest was stopped", source.seen("STOP", since), [])
    report.check("the destination's QEMU gives up", await destination.end() != 0)
    said = destination.errors.decode()
    report.note(said)
    report.matches("and says why", said, reason.qemu)
    if reason.kernel:
        logged = [line for line in world.log.lines() if reason.kernel.search(line)]
        report.note("\n".join(logged))
        report.equal("the kernel's log says why, once", len(logged), 1)
    report.equal("the guest never ran there", destination.console, b"")
    await world.end(destination)
    await world.still_here(report, source)


async def kill_destination(world, report, version):
    """A destination that ends in pre-copy."""
    source = await world.running(version)
    destination = await world.start(version, incoming=True)
    since = await moves.begin(source, destination, bandwidth=SLOW)
    await source.until_sending(since)
    destination.process.kill()
    result = await source.until_migration("completed", "failed", since=since)
    report.equal("the guest was never stopped", source.seen("STOP", since), [])
    await lost(world, report, source, destination, result)


async def kill_at_switch_over(world, report, version):
    """A destination that ends while the source, which has stopped its guest, sends it the card's state."""
    source = await world.running(version)
    destination = await world.start(version, incoming=True)
    async with Proxy(destination, moves.CacheLineSize(), destination.process.kill) as proxy:
        since = await moves.begin(source, destination, through=proxy.path)
        result = await source.until_migration("completed", "failed", since=since)
        report.check("the card's state was on its way", proxy.found)
    report.equal("the guest was stopped", len(source.seen("STOP", since)), 1)
    await lost(world, report, source, destination, result)


async def lost(world, report, source, destination, result):
    """The source notices that its destination is no more, and goes on."""
    report.equal("the migration fails", result["status"], "failed")
    said = f"{result.get('error-desc', '')}\n{source.errors.decode(errors='replace')}"
    report.note(said)
    report.matches("and says why", said, LOST)
    report.equal("the destination was killed", await destination.end(), -signal.SIGKILL)
    await world.end(destination)
    await world.still_here(report, source)


async def cancel(world, report, version):
    """Without the destination's answers: a QEMU that reads them ends that before it notes that it was told to cancel,
    and where it sees its connection end in between, it says that the migration failed."""
    source = await world.running(version)
    destination = await world.start(version, incoming=True)
    since = await moves.begin(source, destination, bandwidth=SLOW, answers=False)
    await source.until_sending(since)
    await source.execute("migrate_cancel")
    result = await source.until_migration("completed", "failed", "cancelled", since=since)
    report.equal("the migration is cancelled", result["status"], "cancelled")
    report.equal("the guest was never stopped", source.seen("STOP", since), [])
    if version == "10":
        await source.until(lambda: source.states(since)[-1:] == ["running"], "the device to run again")
        report.equal("the device went into pre-copy and back", source.states(since), ["pre-copy", "running"])
    await world.end(destination)
    await world.still_here(report, source)


async def finish(world, report):
    if world.guest is None:
        report.check("there is a guest to end", False)
        return
    numbers, rounds, faults = await world.guest.finish()
    report.note(f"{numbers} numbers and {rounds} full UARTs in {len(world.guest.machines)} machines")
    report.equal("no fault was found by the guest", faults, 0)
    report.equal("QEMU ends in good order", await world.guest.machine.end(), 0)
    await world.clear()
