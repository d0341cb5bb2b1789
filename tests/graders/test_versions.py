"""Published versions: a copy that stays as it was, proved by its digest."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graders.challenge import read_challenge
from graders.contract import ChallengeInvalid
from graders.versions import VersionMissing, Versions
from tests.graders.folders import sums, write_files, write_sums


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_version_is_found_by_its_digest_with_all_that_the_digest_covers(tmp_path: Path) -> None:
    challenge = sums(tmp_path, {"README.md": "For authors.", "__pycache__/grader.pyc": b"x", "lib/deep/x.py": "X = 1"})
    versions = Versions(tmp_path / "state" / "challenges")
    digest = versions.keep(challenge)
    assert digest == challenge.digest
    assert versions.find(digest) == tmp_path / "state" / "challenges" / digest / "sums"
    kept = versions.read(digest)
    assert (kept.slug, kept.digest, kept.manifest, kept.rubric) == (
        "sums",
        digest,
        challenge.manifest,
        challenge.rubric,
    )
    assert names(kept.folder) == [
        "brief.md", "challenge.toml", "grader.py", "lib/deep/x.py", "private/answers.json", "rubric.toml",
        "starter/README.md", "starter/sum.py",
    ]  # fmt: skip


def test_a_version_stays_as_it_was_when_the_challenge_goes_on(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "versions")
    first = versions.keep(sums(tmp_path))
    second = versions.keep(sums(tmp_path, {"brief.md": "# Sums\n\nAdd three.\n"}))
    assert first != second
    assert versions.read(first).brief == "# Sums\n\nAdd.\n"
    assert versions.read(second).brief == "# Sums\n\nAdd three.\n"


def test_private_packs_are_part_of_the_copy(tmp_path: Path) -> None:
    write_files(tmp_path / "pack", {"sums/private/answers.json": "[8]", "sums/private/more.json": "[9]"})
    challenge = read_challenge(write_sums(tmp_path), [tmp_path / "pack"])
    versions = Versions(tmp_path / "versions")
    kept = versions.read(versions.keep(challenge))
    assert {name: path.read_text() for name, path in kept.private.items()} == {
        "answers.json": "[8]",
        "more.json": "[9]",
    }
    assert kept.digest == challenge.digest


def test_nobody_else_may_enter_a_copy_since_it_holds_answers(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "versions")
    place = versions.find(versions.keep(sums(tmp_path))).parent
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_keeping_twice_and_by_many_at_once_is_keeping_once(tmp_path: Path) -> None:
    challenge = sums(tmp_path)
    versions = Versions(tmp_path / "versions")
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: versions.keep(challenge), range(16)))
    assert digests == {challenge.digest}
    assert [path.name for path in versions.folder.iterdir()] == [challenge.digest]
    before = versions.find(challenge.digest).stat()
    versions.keep(challenge)
    assert versions.find(challenge.digest).stat().st_mtime_ns == before.st_mtime_ns


def test_a_challenge_that_changes_while_it_is_copied_is_not_kept(tmp_path: Path) -> None:
    challenge = sums(tmp_path)
    with (challenge.folder / "grader.py").open("a") as grader:
        grader.write("# changed after it was read\n")
    versions = Versions(tmp_path / "versions")
    with pytest.raises(ChallengeInvalid, match="changed while it was copied: publish it again"):
        versions.keep(challenge)
    assert list(versions.folder.iterdir()) == []


def test_a_full_disk_leaves_no_version_behind(tmp_path: Path) -> None:
    challenge = sums(tmp_path)
    challenge.files["grader.py"].unlink()  # as good as any other OSError in the middle
    versions = Versions(tmp_path / "versions")
    with pytest.raises(OSError, match=r"grader\.py"):
        versions.keep(challenge)
    assert list(versions.folder.iterdir()) == []


@pytest.mark.parametrize("digest", ["0" * 64, "", "..", "sums", "0" * 64 + "/../x"])
def test_what_was_never_kept_is_missing_here(tmp_path: Path, digest: str) -> None:
    (tmp_path / "versions").mkdir()
    with pytest.raises(VersionMissing, match=r"^challenge version "):
        Versions(tmp_path / "versions").find(digest)


@pytest.mark.parametrize(
    "damage",
    ["change", "add", "remove", "remove all", "rename", "second", "link"],
)
def test_damage_is_found_and_said(tmp_path: Path, damage: str) -> None:
    versions = Versions(tmp_path / "versions")
    digest = versions.keep(sums(tmp_path))
    folder = versions.find(digest)
    match damage:
        case "change":
            (folder / "private" / "answers.json").write_text("[3, 6]\n")
        case "add":
            (folder / "grader_too.py").touch()
        case "remove":
            (folder / "private" / "answers.json").unlink()
        case "remove all":
            (folder / "grader.py").unlink()
        case "rename":
            folder.rename(folder.with_name("adds"))
        case "second":
            (folder.parent / "adds").mkdir()
        case "link":
            (folder / "brief.md").rename(tmp_path / "brief.md")
            (folder / "brief.md").symlink_to(tmp_path / "brief.md")
    with pytest.raises(VersionMissing, match="is damaged"):
        versions.find(digest)


def test_a_copy_that_was_cut_short_is_no_version(tmp_path: Path) -> None:
    """What a crash leaves has a name of its own, and does not stand in anybody's way."""
    challenge = sums(tmp_path)
    versions = Versions(tmp_path / "versions")
    write_files(versions.folder, {".new-abc/sums/brief.md": "# Su"})
    assert versions.keep(challenge) == challenge.digest
    assert versions.read(challenge.digest).digest == challenge.digest
