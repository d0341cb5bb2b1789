"""The copy that candidates practise with: one folder, one command, the standard library alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import httpx2
import pytest
from openai import OpenAI

from graders.simgate import Fact, Incident, Item, PriceChange, Setup, practice_copy, simtok
from tests.graders.simgate.world import KEY, SETUP, prompt

FULL = replace(
    SETUP,
    items=(Item("a", "text", "faq", 0.5, facts=(Fact("3 days", ("return",)),)),),
    scale=Fraction(500, 3),
    incidents=(Incident("outage", 1, 2),),
    price_changes=(PriceChange(1, "core-3", 120),),
)


@contextmanager
def practising(folder: Path, *options: str, stop: signal.Signals = signal.SIGINT) -> Iterator[list[str]]:
    """Without any package that is installed, and without our project in reach."""
    program = subprocess.Popen(
        [sys.executable, "-S", "-m", "simgate", *options],
        cwd=folder, env={**os.environ, "PYTHONPATH": ""}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert program.stdout is not None
    try:
        yield [program.stdout.readline().strip() for _ in range(2)]
        program.send_signal(stop)
        assert "USD" in program.stdout.read()
        assert program.wait(20) == 0
    finally:
        program.kill()
        program.wait()
        program.stdout.close()


def written(folder: Path, setup: Setup = SETUP) -> Path:
    for name, content in practice_copy(setup).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_a_setup_is_read_again_as_it_was_written() -> None:
    assert Setup.loads(FULL.as_json()).as_json() == FULL.as_json()
    again = Setup.loads(FULL.as_json())
    assert (again.items, again.scale, again.incidents) == (FULL.items, FULL.scale, FULL.incidents)
    assert again.card == FULL.card


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_copy_starts_with_one_command_and_answers_like_the_original(tmp_path: Path, stop: signal.Signals) -> None:
    with practising(written(tmp_path), "--port", "0", "--still", stop=stop) as [url, key]:
        assert key == f"export OPENAI_API_KEY={KEY}"
        with httpx2.Client() as http:
            openai_client = OpenAI(base_url=url.removeprefix("export OPENAI_BASE_URL="), api_key=KEY, http_client=http)
            said = openai_client.chat.completions.create(model="swift-2", messages=prompt())
    assert said.choices[0].message.content == "It is 88 C [D1]."


def test_the_copy_listens_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "model.sock"
    with (
        practising(written(tmp_path), "--socket", str(path)) as [where, _],
        httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path))) as http,
    ):
        assert where == str(path)
        assert http.get("http://gateway/sim/clock").status_code == 200


def test_a_setup_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    (written(tmp_path) / "simgate" / "setup.json").write_text("{}")
    ended = subprocess.run(
        [sys.executable, "-S", "-m", "simgate"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "setup.json" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_candidates_count_tokens_with_the_file_that_bills_them() -> None:
    assert practice_copy(SETUP)["simgate/simtok.py"] == Path(simtok.__file__).read_bytes()
