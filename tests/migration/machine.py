# SPDX-License-Identifier: GPL-2.0-only
"""A virtual machine with one card: a QEMU process, its QMP, its guest's console, and what it says when it fails."""

import asyncio
import contextlib
import pathlib
import tempfile

from qemu.qmp import EventListener, QMPClient, QMPError

from card import Device

PATIENCE = 120
"""Seconds that anything may take. Nothing here takes long; the machine that it runs on may be slow."""

BOOT_PATIENCE = 300
"""The same of a nested guest that boots."""

NESTED = pathlib.Path("nested")
"""What tools/guest/nested/prepare made."""


class Failure(Exception):
    """Something that did not come about."""


class Machine:
    """One QEMU. `async with Machine(...)` starts it, and removes all of it at the end."""

    def __init__(self, version, card, *, kind=None, incoming=False):
        self.version = version
        self.card = card
        self.kind = kind or card.two_ports
        self.incoming = incoming
        self.events = []
        self.console = b""
        self.errors = b""
        self.connected = False
        self.changed = asyncio.Condition()
        self.tasks = []
        self.process = None
        self.device = None

    def command(self, socket):
        device = f"vfio-pci,id=m0,addr=0x5,sysfsdev={self.device.path}"
        if self.version == "7.2":
            device += ",x-enable-migration=on"
        else:
            device += ",migration-events=on"
        command = [f"qemu-{self.version}", "-M", "pc-q35-7.2", "-accel", "tcg", "-cpu", "qemu64", "-m", "64"]
        command += ["-nodefaults", "-display", "none", "-no-reboot"]
        command += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
        command += ["-qmp", f"unix:{socket}", "-device", device]
        if self.card.fill:
            arguments = (NESTED / "arguments").read_text().strip()
            command += ["-kernel", str(NESTED / "vmlinux"), "-initrd", str(NESTED / "initrd")]
            command += ["-append", f"{arguments} exercise={self.card.fill}"]
        if self.incoming:
            command += ["-incoming", "defer"]
        return command

    async def __aenter__(self):
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def start(self):
        self.device = Device(self.card, self.kind)
        self.directory = tempfile.TemporaryDirectory()
        socket = f"{self.directory.name}/qmp"
        self.client = QMPClient(self.version)
        listener = EventListener()
        self.client.register_listener(listener)
        await self.client.start_server(socket)
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            *self.command(socket), stdin=pipe, stdout=pipe, stderr=pipe
        )
        self.tasks = [
            asyncio.create_task(self.collect(self.process.stdout, "console")),
            asyncio.create_task(self.collect(self.process.stderr, "errors")),
            asyncio.create_task(self.collect_events(listener)),
            asyncio.create_task(self.notice_end()),
        ]
        connecting = asyncio.create_task(self.connect())
        try:
            await self.until(lambda: self.connected, "QEMU to connect its monitor")
        finally:
            connecting.cancel()
        await self.execute("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])

    async def close(self):
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
            await asyncio.gather(*(task for task in self.tasks if task is not self.tasks[2]))
            with contextlib.suppress(QMPError, EOFError, OSError):
                await self.client.disconnect()
            self.tasks[2].cancel()
            self.directory.cleanup()
        if self.device is not None:
            self.device.remove()

    async def connect(self):
        await self.client.accept()
        async with self.changed:
            self.connected = True
            self.changed.notify_all()

    async def collect(self, stream, name):
        while data := await stream.read(4096):
            async with self.changed:
                setattr(self, name, getattr(self, name) + data)
                self.changed.notify_all()

    async def collect_events(self, listener):
        async for event in listener:
            async with self.changed:
                self.events.append(event)
                self.changed.notify_all()

    async def notice_end(self):
        await self.process.wait()
        async with self.changed:
            self.changed.notify_all()

    @property
    def ended(self):
        return self.process.returncode is not None

    async def until(self, condition, what, *, may_end=False, patience=PATIENCE):
        """Wait until `condition` holds; it is looked at whenever QEMU says something, or ends."""

        def over():
            return condition() or (self.ended and not may_end)

        try:
            async with asyncio.timeout(patience), self.changed:
                await self.changed.wait_for(over)
        except TimeoutError:
            raise Failure(f"waited {patience} seconds for {what}") from None
        if not condition():
            raise Failure(f"QEMU ended with status {self.process.returncode} instead of {what}")

    async def end(self):
        """Wait until QEMU ends by itself; returns its status."""
        await self.until(lambda: self.ended, "QEMU to end", may_end=True)
        await asyncio.gather(self.tasks[0], self.tasks[1])
        return self.process.returncode

    async def execute(self, command, **arguments):
        return await self.client.execute(command, arguments)

    def seen(self, name, since=0):
        """The data of the events of one name."""
        return [event.get("data", {}) for event in self.events[since:] if event["event"] == name]

    def states(self, since=0):
        """Which states QEMU said that the device's migration went through."""
        return [data["device-state"] for data in self.seen("VFIO_MIGRATION", since)]

    def migration(self, since=0):
        """Which statuses QEMU's own migration went through."""
        return [data["status"] for data in self.seen("MIGRATION", since)]

    async def until_migration(self, *statuses, since=0):
        """Wait for one of the statuses and return it, once it is complete or failed: what `query-migrate` says then."""
        await self.until(
            lambda: set(statuses) & set(self.migration(since)), f"migration to be {' or '.join(statuses)}"
        )
        return await self.execute("query-migrate")

    async def reported(self, command, condition):
        """Wait for what QEMU does not announce: ask it until `condition` holds of the answer, and return that."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition(result := await self.execute(command)):
                    await asyncio.sleep(0.05)
                return result
        except TimeoutError:
            raise Failure(f"waited {PATIENCE} seconds for {command} to change from {result}") from None

    async def until_running(self):
        await self.reported("query-status", lambda result: result["status"] == "running")

    async def until_sending(self, since):
        """Wait until a migration is in pre-copy and has sent memory."""
        if self.version != "7.2":
            await self.until(lambda: "pre-copy" in self.states(since), "pre-copy")
        await self.reported("query-migrate", lambda result: result.get("ram", {}).get("transferred"))

    def describe(self):
        """All that may tell why something failed."""
        text = f"qemu-{self.version} {'(destination)' if self.incoming else '(source)'}, {self.kind}:\n"
        if self.ended:
            text += f"  it ended with status {self.process.returncode}\n"
        for name, data in ("error output", self.errors), ("end of the console", self.console[-4000:]):
            lines = data.decode(errors="replace").replace("\r", "").splitlines()
            text += f"  {name}:\n" + "".join(f"    {line}\n" for line in lines)
        text += "  events:\n" + "".join(f"    {event['event']} {event.get('data', '')}\n" for event in self.events[-20:])
        return text
