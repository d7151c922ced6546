# SPDX-License-Identifier: GPL-2.0-only
"""The nested guest, which is one while it moves from machine to machine: what it says on its console, wherever that
was. tools/guest/nested/exercise describes the lines."""

import re

from machine import BOOT_PATIENCE, PATIENCE, Failure

SEQUENCE = re.compile(r"^guest: sequence (\d+)$", re.M)
FILLED = re.compile(r"^guest: filled (\d+)$", re.M)
DRAINED = re.compile(r"^guest: drained (\d+)$", re.M)
FAULT = re.compile(r"^guest: fault .*$|^.*nobody cared.*$", re.M)
"""What it found wrong itself, or its kernel with its interrupts."""
DONE = re.compile(r"^guest: done numbers (\d+) rounds (\d+) faults (\d+)$", re.M)

NUMBERS = 600
"""How many come back before the guest counts as going on; more than may still be on their way from its console."""


class Guest:
    def __init__(self, machine):
        self.machines = [machine]

    @property
    def machine(self):
        """The one it is in."""
        return self.machines[-1]

    def moved_to(self, machine):
        self.machines.append(machine)

    def text(self):
        """Its console. A line may have been begun in one machine and ended in the next."""
        return b"".join(machine.console for machine in self.machines).decode(errors="replace").replace("\r", "")

    def last(self, pattern):
        """The newest number that it told in such a line."""
        found = pattern.findall(self.text())
        return int(found[-1]) if found else 0

    def faults(self):
        return FAULT.findall(self.text())

    async def go_on(self, numbers=NUMBERS):
        """Wait until so many more numbers came back to it."""
        wanted = self.last(SEQUENCE) + numbers
        await self.machine.until(lambda: self.last(SEQUENCE) >= wanted, f"number {wanted} to come back to the guest")

    async def stuck(self):
        """What keeps it from getting more numbers back, or None."""
        try:
            await self.go_on()
        except Failure as failure:
            return str(failure)
        return None

    async def booted(self):
        await self.filled(patience=BOOT_PATIENCE)

    async def filled(self, patience=PATIENCE):
        await self.machine.until(
            lambda: self.last(FILLED) > self.last(DRAINED), "the guest to fill a UART", patience=patience
        )

    def tell(self, letter):
        self.machine.process.stdin.write(letter)

    async def refill(self):
        """Have it read and check what waits in the UART, and fill that anew."""
        wanted = self.last(DRAINED) + 1
        self.tell(b"d")
        await self.machine.until(lambda: self.last(DRAINED) >= wanted, f"the guest to read back round {wanted}")
        await self.filled()

    async def finish(self):
        """Have it end; returns its numbers, rounds and faults."""
        self.tell(b"q")
        await self.machine.until(lambda: DONE.search(self.text()), "the guest to end", may_end=True)
        return tuple(map(int, DONE.search(self.text()).groups()))
