"""Carries connections to ports of the room's localhost on to unix sockets in /gateways, and bytes back.

    relay.py 8000 8001        127.0.0.1:8000 -> /gateways/8000, 127.0.0.1:8001 -> /gateways/8001

Runs under a uid of its own, so that the candidate's programs cannot end it; it holds no secret. A line on stdin is
answered with "ready" once every port listens.
"""

import asyncio
import sys
from functools import partial

CHUNK = 1 << 16
MOST_CONNECTIONS = 128


async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(CHUNK):
            target.write(piece)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
    except OSError:
        target.close()  # either end may go at any time; the other side is told by the close


async def connect(
    port: str, slots: asyncio.Semaphore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async with slots:
        try:
            there_reader, there_writer = await asyncio.open_unix_connection(f"/gateways/{port}")
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))
        there_writer.close()
        writer.close()


async def main(ports: list[str]) -> None:
    slots = asyncio.Semaphore(MOST_CONNECTIONS)
    for port in ports:
        await asyncio.start_server(partial(connect, port, slots), "127.0.0.1", int(port))
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print("ready", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
