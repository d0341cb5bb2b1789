"""Secrets that a machine makes for itself."""

import threading
from pathlib import Path

import pytest

from web.secrecy import SecretUnavailable, make


def test_a_secret_is_made_once_and_is_ours_alone(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "instance_secret"
    make(file)
    secret = file.read_text()
    make(file)
    assert file.read_text() == secret
    assert len(secret.strip()) == 64
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    make(tmp_path / "secrets" / "another")
    assert (tmp_path / "secrets" / "another").read_text() != secret


def test_starts_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "instance_secret"
    seen: list[str] = []

    def start() -> None:
        make(file)
        seen.append(file.read_text())

    starts = [threading.Thread(target=start) for _ in range(8)]
    for one in starts:
        one.start()
    for one in starts:
        one.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert [path.name for path in file.parent.iterdir()] == ["instance_secret"]


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "instance_secret"
    make(file)
    file.chmod(0o644)
    with pytest.raises(SecretUnavailable, match="others may read it"):
        make(file)
