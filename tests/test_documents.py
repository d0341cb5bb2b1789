"""What the documents show is true: the example runs, the commands are there, the links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")])


@pytest.mark.docker
def test_the_readmes_example_runs_and_prints_what_it_says() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
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
