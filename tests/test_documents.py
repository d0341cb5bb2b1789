"""What the documents show is true: the example runs, the commands are there, the links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graders import Submission
from graders.forms import form_for
from sandbox.docker import DockerSandbox, Engine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings

PROJECT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")])
EXAMPLES = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
MEDIANS = {
    "right": (b"def median(numbers): return sorted(numbers)[len(numbers) // 2]", 1.0),
    "wrong": (b"def median(numbers): return numbers[0]", 0.5),
}


@pytest.mark.docker
@pytest.mark.parametrize("which", MEDIANS)
def test_the_readmes_grader_grades(which: str) -> None:
    (example,) = [example for example in EXAMPLES if "def grade(" in example]
    named: dict[str, Any] = {}
    exec(example, named)
    program, most = MEDIANS[which]
    form = form_for("readme", "1.0.0", "one", b"secret")
    settings = SandboxSettings()
    with Engine(settings) as engine:
        rooms = DockerSandbox(engine, pinned(settings, "python"), settings)
        (finding,) = named["grade"](Submission({"median.py": program}, form), rooms)
    assert finding.criterion == "ordinary"
    assert (finding.credit == 1.0) is (which == "right")
    assert finding.credit <= most


@pytest.mark.docker
def test_the_readmes_example_runs_and_prints_what_it_says() -> None:
    (example,) = [example for example in EXAMPLES if "Engine(settings)" in example]
    done = subprocess.run([sys.executable, "-P", "-c", example], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "exited b'42\\n'\nb\"b'hello'\"\n")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_of_ours_leads_to_one(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


def test_every_command_that_the_readme_shows_is_a_command() -> None:
    shown = set(re.findall(r"\./assay ([a-z]+(?: (?:exec|build|list|sandbox))?)", (PROJECT / "README.md").read_text()))
    assert {"up", "test", "doctor", "sandbox exec", "bench sandbox"} <= shown
    for words in shown:
        command = [sys.executable, "-P", "-m", "web.cli", *words.split()[:2], "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_is_named_in_code_style_exists(document: Path) -> None:
    named = re.findall(r"`((?:web|sandbox|tests|benchmarks|docs)/[\w./-]+\.\w+)`", document.read_text())
    assert [name for name in named if not (PROJECT / name).exists()] == []
