"""A message in, a message out: what a checking worker reports, and what is heard while it is at work."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from graders.author.handouts import Handout
from graders.author.public import try_public_checks
from graders.challenge import read_challenge, read_solutions
from graders.checking import CheckingWorker, WorkUnfit, check, completed, cut
from graders.contract import (
    LONGEST_OUTPUT,
    Bundle,
    CheckReport,
    CheckRequest,
    Failure,
    Fault,
    MessageUnreadable,
    RoomLimits,
)
from graders.settings import GradersSettings
from graders.trees import FolderStore
from sandbox import Ending, Execution, Limits, Sandbox
from sandbox.container import GRADING
from sandbox.docker import Engine
from sandbox.settings import SandboxSettings
from tests.graders.author import change, new_challenge
from tests.graders.fake_sandbox import FakeSandbox, ended
from tests.graders.made import FORM

WORK = {"main.py": b"print(6 * 7)\n"}
GIVEN = {"main.py": b"raise SystemExit\n", "check.py": b"import main\nprint('checked')\n", "README.md": b"Read.\n"}


class Desk:
    """A checking host with a folder of trees, and a way to ask it."""

    def __init__(self, folder: Path, **sandbox: Any) -> None:
        self.settings = GradersSettings(state=folder, store="", portal_url="")
        self.store = FolderStore(self.settings.store_folder)
        self.worker = CheckingWorker(self.settings, SandboxSettings(**sandbox))
        self.heard: list[bytes] = []

    def request(self, **changed: Any) -> str:
        asked = CheckRequest(
            check="c1", fence=1, command=("python3", "check.py"), seconds=10, image="python", limits=RoomLimits(),
            work=self.store.put(WORK), bundle=self.store.put(GIVEN), deliverables=("main.py",),
        )  # fmt: skip
        return json.dumps(asked.model_dump(mode="json") | changed)

    def report(self, **changed: Any) -> CheckReport:
        return CheckReport.from_json(self.worker.perform(self.request(**changed), self.heard.append))

    def failure(self, **changed: Any) -> Failure:
        report = self.report(**changed)
        assert report.failure is not None
        assert report.ending is None
        return report.failure

    def run(self, program: str, **changed: Any) -> CheckReport:
        tree = self.store.put({"main.py": program.encode()})
        return self.report(work=tree, command=["python3", "main.py"], **changed)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# With an engine


@pytest.mark.docker
def test_the_checks_run_over_the_candidates_files(desk: Desk) -> None:
    report = desk.report()
    assert (report.check, report.fence, report.failure) == ("c1", 1, None)
    assert (report.ending, report.exit_code, report.output) == (Ending.EXITED, 0, "42\nchecked\n")
    assert 0 < report.seconds < 10


@pytest.mark.docker
def test_both_streams_are_kept_each_in_its_order(desk: Desk) -> None:
    """Two pipes have no order between them, when both have something by the time at which they are looked at."""
    report = desk.run("import sys\nfor n in range(3): print(n); print(f'e{n}', file=sys.stderr)\nsys.exit(3)")
    assert (report.ending, report.exit_code) == (Ending.EXITED, 3)
    lines = report.output.splitlines()
    assert [line for line in lines if "e" not in line] == ["0", "1", "2"]
    assert [line for line in lines if "e" in line] == ["e0", "e1", "e2"]


@pytest.mark.docker
def test_what_is_printed_is_heard_before_the_end(desk: Desk) -> None:
    report = desk.run("import time\nprint('begun')\ntime.sleep(3)\nprint('over')")
    assert b"".join(desk.heard).decode() == report.output == "begun\nover\n"
    assert b"over" not in desk.heard[0], "it came in one piece when all was over"


@pytest.mark.docker
@pytest.mark.parametrize(
    ("program", "seconds", "ending"),
    [
        ("while True: pass", 1, Ending.TIMED_OUT),
        ("while True: print('x' * 1000)", 30, Ending.TOO_MUCH_OUTPUT),
        ("x = bytearray(1 << 30); x[::4096] = b'1' * (1 << 18)", 30, Ending.OUT_OF_MEMORY),
    ],
)
def test_whatever_a_program_does_is_no_failure_of_ours(
    program: str, seconds: float, ending: Ending, desk: Desk
) -> None:
    report = desk.run(program, seconds=seconds)
    assert (report.ending, report.exit_code, report.failure) == (ending, None, None)
    assert len(report.output) <= LONGEST_OUTPUT + 200


@pytest.mark.docker
def test_a_command_that_cannot_be_started_says_why(desk: Desk) -> None:
    report = desk.report(command=["./nothing"])
    assert (report.ending, report.exit_code) == (Ending.NOT_STARTED, None)
    assert "No such file" in report.output


@pytest.mark.docker
def test_output_that_no_database_takes_is_made_storable(desk: Desk) -> None:
    report = desk.run(r"import sys; sys.stdout.buffer.write(b'a\0b\xff\xed\xa0\x80')")
    assert report.output.startswith("a\ufffdb\ufffd")
    assert report.output.encode()
    assert "\0" not in report.output


@pytest.mark.docker
def test_no_room_is_left_and_those_of_a_try_before_are_removed(desk: Desk, engine: Engine) -> None:
    desk.report()
    assert engine.containers([f"{GRADING}=check-c1"]) == []


# What cannot be done


def test_an_engine_that_is_away_is_the_operators_failure(tmp_path: Path) -> None:
    failure = Desk(tmp_path, docker_host="unix:///nowhere").failure()
    assert failure.fault_of is Fault.OPERATOR
    assert "no Docker engine is there" in failure.message


def test_work_that_is_not_in_the_store_is_the_operators_failure(desk: Desk) -> None:
    failure = desk.failure(work="f" * 64)
    assert failure.fault_of is Fault.OPERATOR
    assert failure.message.startswith("tree ffffffffffff: ")


@pytest.mark.docker
def test_limits_that_no_room_can_have_are_a_failure_and_no_crash(desk: Desk) -> None:
    failure = desk.failure(limits={"memory_mb": 1})
    assert failure.message.startswith("limits: memory_mb: 1 is not between")


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2},
        {"command": []},
        {"command": "python3 check.py"},
        {"seconds": 0},
        {"seconds": "10"},
        {"work": "../x"},
        {"fence": 0},
        {"image": "Python"},
        {"answers": True},
    ],
)
def test_a_request_that_is_none_of_ours_is_refused(changed: dict[str, Any], desk: Desk) -> None:
    with pytest.raises(MessageUnreadable, match=r"^CheckRequest: "):
        desk.worker.perform(desk.request(**changed), bool)


def test_a_report_has_an_ending_or_a_failure() -> None:
    failure = Failure(fault_of=Fault.OPERATOR, message="no disk")
    for amiss in ({}, {"ending": Ending.EXITED, "failure": failure}):
        with pytest.raises(ValueError, match="an ending or a failure, and not both"):
            CheckReport(check="c1", fence=1, **amiss)  # type: ignore[arg-type]


def test_files_that_no_room_takes_are_told_before_anything_runs() -> None:
    fake = FakeSandbox()
    with pytest.raises(WorkUnfit, match=r"^saved work: files: "):
        check(["python3"], {"../x": b""}, fake, Limits(), 5)
    assert fake.files == []


def test_what_is_heard_is_what_is_kept() -> None:
    heard: list[bytes] = []
    fake = FakeSandbox(lambda _: ended(b"42\n"))
    done, said = check(["python3", "main.py"], WORK, fake, Limits(), 5, heard.append)
    assert (done.ok, said, heard) == (True, b"42\n", [b"42\n"])


# What lies in the room


def test_what_was_given_and_is_not_handed_in_is_put_back() -> None:
    assert completed({}, GIVEN, ("main.py",)).keys() == {"check.py", "README.md"}
    assert completed(WORK, GIVEN, ("main.py",)) == {**GIVEN, **WORK}
    assert completed({"check.py": b"mine"}, GIVEN, ("main.py",))["check.py"] == b"mine"


def test_a_deliverable_that_is_missing_stays_missing() -> None:
    given = {"app/main.py": b"", "app/deep/x": b"", "apple": b""}
    assert completed({}, given, ("app",)).keys() == {"apple"}


def test_what_would_lie_in_the_way_of_the_candidates_files_is_left_out() -> None:
    given = {"lib": b"a file", "rows/a.json": b"", "rows/b.json": b""}
    theirs = {"lib/mine.py": b"", "rows": b"a file of theirs"}
    assert completed(theirs, given, ()) == theirs


def test_long_output_keeps_its_beginning_and_its_end() -> None:
    said = "first" + "x" * LONGEST_OUTPUT + "last"
    kept = cut(said)
    assert kept.startswith("first")
    assert kept.endswith("last")
    assert "9 characters left out" in kept
    assert len(kept) <= LONGEST_OUTPUT + 200
    assert cut("short") == "short"


# What an author is told


HANDOUT = Handout(FORM, Bundle({"notes.md": b""}))


def tried(folder: Path, answer: Sequence[Execution], check: str = '["python3", "check.py"]') -> list[str]:
    place = new_challenge(folder)
    change(place / "challenge.toml", "grading_seconds = 60", f"grading_seconds = 60\ncheck = {check}")
    challenge = read_challenge(place)
    perfect = next(one for one in read_solutions(challenge) if one.expect.kind == "perfect")
    said = iter(answer)
    return try_public_checks(challenge, HANDOUT, perfect, FakeSandbox(lambda _: next(said)))


FAILS = Execution(Ending.EXITED, 1, b"1 of 6\n\n", b"", 0.1)


def test_checks_that_run_are_nothing_to_complain_about(tmp_path: Path) -> None:
    assert tried(tmp_path, [FAILS, ended(b"6 of 6\n")]) == []


def test_checks_that_never_end_are_told_of(tmp_path: Path) -> None:
    (told,) = tried(tmp_path, [Execution(Ending.TIMED_OUT, None, b"waiting\n", b"", 30)])
    assert told == (
        "challenge.toml: check: python3 check.py: on the starter: timed out: waiting: candidates could never run it"
    )


def test_checks_that_the_perfect_solution_fails_are_told_of(tmp_path: Path) -> None:
    (told,) = tried(tmp_path, [FAILS, FAILS])
    assert told.startswith(
        "challenge.toml: check: python3 check.py: on solutions/perfect: exit code 1: 1 of 6: whoever does everything"
    )


@pytest.mark.docker
def test_a_check_whose_file_is_missing_is_told_of(tmp_path: Path, sandbox: Sandbox) -> None:
    place = new_challenge(tmp_path)
    change(place / "challenge.toml", "grading_seconds = 60", 'grading_seconds = 60\ncheck = ["python3", "check.py"]')
    challenge = read_challenge(place)
    perfect = next(one for one in read_solutions(challenge) if one.expect.kind == "perfect")
    (told,) = try_public_checks(challenge, HANDOUT, perfect, sandbox)
    assert "exit code 2: " in told
    assert "can't open file" in told
