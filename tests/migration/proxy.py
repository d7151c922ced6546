# SPDX-License-Identifier: GPL-2.0-only
"""Stands between two QEMUs, and at one place of what the source sends changes a byte, or ends the destination."""

import asyncio
import contextlib


class Proxy:
    """Passes on what is sent to its socket, `path`, to a destination.

    `find(data)` gets what has come and was not passed on yet. It returns the place in it, or None while it has not seen
    that, and from where on data must wait until it has. The byte there is changed, or, if there is `kill`, that is
    called, and neither the byte nor what follows is passed on.
    """

    def __init__(self, destination, find, kill=None):
        self.path = f"{destination.directory.name}/proxy"
        self.to = f"{destination.directory.name}/incoming"
        self.find = find
        self.kill = kill
        self.waiting = b""
        self.found = False

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
                if self.found and self.kill:
                    self.kill()
                    break
            else:
                onward.write(self.waiting)
        for each in onward, writer:
            each.close()
        back.cancel()

    def passable(self, piece):
        """What can be passed on now that this piece has come."""
        data = self.waiting + piece
        end = len(data)
        if not self.found:
            at, end = self.find(data)
            if at is not None:
                self.found = True
                end = at if self.kill else len(data)
                data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        self.waiting = data[end:]
        return data[:end]

    @staticmethod
    async def copy(reader, writer):
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        writer.close()  # one that hung up is seen to have
