"""What the simulated provider adds to the latency it plays, and what it costs, against a server that only sleeps."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from benchmarks import Figure, Progress
from graders.simgate import CARD, Lexicon, Setup, serving

ROUNDS: Final = 3
RATE: Final = 30  # requests a second: what the replay of challenge C needs
SECONDS: Final = 10.0
PLAYED: Final = 0.5  # seconds for which the bare server sleeps
KEY: Final = "sk-benchmark"
MODELS: Final = [model.name for model in CARD if not model.embeds]
LEXICON: Final = Lexicon(
    attributes={f"a{number}": (f"upper limit q{number}", f"highest state q{number}") for number in range(20)},
    traits={f"k{number}": (f"lime dryer v{number}",) for number in range(30)},
    names=tuple(f"name{chr(97 + number)}" for number in range(26)),
    units=("C", "A", "kPa", "minutes"),
)
FILLER: Final = "Only trained staff may open the housing or remove panels. Keep the enclosure dry during transport. "


def measure(progress: Progress) -> Iterator[Figure]:
    added: dict[str, list[float]] = {"simgate": [], "bare": []}
    share: dict[str, list[float]] = {"simgate": [], "bare": []}
    count = 0
    for turn in range(ROUNDS):
        progress(f"{RATE} requests a second for {SECONDS:g} s, in two ways: round {turn + 1} of {ROUNDS}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.sock"
            setup = Setup(secret=b"a secret of this benchmark", key=KEY, lexicon=LEXICON)
            with serving(setup, path=path) as gateway:
                began = time.process_time()
                told = _load(path)
                share["simgate"].append((time.process_time() - began) / SECONDS)
                gateway.freeze()
                played = {row.trace: row.latency / 1e9 for row in gateway.rows()}
            added["simgate"] += [seconds - played[trace] for trace, seconds in told]
            count += len(told)
        with tempfile.TemporaryDirectory() as folder:
            told, used = asyncio.run(_bare(Path(folder) / "bare.sock"))
            share["bare"].append(used / SECONDS)
            added["bare"] += [seconds - PLAYED for _, seconds in told]
    yield Figure("simgate: requests that were not answered", ROUNDS * RATE * SECONDS - count, "calls", 0)
    for name in ("simgate", "bare"):
        reach = 5 if name == "simgate" else None
        yield Figure(f"{name}: latency added to the simulated one, median", median(added[name]) * 1000, "ms")
        yield Figure(f"{name}: latency added, 95th percentile", quantiles(added[name], n=20)[-1] * 1000, "ms", reach)
    yield Figure(f"simgate: share of one core at {RATE}/s", median(share["simgate"]), "cores", 0.5)
    yield Figure(f"bare: share of one core at {RATE}/s", median(share["bare"]), "cores")


def _load(path: Path) -> list[tuple[str, float]]:
    command = [sys.executable, "-m", "benchmarks.simgate", str(path)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    return [(trace, seconds) for trace, seconds in json.loads(ended.stdout)]


async def _bare(path: Path) -> tuple[list[tuple[str, float]], float]:
    """The same requests to a server that reads them, sleeps, and gives all the same answer."""
    server = await asyncio.start_unix_server(_sleep_and_answer, path)
    async with server:
        began = time.process_time()
        told = await asyncio.to_thread(_load, path)
        return told, time.process_time() - began


async def _sleep_and_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    await asyncio.sleep(PLAYED)
    body = b'{"id":"bare"}'
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    writer.close()


# ------------------------------------------------------------------------------- what the load's own process does


async def _ask_all(path: str) -> list[tuple[str, float]]:
    began = time.perf_counter()
    asking = []
    for number in range(round(RATE * SECONDS)):
        await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        asking.append(asyncio.create_task(_ask(path, _request(number))))
    return list(await asyncio.gather(*asking))


async def _ask(path: str, request: bytes) -> tuple[str, float]:
    reader, writer = await asyncio.open_unix_connection(path)
    began = time.perf_counter()
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    seconds = time.perf_counter() - began
    writer.close()
    return str(json.loads(body)["id"]), seconds


def _request(number: int) -> bytes:
    """Five passages of some 90 words, as a retrieval assistant sends them."""
    asked = number % 20
    blocks = "\n".join(
        f'<doc id="{one}">name{chr(97 + one)} K-{10 + one} lime dryer v{one} manual. upper limit q{asked}: {FILLER * 4}'
        f"On this unit the figure is {number + one} C. {FILLER * 2}</doc>"
        for one in range(5)
    )
    text = f"{blocks}\n\nQuestion: What is the highest state q{asked} of the K-1{number % 5}?"
    rules = "Answer from the documents only. If they do not contain the answer, say so."
    messages = [{"role": "system", "content": rules}, {"role": "user", "content": text}]
    body = json.dumps({"model": MODELS[number % len(MODELS)], "messages": messages}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_ask_all(sys.argv[1]))))
