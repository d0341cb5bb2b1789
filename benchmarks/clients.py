"""Many clients of one server, as plain as HTTP allows, so that the measuring costs little. Run by benchmarks.portal.

    python -m benchmarks.clients        reads one Plan as JSON from standard input, prints one Told as JSON

Open: each client sends on its own beat whether or not the last answer is there, as people's browsers do, and the time
counts from the beat. Closed: each sends as soon as it has its answer, which finds out how much the server can do.
"""

import asyncio
import hashlib
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Client:
    """One candidate: where they save, what their browser sends along, and the number of their newest snapshot."""

    path: str
    headers: dict[str, str]
    number: int = 0
    presses: bool = False  # Run, once in a while


@dataclass
class Plan:
    host: str
    port: int
    clients: list[Client]
    seconds: float
    every: float  # seconds between two saves of a client; 0: closed
    bare: bool  # the bare view: any body will do
    check_path: str = ""
    check_every: float = 30.0


@dataclass
class Told:
    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    last: dict[str, str] = field(default_factory=dict)  # by path: SHA-256 of what was last acknowledged
    numbers: dict[str, int] = field(default_factory=dict)
    checks: int = 0


class Connection:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        for again in (True, False):
            try:
                return await self._post(path, headers, body)
            except (OSError, asyncio.IncompleteReadError):
                self.close()  # a server may end a connection that was kept; a new one has to do
                if not again:
                    raise
        raise AssertionError("unreachable")

    async def _post(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._plan.host, self._plan.port)
        reader, writer = self._streams
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        place = f"{self._plan.host}:{self._plan.port}"
        head = f"POST {path} HTTP/1.1\r\nHost: {place}\r\n{told}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        answer = await reader.readexactly(int(fields.get("content-length", "0")))
        if fields.get("connection", "").lower() == "close":
            self.close()
        return status, answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def candidate(plan: Plan, client: Client, told: Told, place: int, began: float) -> None:
    connection, turn = Connection(plan), 0
    until = began + plan.seconds
    beat = began + (plan.every * place / max(1, len(plan.clients)) if plan.every else 0)
    next_check = began + plan.check_every * ((place % 97) / 97)
    while True:
        if plan.every:
            await asyncio.sleep(max(0.0, beat - time.perf_counter()))
        sent = beat if plan.every else time.perf_counter()
        if sent >= until:
            break
        turn += 1
        text = f"# save {turn} of client {place}, {began}\n" + "x = 1  # a line of somebody's program\n" * 50
        await _save(plan, client, connection, told, text, sent)
        if client.presses and plan.check_path and time.perf_counter() > next_check:
            next_check += plan.check_every
            status, _ = await connection.post(client.path.replace("/save", plan.check_path), client.headers, b"{}")
            told.checks += status in (200, 201, 202)
        beat += plan.every
    connection.close()


async def _save(plan: Plan, client: Client, connection: Connection, told: Told, text: str, sent: float) -> None:
    if plan.bare:
        body = text.encode()
    else:
        body = json.dumps(
            {"base": client.number, "changes": {"windows.py": {"text": text}}, "saved_by": "benchmark"}
        ).encode()
    try:
        status, answer = await connection.post(client.path, client.headers, body)
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        told.failures.append(type(error).__name__)
        return
    if status != 200:
        await asyncio.sleep(1)  # as a page does that was refused
        told.failures.append(f"{status}: {answer[:200]!r}")
        return
    told.latencies.append(time.perf_counter() - sent)
    told.last[client.path] = hashlib.sha256(text.encode()).hexdigest()
    if not plan.bare:
        client.number = told.numbers[client.path] = json.loads(answer)["number"]


async def run(plan: Plan) -> Told:
    told, began = Told(), time.perf_counter()
    await asyncio.gather(*(candidate(plan, client, told, place, began) for place, client in enumerate(plan.clients)))
    told.seconds = time.perf_counter() - began
    return told


def main() -> None:
    given: dict[str, Any] = json.loads(sys.stdin.read())
    plan = Plan(**given | {"clients": [Client(**one) for one in given["clients"]]})
    json.dump(asdict(asyncio.run(run(plan))), sys.stdout)


if __name__ == "__main__":
    main()
