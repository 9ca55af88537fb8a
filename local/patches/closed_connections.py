"""A connection that its client has closed is forgotten at once.

Defect of hypercorn, the emulator's HTTP server: the task that waits for an idle connection's end is
stopped only when all tasks of the connection have ended, of which it is one. So each connection
that a client closes keeps its memory, 14 kB, and its file descriptor for the time that an idle one
may stay open, 75 seconds here: a load of many connections fills the memory.
"""

from typing import Any


def patch(module: Any) -> None:
    stock = module.TCPServer._read_data

    async def read_data(server: Any) -> None:
        await stock(server)
        await server.idle_task.stop()

    module.TCPServer._read_data = read_data


TARGETS = {"hypercorn.asyncio.tcp_server": patch}
