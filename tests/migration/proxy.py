# SPDX-License-Identifier: GPL-2.0-only
"""Stands between two QEMUs and changes one byte of what the source sends."""

import asyncio
import contextlib


class Proxy:
    """Passes on what is sent to its socket to another, and applies `change` to it on the way.

    `change(data)` gets what has come and was not passed on yet. It returns where in it a byte is to differ, or None while it
    has not seen that, and from where on data must wait until it has.
    """

    def __init__(self, path, to, change):
        self.path = path
        self.to = to
        self.change = change
        self.waiting = b""
        self.changed = False

    async def __aenter__(self):
        self.server = await asyncio.start_unix_server(self.serve, self.path)
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def serve(self, reader, writer):
        onward_reader, onward = await asyncio.open_unix_connection(self.to)
        back = asyncio.create_task(self.copy(onward_reader, writer))
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                onward.write(self.passable(piece))
                await onward.drain()
            onward.write(self.waiting)
        for each in onward, writer:
            each.close()
        back.cancel()

    def passable(self, piece):
        """What can be passed on now that this piece has come."""
        data = self.waiting + piece
        end = len(data)
        if not self.changed:
            at, end = self.change(data)
            if at is not None:
                data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
                end = len(data)
                self.changed = True
        self.waiting = data[end:]
        return data[:end]

    @staticmethod
    async def copy(reader, writer):
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
