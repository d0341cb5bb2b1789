"""When a green examination is trusted, and when everything is proved again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import SandboxUnavailable, trust
from sandbox.doctor import Check, Report
from sandbox.settings import SandboxSettings
from sandbox.trust import Trust

pytestmark = pytest.mark.docker


class Examinations:
    """Stands for the doctor, who would take ten seconds each time."""

    def __init__(self) -> None:
        self.held = 0
        self.ok = True

    def __call__(self, settings: SandboxSettings, progress: Callable[[Check], object] = bool) -> Report:  # noqa: ARG002
        self.held += 1
        return Report((Check("network", self.ok, "reached", "start the engine anew"),))


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch) -> Examinations:
    held = Examinations()
    monkeypatch.setattr(trust, "examine", held)
    monkeypatch.setattr(trust, "pinned", lambda *_: "sha256:0")
    return held


def settings(state: Path, **more: Any) -> SandboxSettings:
    return SandboxSettings(_env_file=None, state=state, **more)


def test_a_green_examination_is_trusted_for_an_hour(tmp_path: Path, doctor: Examinations) -> None:
    now = 1_000_000.0
    first = Trust(settings(tmp_path), lambda: now)
    assert (first.prove(), first.prove()) == (True, False)
    assert Trust(settings(tmp_path), lambda: now).prove() is False  # nor does the next process ask again
    now += 3600
    assert first.prove() is True
    now -= 100_000  # somebody set the clock back
    assert first.prove() is True
    assert doctor.held == 3


def test_what_is_another_engine_or_code_is_examined_anew(
    tmp_path: Path, doctor: Examinations, monkeypatch: pytest.MonkeyPatch
) -> None:
    Trust(settings(tmp_path)).prove()
    assert Trust(settings(tmp_path, sandbox_runtime="runsc")).prove() is True
    monkeypatch.setattr(trust, "pinned", lambda *_: "sha256:1")
    assert Trust(settings(tmp_path)).prove() is True
    monkeypatch.setattr(trust, "BOOT", tmp_path / "boot")
    (tmp_path / "boot").write_text("another")
    assert Trust(settings(tmp_path)).prove() is True
    assert doctor.held == 4


def test_a_red_examination_is_never_trusted(tmp_path: Path, doctor: Examinations) -> None:
    now = 1_000_000.0
    host = Trust(settings(tmp_path), lambda: now)
    host.prove()
    doctor.ok = False
    with pytest.raises(SandboxUnavailable, match="network: reached: start the engine anew"):
        host.examine()
    assert not host.stands()
    assert not Trust(settings(tmp_path), lambda: now).stands()


@pytest.mark.parametrize("told", ["", "[]", "{}", '{"at": "never", "subject": 1}', "\0"])
def test_a_record_that_cannot_be_read_is_no_proof(told: str, tmp_path: Path, doctor: Examinations) -> None:
    (tmp_path / trust.RECORD).write_text(told)
    assert Trust(settings(tmp_path)).prove() is True
    assert doctor.held == 1


def test_a_folder_that_may_only_be_read_is_proved_for_each_process(tmp_path: Path, doctor: Examinations) -> None:
    state = tmp_path / "file"
    state.write_text("no folder")
    host = Trust(settings(state))
    assert (host.prove(), host.prove()) == (True, False)
    assert Trust(settings(state)).prove() is True
    assert doctor.held == 2
