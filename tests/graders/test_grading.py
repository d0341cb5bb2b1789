"""What becomes of a submission when the grader does its work, and when it does anything else."""

import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, indent

import pytest

from graders import forms, grading
from graders.challenge import Challenge, read_challenge, read_solutions
from graders.contract import ChallengeInvalid, Finding, GraderFailed
from graders.grading import Graded, SubmissionUnfit
from graders.watch import Allowance, Overrun, Record
from sandbox import Execution, Sandbox, SandboxMisused, SandboxUnavailable
from tests.graders.fake_sandbox import FakeSandbox, ended
from tests.graders.folders import RUBRIC, sums
from web.settings import PROJECT

ADDS = "Finding(criterion='adds', credit=1, reason='it adds')"
REFUSES = "Finding(criterion='refuses', credit=0, reason='it takes all')"
HEAD = "from graders import Evidence, Finding\n"


def challenge(folder: Path, body: str, seconds: float | None = None) -> Challenge:
    """With `body` as what grade does, from line 4 of grader.py on."""
    source = HEAD + "\ndef grade(submission, sandbox):\n" + indent(dedent(body).strip(), "    ") + "\n"
    made = sums(folder, {"grader.py": source})
    if seconds is None:
        return made
    return replace(made, manifest=made.manifest.model_copy(update={"grading_seconds": seconds}))


def grade(
    made: Challenge,
    files: Mapping[str, bytes] | None = None,
    sandbox: Sandbox | None = None,
    record: Record | None = None,
) -> Graded:
    form = forms.author_form(made, "1")
    return grading.grade(made, files or {}, form, sandbox or FakeSandbox(), record)


def failure(made: Challenge, sandbox: Sandbox | None = None, record: Record | None = None) -> str:
    with pytest.raises(GraderFailed) as caught:
        grade(made, sandbox=sandbox, record=record)
    return str(caught.value)


def away(_: Sequence[str]) -> Execution:
    raise SandboxUnavailable("connect: no Docker engine is there")


# What is given back


def test_findings_come_back_in_the_order_of_the_rubric(tmp_path: Path) -> None:
    graded = grade(challenge(tmp_path, f"yield {REFUSES}\nyield {ADDS}"))
    assert [(one.criterion, one.credit, one.reason) for one in graded.findings] == [
        ("adds", 1, "it adds"),
        ("refuses", 0, "it takes all"),
    ]


def test_a_list_will_do_and_a_criterion_may_stay_open(tmp_path: Path) -> None:
    opened = ADDS.replace("credit=1", "credit=None")
    assert [one.credit for one in grade(challenge(tmp_path, f"return [{opened}, {REFUSES}]")).findings] == [None, 0]


def test_nothing_handed_in_is_graded_too(tmp_path: Path) -> None:
    body = f"if submission.files: raise ValueError\nreturn [{ADDS}, {REFUSES}]"
    assert len(grade(challenge(tmp_path, body), {}).findings) == 2


def test_a_grader_gets_files_form_limits_and_private_files(tmp_path: Path) -> None:
    body = f"""
    assert submission.files == {{"sum.py": b"x"}}, submission.files
    assert submission.form.reference == "seed-1"
    assert submission.limits.memory_mb == 256
    assert submission.load_private("answers.json") == [3, 5]
    return [{ADDS}, {REFUSES}]
    """
    assert grade(challenge(tmp_path, body), {"sum.py": b"x"}).findings


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return None", "grader.py: grade returns NoneType: yield findings, or return a list of them"),
        ("pass", "grader.py: grade returns NoneType: "),
        ("return 1", "grader.py: grade returns int: "),
        (f"return {ADDS}", "grader.py: tuple among the findings: give Finding(...) only"),
        (f"yield {ADDS}", "grader.py: refuses: no finding: give each criterion one, with credit 0 if need be"),
        ("yield from ()", "grader.py: adds, refuses: no finding: "),
        (f"yield {ADDS}\nyield {ADDS}", "grader.py: adds: two findings: give each criterion one"),
        (f"yield {ADDS}\nyield {REFUSES}\nyield {ADDS}", "grader.py: adds: two findings"),
        (f"while True: yield {ADDS}", "grader.py: adds: two findings"),
        (f"yield {ADDS}\nyield {{'criterion': 'refuses'}}", "grader.py: dict among the findings: give Finding(...)"),
        ("yield 'adds'", "grader.py: str among the findings: "),
        ("yield Finding(criterion='sums', credit=1, reason='r')", "grader.py: sums: no criterion that tests judge: "),
        ("yield Finding(criterion='reason', credit=1, reason='r')", "grader.py: reason: no criterion that tests judge"),
        ("yield Finding(criterion='adds', credit=float('nan'), reason='r')", "grader.py:4: Finding: credit: "),
        ("yield Finding(criterion='adds', credit=1.01, reason='r')", "grader.py:4: Finding: credit: "),
        ("yield Finding(criterion='adds', credit=True, reason='r')", "grader.py:4: Finding: credit: "),
        ("yield Finding(criterion='adds', credit='1', reason='r')", "grader.py:4: Finding: credit: "),
        ("yield Finding(criterion='adds', credit=1, reason='')", "grader.py:4: Finding: reason: "),
        ("yield Finding(criterion='adds', credit=1, points=50, reason='r')", "grader.py:4: Finding: points: "),
    ],
)  # fmt: skip
def test_findings_that_break_the_contract_are_the_authors_fault(tmp_path: Path, body: str, sentence: str) -> None:
    assert failure(challenge(tmp_path, body)).startswith(sentence)


@pytest.mark.parametrize(
    "values",
    [
        "credit=float('nan'), reason='r', evidence=()",
        "credit=float('inf'), reason='r', evidence=()",
        "credit=2.0, reason='r', evidence=()",
        "credit=-0.001, reason='r', evidence=()",
        "credit=True, reason='r', evidence=()",
        "credit='0.5', reason='r', evidence=()",
        "credit=10**400, reason='r', evidence=()",
        "credit=1.0, reason=None, evidence=()",
        "credit=1.0, reason='r' * 2001, evidence=()",
        "credit=1.0, reason='r', evidence=(None,)",
        "credit=1.0, reason='r', evidence=('seen',)",
        "credit=1.0, reason='r', evidence=(Evidence.model_construct(text='x' * 5000),)",
        "credit=1.0, reason='r', evidence=(Evidence.model_construct(text='x', line=-1),)",
        "credit=1.0, reason='r', evidence=(Evidence(text='x'),) * 51",
        "credit=1.0, reason='r', evidence=7",
        "credit=1.0",
    ],
)
def test_a_finding_that_was_never_validated_is_validated_here(tmp_path: Path, values: str) -> None:
    body = f"yield Finding.model_construct(criterion='adds', {values})\nyield {REFUSES}"
    assert failure(challenge(tmp_path, body)).startswith("grader.py: ")


def test_a_finding_of_a_class_of_the_authors_own_becomes_a_plain_one(tmp_path: Path) -> None:
    body = f"""
    class Number(float):
        def __lt__(self, other): return False
        def __repr__(self): return "1000"
    class Mine(Finding):
        points: float = 1000.0
        def model_dump_json(self, **_): return "{{}}"
    yield Mine.model_construct(criterion="adds", credit=Number(0.5), reason="r", evidence=())
    yield {REFUSES}
    """
    finding = grade(challenge(tmp_path, body)).findings[0]
    assert (type(finding), type(finding.credit), finding.credit) == (Finding, float, 0.5)
    assert finding.to_json() == '{"criterion":"adds","credit":0.5,"reason":"r","evidence":[]}'


def test_what_no_database_can_keep_is_replaced_in_a_finding(tmp_path: Path) -> None:
    """A candidate chooses what a grader quotes; it must not make the recording fail for ever."""
    body = f"""
    quote = b"nul:\\0".decode() + " half: " + chr(0xD800)
    yield Finding.model_construct(criterion="adds", credit=1.0, reason=quote,
                                  evidence=(Evidence.model_construct(text=quote, file=None, line=None, source=""),))
    yield {REFUSES}
    """
    finding = grade(challenge(tmp_path, body)).findings[0]
    assert finding.reason == finding.evidence[0].text == "nul:\ufffd half: \ufffd"
    assert Finding.from_json(finding.to_json()) == finding


def test_a_grader_is_not_asked_for_more_than_one_finding_too_many(tmp_path: Path) -> None:
    body = """
    for number in range(10 ** 9):
        (submission.private["answers.json"].parent / f"asked-{number}").touch()
        yield Finding(criterion=["adds", "refuses", "more"][number], credit=1, reason="r")
    """
    assert "more: no criterion" in failure(challenge(tmp_path, body))
    assert len(list(tmp_path.rglob("asked-*"))) == 3


# What is raised


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise ValueError('no rows')", "grader.py:4: ValueError: no rows"),
        ("raise ValueError", "grader.py:4: ValueError"),
        ("1 / 0", "grader.py:4: ZeroDivisionError: division by zero"),
        (f"yield {ADDS}\nraise KeyError('x')", "grader.py:5: KeyError: 'x'"),
        ("open('/nowhere/at/all')", "grader.py:4: FileNotFoundError: [Errno 2] No such file or directory: "),
        ("b'\\xff'.decode()", "grader.py:4: UnicodeDecodeError: "),
        ("def again(): again()\nagain()", "grader.py:4: RecursionError: maximum recursion depth exceeded"),
        ("raise SystemExit(0)", "grader.py:4: it ends the process: a grader returns its findings"),
        ("import sys\nsys.exit('done')", "grader.py:5: it ends the process"),
        ("exit()", "grader.py:4: it ends the process"),
        ("class Odd(BaseException): pass\nraise Odd('x')", "grader.py:5: Odd: x"),
        ("raise GeneratorExit", "grader.py:4: GeneratorExit"),
        ("raise StopIteration", "grader.py:4: StopIteration"),
        ("class Mute(Exception):\n    def __str__(self): raise OSError\nraise Mute", "grader.py:6: Mute: <excep"),
        ("raise ValueError('nul\\0')", "grader.py:4: ValueError: nul\ufffd"),
        ("raise ExceptionGroup('both', [ValueError(1)])", "grader.py:4: ExceptionGroup: both"),
        ("assert 0, 'x' * 100000", "grader.py:4: AssertionError: xxx"),
        ("from . import helper\nhelper.trip()", "helper.py:2: RuntimeError: tripped"),
        ("import json\njson.loads('{')", "grader.py:5: JSONDecodeError: "),
    ],
)  # fmt: skip
def test_whatever_a_grader_raises_is_a_sentence_with_file_and_line(tmp_path: Path, body: str, sentence: str) -> None:
    made = challenge(tmp_path, body)
    (made.folder / "helper.py").write_text("def trip():\n    raise RuntimeError('tripped')\n")
    said = failure(read_challenge(made.folder))
    assert said.startswith(sentence)
    assert len(said) < 2000


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def grade(submission, sandbox)\n    pass\n", "grader.py:1: SyntaxError: "),
        ("import nothing_of_this_name\n", "grader.py:1: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("raise SystemExit\n", "grader.py:1: it ends the process"),
        ("def grade(): return []\n", "grader.py: TypeError: grade() takes 0 positional arguments but 2 were given"),
    ],
)
def test_a_grader_that_cannot_even_be_called_is_the_authors_fault(tmp_path: Path, source: str, sentence: str) -> None:
    assert failure(sums(tmp_path, {"grader.py": source})).startswith(sentence)


def test_a_private_file_that_is_missing_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ChallengeInvalid, match=r"private/rows\.json: there is no such file"):
        grade(challenge(tmp_path, "submission.load_private('rows.json')"))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("raise MemoryError", MemoryError),
        ("import errno\nraise OSError(errno.ENOSPC, 'No space left on device')", OSError),
        ("import errno\nraise OSError(errno.EMFILE, 'Too many open files')", OSError),
        ("raise KeyboardInterrupt", KeyboardInterrupt),
    ],
)
def test_a_machine_that_fails_is_not_the_authors_fault(tmp_path: Path, body: str, kind: type[BaseException]) -> None:
    with pytest.raises(kind):
        grade(challenge(tmp_path, body))


def test_somebody_elses_exit_passes_through_a_grader(tmp_path: Path) -> None:
    """A worker that is told to stop may do so by SystemExit from a handler of its own."""
    program = f"""
        import os, signal, sys
        from pathlib import Path
        from graders import forms, grading
        from graders.challenge import read_challenge
        from tests.graders.fake_sandbox import FakeSandbox
        import web.handler_of_a_test as handler
        made = read_challenge(Path({str(tmp_path / "sums")!r}))
        signal.signal(signal.SIGTERM, handler.leave)
        grading.grade(made, {{}}, forms.author_form(made, "1"), FakeSandbox())
    """
    challenge(tmp_path, "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(30)")
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "start.py").write_text(
        "import sys, types\n"
        "module = types.ModuleType('web.handler_of_a_test')\n"
        "exec('import sys\\ndef leave(number, frame): sys.exit(128 + number)', module.__dict__)\n"
        "sys.modules['web.handler_of_a_test'] = module\n" + dedent(program)
    )
    done = subprocess.run(
        [sys.executable, str(ours / "start.py")], env={"PYTHONPATH": str(PROJECT)}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, b"")


# A sandbox that fails


@pytest.mark.parametrize(
    "body",
    [
        "sandbox.run(['true'])",
        "try:\n    sandbox.run(['true'])\nexcept Exception: pass\nreturn [{adds}, {refuses}]",
        "try:\n    sandbox.run(['true'])\nexcept BaseException: pass\nyield {adds}\nyield {refuses}",
        "try:\n    sandbox.run(['true'])\nexcept Exception as error:\n    raise ValueError('no answer') from error",
        "try:\n    sandbox.run(['true'])\nfinally:\n    raise SystemExit",
        "with sandbox.open() as room:\n    try: room.run(['true'])\n    except Exception: pass\nreturn []",
        "with sandbox.open() as room:\n    try: room.serve(['true'])\n    except Exception: pass\nreturn []",
    ],
)  # fmt: skip
def test_no_score_comes_of_a_sandbox_that_failed_whatever_the_grader_makes_of_it(tmp_path: Path, body: str) -> None:
    made = challenge(tmp_path, body.format(adds=ADDS, refuses=REFUSES))
    with pytest.raises(SandboxUnavailable, match="no Docker engine is there"):
        grade(made, sandbox=FakeSandbox(away))


def test_a_sandbox_that_failed_once_is_not_asked_again(tmp_path: Path) -> None:
    asked = []

    def once(command: Sequence[str]) -> Execution:
        asked.append(command)
        return away(command)

    body = "for _ in range(3):\n    try: sandbox.run(['true'])\n    except Exception: pass\nreturn []"
    with pytest.raises(SandboxUnavailable):
        grade(challenge(tmp_path, body), sandbox=FakeSandbox(once))
    assert len(asked) == 1


def misused(_: Sequence[str]) -> Execution:
    raise SandboxMisused("command: []: a list of words is needed, the program first")


@pytest.mark.parametrize(
    "body", ["sandbox.run([])", "try: sandbox.run([])\nexcept Exception: pass\nreturn [{adds}, {refuses}]"]
)
def test_a_sandbox_that_is_misused_is_the_authors_fault_even_if_the_grader_swallows_it(
    tmp_path: Path, body: str
) -> None:
    said = failure(challenge(tmp_path, body.format(adds=ADDS, refuses=REFUSES)), FakeSandbox(misused))
    assert "command: []: a list of words is needed" in said


# Files that no room takes


@pytest.mark.parametrize("name", ["../x", "a\0b", "half\ud800"])
def test_a_submission_that_no_room_takes_is_nobodys_score_and_not_the_authors_fault(tmp_path: Path, name: str) -> None:
    with pytest.raises(SubmissionUnfit, match=r"^submission: files: "):
        grade(challenge(tmp_path, "raise AssertionError('it ran')"), {name: b""})


# Time


def test_a_grader_that_never_ends_is_ended_and_told_where_it_was(tmp_path: Path) -> None:
    said = failure(challenge(tmp_path, "while True:\n    pass", seconds=0.2))
    assert said.startswith(("grader.py:4: no end after 0.2 s", "grader.py:5: no end after 0.2 s"))


@pytest.mark.parametrize(
    "body",
    [
        "import time\nwhile True:\n    try: time.sleep(60)\n    except Exception: pass",
        "import itertools\nfor number in itertools.count():\n    pass",
        "while True:\n    try: open('/nowhere')\n    except OSError: pass",
        f"yield {ADDS}\nimport time\ntime.sleep(60)",
    ],
)
def test_no_except_exception_keeps_the_alarm_away(tmp_path: Path, body: str) -> None:
    assert "no end after 0.2 s" in failure(challenge(tmp_path, body, seconds=0.2))


def test_a_grader_that_swallowed_the_alarm_gives_no_findings(tmp_path: Path) -> None:
    body = f"import time\ntry:\n    time.sleep(60)\nexcept BaseException:\n    pass\nreturn [{ADDS}, {REFUSES}]"
    assert "it went on after its time was over" in failure(challenge(tmp_path, body, seconds=0.2))


def test_the_time_of_programs_counts_and_that_of_the_engine_does_not(tmp_path: Path) -> None:
    made = challenge(tmp_path, f"for _ in range(5): sandbox.run(['true'])\nreturn [{ADDS}, {REFUSES}]", seconds=3.5)

    def slow_program(_: Sequence[str]) -> Execution:
        return ended(seconds=1)

    assert "no end after 3.5 s" in failure(made, FakeSandbox(slow_program))
    record = Record()
    graded = grade(made, sandbox=FakeSandbox(lambda _: ended(seconds=0.5)), record=record)
    assert graded.seconds["programs"] == 2.5
    assert set(graded.seconds) == {"grader", "programs", "rooms"}


def test_an_open_room_is_closed_when_time_is_over(tmp_path: Path) -> None:
    sandbox = FakeSandbox()
    body = "with sandbox.open() as room:\n    while True: pass"
    assert "no end after" in failure(challenge(tmp_path, body, seconds=0.2), sandbox)
    assert (sandbox.open_rooms, len(sandbox.limits)) == (0, 1)


def test_afterwards_no_alarm_is_left_and_the_handler_is_the_one_from_before(tmp_path: Path) -> None:
    def mine(*_: object) -> None: ...

    kept = signal.signal(signal.SIGALRM, mine)
    try:
        failure(challenge(tmp_path / "a", "while True: pass", seconds=0.1))
        grade(challenge(tmp_path / "b", f"return [{ADDS}, {REFUSES}]"))
        assert signal.getsignal(signal.SIGALRM) is mine
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    finally:
        signal.signal(signal.SIGALRM, kept)


def test_the_alarm_strikes_the_authors_code_and_nobody_on_the_way_in_or_out() -> None:
    """Raised between the end of the block and the first line of its `finally`, Overrun would leave the alarm set."""
    allowance = Allowance(60)
    with allowance.running():
        signal.raise_signal(signal.SIGALRM)  # here is whoever calls the author
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] < 1, "it looks again soon"
        with pytest.raises(Overrun):
            _authors_code()
        assert allowance.over
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def _authors_code() -> None:
    signal.raise_signal(signal.SIGALRM)


def test_in_another_thread_time_is_looked_at_whenever_a_room_is_asked(tmp_path: Path) -> None:
    made = challenge(tmp_path, "import time\ntime.sleep(0.3)\nsandbox.run(['true'])", seconds=0.1)
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(failure(made)))
    thread.start()
    thread.join()
    assert said[0].startswith("grader.py:6: no end after 0.1 s")


def test_a_grader_may_ask_rooms_in_threads_of_its_own(tmp_path: Path) -> None:
    body = f"""
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: sandbox.run(["true"]).stdout, range(8)))
    assert answers == [b"yes"] * 8
    return [{ADDS}, {REFUSES}]
    """
    graded = grade(challenge(tmp_path, body), sandbox=FakeSandbox(lambda _: ended(b"yes")))
    assert len(graded.exchanges) == 8


# What it prints


def test_what_a_grader_prints_is_kept_and_reaches_no_stream_of_ours(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    body = f"""
    import sys
    print("one")
    print("two", file=sys.stderr)
    sys.stdout.buffer.write(b"three\\n")
    return [{ADDS}, {REFUSES}]
    """
    assert grade(challenge(tmp_path, body)).printed == "one\ntwo\nthree\n"
    assert capfd.readouterr() == ("", "")


def test_prints_without_end_are_cut_and_said_to_be(tmp_path: Path) -> None:
    printed = grade(challenge(tmp_path, f"print('x' * 10_000_000)\nreturn [{ADDS}, {REFUSES}]")).printed
    assert len(printed) <= 8000
    assert printed.startswith("[10000001 bytes were printed; these are the first]\nxxx")


def test_what_was_printed_before_a_failure_is_kept_too(tmp_path: Path) -> None:
    record = Record()
    failure(challenge(tmp_path, "print('at row 3', chr(0))\nraise ValueError"), record=record)
    assert record.printed == "at row 3 \ufffd\n"


def test_nothing_is_written_beside_the_grader(tmp_path: Path) -> None:
    made = challenge(tmp_path, f"return [{ADDS}, {REFUSES}]")
    before = sorted(made.folder.rglob("*"))
    grade(made)
    assert sorted(made.folder.rglob("*")) == before


def test_a_challenge_without_criteria_for_tests_needs_no_finding(tmp_path: Path) -> None:
    by_people = RUBRIC.replace('judged_by = "tests"', 'judged_by = "person"\nasks = "Does it?"')
    made = sums(tmp_path, {"rubric.toml": by_people, "grader.py": "def grade(submission, sandbox):\n    return []\n"})
    assert grade(made).findings == ()


# With real rooms


@pytest.mark.docker
def test_the_warm_ups_solutions_are_graded_in_real_rooms(sandbox: Sandbox) -> None:
    made = read_challenge(PROJECT / "challenges" / "warm-up")
    solutions = {solution.name: solution.files for solution in read_solutions(made)}
    perfect = grade(made, solutions["perfect"], sandbox)
    assert [finding.credit for finding in perfect.findings] == [1] * len(perfect.findings)
    assert {exchange.kind for exchange in perfect.exchanges} >= {"open", "run"}
    nothing = grade(made, {}, sandbox)
    assert [finding.credit for finding in nothing.findings] == [0] * len(nothing.findings)


@pytest.mark.docker
def test_a_real_room_is_gone_when_its_graders_time_is_over(tmp_path: Path, sandbox: Sandbox) -> None:
    body = "with sandbox.open() as room:\n    room.serve(['sleep', '60'])\n    while True: pass"
    assert "no end after 2 s" in failure(challenge(tmp_path, body, seconds=2), sandbox)
