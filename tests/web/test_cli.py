"""What the command line answers, and the exit codes that scripts rely on."""

import json
import os
import subprocess
import sys

import pytest

from web.cli import run_pytest, verdict_of_pytest
from web.settings import PROJECT


def assay(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "DOCKER_"))}
    return subprocess.run(
        [sys.executable, "-P", "-m", "web.cli", *arguments],
        cwd=PROJECT, env=ours | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [("--help",), ("up", "--help"), ("test", "-h"), ("web", "-h"), ("--version",)])
def test_help_is_well(arguments: tuple[str, ...]) -> None:
    ended = assay(*arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "assay" in ended.stdout


@pytest.mark.parametrize(
    "arguments", [("upp",), ("up", "--port", "many"), ("up", "--port", "65536"), ("settings", "x")]
)
def test_wrong_usage_is_two_and_a_sentence(arguments: tuple[str, ...]) -> None:
    ended = assay(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Error: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_setting_that_is_not_valid_is_named_as_it_was_set() -> None:
    ended = assay("settings", ASSAY_PORT="80000", ASSAY_HOST="")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "assay: settings: ASSAY_PORT: Input should be less than or equal to 65535" in ended.stderr
    assert "assay: settings: ASSAY_HOST: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_engine_that_does_not_answer_is_our_own_fault() -> None:
    ended = assay("up", ASSAY_DOCKER_HOST="unix:///nowhere/engine")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("assay: Docker Engine: unix:///nowhere/engine: does not answer.")
    assert ended.stderr.count("\n") == 1


def test_settings_are_one_document_and_passwords_are_masked() -> None:
    told = assay("settings", "--json", ASSAY_DOCKER_HOST="tcp://ada:swordfish@build:2376", ASSAY_PORT="0")
    assert told.returncode == 0
    seen = json.loads(told.stdout)
    assert seen["portal"]["port"] == 0
    assert seen["sandbox"]["docker_host"] == "tcp://ada:**********@build:2376"
    assert "swordfish" not in told.stdout + assay("settings", DOCKER_HOST="tcp://ada:swordfish@build:2376").stdout


def test_settings_say_which_variable_sets_what() -> None:
    told = assay("settings", ASSAY_PORT="1234")
    assert "  ASSAY_PORT=1234\n" in told.stdout
    assert "  ASSAY_DOCKER_HOST=unix:///var/run/docker.sock\n" in told.stdout


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(0, 0), (1, 1), (2, 1), (3, 3), (4, 2), (5, 2), (-9, 3)],
)
def test_an_exit_code_of_pytest_becomes_one_of_ours(status: int, verdict: int) -> None:
    assert verdict_of_pytest(status) == verdict


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--version"], 0), (["--no-such-option"], 4), (["tests/web/test_cli.py", "-k", "nothing_is_called_so"], 5)],
)
def test_arguments_reach_pytest_in_the_projects_folder(arguments: list[str], status: int) -> None:
    assert run_pytest(arguments) == status


def test_the_command_line_ends_quietly_when_nobody_reads_on() -> None:
    ended = subprocess.run(
        ["sh", "-c", '"$0" -P -m web.cli settings | true', sys.executable],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.stderr == ""
