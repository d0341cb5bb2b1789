"""What graders are told from outside."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from graders.settings import GradersSettings, SecretUnusable
from web.settings import PROJECT

SECRET = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GradersSettings.model_fields:
        monkeypatch.delenv(f"ASSAY_{name.upper()}", raising=False)
    monkeypatch.setitem(GradersSettings.model_config, "env_file", None)


def test_what_is_not_set_lies_in_the_project_and_its_state(tmp_path: Path) -> None:
    settings = GradersSettings(state=tmp_path)
    assert settings.challenges == (PROJECT / "challenges",)
    assert settings.packs == ()
    assert (settings.store_folder, settings.versions_folder) == (tmp_path / "store", tmp_path / "challenges")
    assert settings.secret_file == tmp_path / "secrets" / "instance_secret"


def test_folders_are_listed_as_in_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CHALLENGES", "/a/challenges:/b c:~/d")
    monkeypatch.setenv("ASSAY_PACKS", "")
    monkeypatch.setenv("ASSAY_STORE", "/s")
    monkeypatch.setenv("ASSAY_VERSIONS", "/v")
    settings = GradersSettings()
    assert settings.challenges == (Path("/a/challenges"), Path("/b c"), Path.home() / "d")
    assert settings.packs == ()
    assert (settings.store_folder, settings.versions_folder) == (Path("/s"), Path("/v"))


@pytest.mark.parametrize("url", ["portal.example", "ftp://portal.example", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="portal_url"):
        GradersSettings(portal_url=url)


def test_the_secret_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "instance_secret").write_text("f" * 64 + "\n")
    assert GradersSettings(state=tmp_path).secret() == b"f" * 64
    (tmp_path / "mounted").write_text("m" * 32)
    monkeypatch.setenv("ASSAY_INSTANCE_SECRET_FILE", str(tmp_path / "mounted"))
    assert GradersSettings(state=tmp_path).secret() == b"m" * 32
    monkeypatch.setenv("ASSAY_INSTANCE_SECRET", SECRET)
    assert GradersSettings(state=tmp_path).secret() == SECRET.encode()


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_INSTANCE_SECRET", SECRET)
    assert SECRET not in repr(GradersSettings()) + str(GradersSettings().model_dump(mode="json"))


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 40])
def test_a_secret_that_could_be_guessed_is_none(tmp_path: Path, content: bytes) -> None:
    settings = GradersSettings(instance_secret_file=str(tmp_path / "secret"))
    with pytest.raises(SecretUnusable, match="secret: No such file"):
        settings.secret()
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(SecretUnusable) as caught:
        settings.secret()
    assert str(tmp_path / "secret") in str(caught.value)
