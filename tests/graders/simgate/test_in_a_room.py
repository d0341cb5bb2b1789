"""A program in a room reaches the gateway with OpenAI's own client, and nothing else of it."""

from pathlib import Path

import pytest

from graders.simgate import serving
from sandbox import Sandbox
from tests.graders.simgate.world import KEY, SETUP, prompt

pytestmark = pytest.mark.docker

PROGRAM = f"""
import json, os
from concurrent.futures import ThreadPoolExecutor
from openai import OpenAI

client = OpenAI(max_retries=0)

def ask(number):
    said = client.chat.completions.create(model="swift-2", messages={prompt()!r}, user=str(number))
    return said.choices[0].message.content

with ThreadPoolExecutor(8) as pool:
    said = set(pool.map(ask, range(24)))
vectors = client.embeddings.create(model="embed-s-v2", input=["upper thermal limit", "fuse rating"]).data
events = client.chat.completions.create(model="swift-2", messages={prompt()!r}, stream=True)
print(json.dumps([*said, len(vectors[0].embedding), "".join(one.choices[0].delta.content or "" for one in events)]))
"""


def test_a_program_in_a_room_reaches_the_gateway(docker_sandbox: Sandbox, tmp_path: Path) -> None:
    with (
        serving(SETUP, path=tmp_path / "model.sock") as gateway,
        docker_sandbox.open(
            files={"main.py": PROGRAM.encode()},
            gateways={8001: tmp_path / "model.sock"},
            environment={"OPENAI_BASE_URL": "http://127.0.0.1:8001/v1", "OPENAI_API_KEY": KEY},
        ) as room,
    ):
        ended = room.run(["python3", "main.py"], seconds=60)
        gateway.freeze()
        rows = gateway.rows()
    assert ended.stdout == b'["It is 88 C [D1].", 256, "It is 88 C [D1]."]\n', ended.stderr
    assert [row.status for row in rows] == [200] * 26
    assert len({row.cost for row in rows if row.call == "chat"}) == 1
