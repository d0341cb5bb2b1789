"""An author at work: the command line as they type it, and a challenge that `assay new` wrote, to spoil."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from graders.author.scaffold import write_challenge
from web.settings import PROJECT


def assay(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "DOCKER_"))}
    return subprocess.run(
        [sys.executable, "-P", "-m", "web.cli", *map(str, arguments)],
        cwd=PROJECT, env=ours | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def document(ended: subprocess.CompletedProcess[str]) -> Any:
    """The one JSON document that stands on standard output."""
    return json.loads(ended.stdout)


def new_challenge(into: Path, slug: str = "first-steps") -> Path:
    write_challenge(slug, into)
    return into / slug


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file} does not hold {old!r}"
    file.write_text(text.replace(old, new))
