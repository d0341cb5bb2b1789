"""Drives a candidate's repository through one hidden world: a night's ingest, a day's questions, an update.

    transcript = drive(submission, world, state, sandbox, name="first", folder=folder)

In one room, with the programs of the contract one after another, since a room runs one at a time:

    ingest ─► serve: all questions ─► ingest again ─► the corpus changes ─► ingest --incremental
           ─► serve the index as it was, /admin/reload to the new one: fresh questions and repeats ─► ingest elsewhere

The repository is taken whole but for its folder site/, where the hidden corpus and the index are. No phase that fails
ends the night: what was asked before is usable, and `complaints` has a sentence for what could not be. Only a failure
of ours is raised, as SandboxUnavailable.
"""

import base64
import hashlib
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic

from graders import Submission, strict
from graders.driver import Reply
from graders.probes import READ_ORDER
from graders.simgate import DOLLAR
from sandbox import Ending, Execution, Probe, Room, Sandbox

from .asking import LIVING, Asking, Times, how_it_ended
from .models import Models, opened
from .transcript import INGESTS, Asked, Asks, Marks, Phase, Transcript, World

__all__ = ["drive"]

SITE: Final = "site"
CORPUS: Final = f"{SITE}/corpus"
INDEX: Final = f"{SITE}/index"
BEFORE: Final = f"{SITE}/before"  # the index as it was before the update
WHOLE: Final = f"{SITE}/whole"  # the update, ingested into nothing
MANIFEST: Final = "manifest.json"

REPEATS: Final = 60
WARMING: Final = 8  # of the fresh questions, and of the repeats, that are asked before the reload
LATER: Final = 3.0  # times as long as the first ingest took may each later one take
LEAST_LATER: Final = 15.0
FILING_SECONDS: Final = 20.0
CLOSING: Final = 30.0  # of a room's life, beyond the night's own time
BUDGET: Final = 2 * DOLLAR
OPENING_HOUR: Final = 1_772_438_400  # 2 March 2026, 08:00 UTC, the day of the gateway's calendar


def drive(
    submission: Submission,
    world: World[Asks],
    state: Mapping[str, bytes],
    sandbox: Sandbox,
    *,
    name: str,
    folder: Path,
    times: Times = Times(),  # noqa: B008  # frozen
    budget: int = BUDGET,
) -> Transcript[Asks]:
    """`state` is what lies in the index's folder before the first ingest. `name` tells the form's worlds apart, and
    all chance comes from it. The gateway's socket is made in `folder`, from where the engine can mount it."""
    began = time.monotonic()
    form = submission.form
    given = {name: content for name, content in submission.files.items() if name.split("/")[0] != SITE}
    corpus = {f"{CORPUS}/{name}": content for name, content in world.corpus().items()}
    poisoned = {f"{INDEX}/{name}": content for name, content in state.items()}
    with opened(form, name, world.lexicon, folder, budget) as models:
        with (
            sandbox.open(
                files={**given, **corpus, **poisoned},
                limits=submission.limits,
                lifetime=times.world + CLOSING,
                gateways=models.gateways,
                environment={**models.environment, "PYTHONHASHSEED": "0"},
            ) as room,
            room.probe(LIVING) as living,
        ):
            night = _Night(room, living, models, submission, world, form.random(f"night of {name}"), times)
            night.pass_by()
        usage = models.usage()
    return Transcript(
        asked=tuple(night.asked),
        complaints=tuple(night.complaints),
        marks=night.marks,
        usage=usage,
        ingest_seconds=night.seconds,
        ingest_cpu_seconds=night.cpu_seconds,
        program_seconds=night.asking.program_seconds + sum(night.seconds.values()),
        wall_seconds=time.monotonic() - began,
    )


@dataclass
class _Night(Generic[Asks]):
    room: Room
    living: Probe
    models: Models
    submission: Submission
    world: World[Asks]
    chance: random.Random
    times: Times
    asked: list[Asked[Asks]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    marks: Marks = Marks()  # noqa: RUF009  # frozen
    seconds: dict[Phase, float] = field(default_factory=dict)
    cpu_seconds: dict[Phase, float] = field(default_factory=dict)
    hashes: dict[Phase, str] = field(default_factory=dict)  # of manifests, after the ingests that ended well
    sent: int = 0

    def __post_init__(self) -> None:
        self.ends = time.monotonic() + self.times.world
        limits = self.submission.limits
        self.asking = Asking(self.room, self.living, limits, self.times, self.ends, self.complaints.append)

    def pass_by(self) -> None:
        ingested = self.ingest(Phase.INGEST, INDEX)
        self.models.enter(Phase.QUESTIONS)
        with self.asking.serving(INDEX) as ready:  # also when the ingest failed: its own state may be there
            self.marks = replace(self.marks, clean_start=ingested and ready)
            self.ask(Phase.QUESTIONS, self.world.questions, self.times.questions)
        self.ingest(Phase.SECOND_INGEST, INDEX)
        kept = self.file_update()
        self.ingest(Phase.INCREMENTAL, INDEX, "--incremental")
        self.ask_about_the_update(BEFORE if kept else INDEX)
        self.ingest(Phase.WHOLE_INGEST, WHOLE)
        self.compare_manifests()

    # ingesting

    def ingest(self, phase: Phase, index: str, *more: str) -> bool:
        self.models.enter(phase)
        seconds = min(self.patience(), self.ends - time.monotonic())
        if seconds <= 0:
            self.complaints.append(f"{phase}: it was not started: the time was over")
            return False
        ended = self.room.run(
            ["python3", "-m", "ragdesk", "ingest", "--corpus", CORPUS, "--index", index, *more],
            collect=[f"{index}/{MANIFEST}"],
            seconds=max(0.1, seconds),
        )
        self.seconds[phase] = ended.seconds
        if ended.cpu_seconds is not None:
            self.cpu_seconds[phase] = ended.cpu_seconds
        if complaint := self.complaint(ended, seconds):
            self.complaints.append(f"{phase}: {complaint}")
            return False
        manifest = ended.files.get(f"{index}/{MANIFEST}")
        if manifest is None:
            self.complaints.append(f"{phase}: it left no {MANIFEST}")
        else:
            self.hashes[phase] = _hash(manifest)
        return True

    def patience(self) -> float:
        """An ingest after the first has no reason to take much longer, and others wait for their time."""
        most = min(self.times.ingest, self.submission.limits.seconds)
        first = self.seconds.get(Phase.INGEST)
        return most if first is None else min(most, max(LEAST_LATER, LATER * first))

    def complaint(self, ended: Execution, seconds: float) -> str:
        if ended.ending is Ending.TIMED_OUT:
            return f"it did not end in {seconds:.0f} s"
        if not ended.ok:
            return how_it_ended(ended)
        if (ended.cpu_seconds or 0) > self.times.ingest_cpu:
            return f"it used {ended.cpu_seconds:.0f} s of CPU time, and {self.times.ingest_cpu:.0f} are allowed"
        return ""

    def file_update(self) -> bool:
        """Change the corpus as it changed overnight, and keep the index as it was: whether that could be done."""
        before, after = self.world.corpus(), self.world.updated_corpus()
        order = {
            "write": {
                f"{CORPUS}/{name}": base64.b64encode(content).decode()
                for name, content in after.items()
                if before.get(name) != content
            },
            "remove": [f"{CORPUS}/{name}" for name in before if name not in after],
            "copy": [INDEX, BEFORE],
        }
        left = self.ends - time.monotonic()
        if left <= 0:
            return False
        ended = self.room.run(
            ("python3", "-Ps", "-c", READ_ORDER),
            stdin=json.dumps(order).encode() + b"\n" + _filing(),
            seconds=min(FILING_SECONDS, self.submission.limits.seconds, max(0.1, left)),
        )
        if not ended.ok:
            self.complaints.append(f"update: the folders are not as they were left: {how_it_ended(ended)}")
        return ended.ok

    def compare_manifests(self) -> None:
        """Of a hash that is the same whatever was ingested, nothing can be learned: it is none."""
        first, second, incremental, whole = (self.hashes.get(phase) for phase in INGESTS)
        if first is not None and first == whole:
            self.complaints.append(f"{MANIFEST}: its hash is the same before and after the update")
            return
        if first is not None and second is not None:
            self.marks = replace(self.marks, idempotent=first == second)
        if incremental is not None and whole is not None:
            self.marks = replace(self.marks, incremental_equals_full=incremental == whole)

    # asking

    def ask_about_the_update(self, index: str) -> None:
        """The server has the old index and has answered from it: what it then still remembers, it should not."""
        fresh = list(self.world.update.questions)
        unchanged = set(self.world.update.unchanged)
        standing = [question for question in self.world.questions if question.id in unchanged]
        repeats = self.chance.sample(standing, min(REPEATS, len(standing)))
        self.models.enter(Phase.BEFORE_RELOAD)
        with self.asking.serving(index):
            self.ask(Phase.BEFORE_RELOAD, [*fresh[:WARMING], *repeats[:WARMING]], self.times.questions)
            self.models.enter(Phase.AFTER_RELOAD)
            self.reload()
            asked = [*fresh, *repeats]
            self.chance.shuffle(asked)
            self.ask(Phase.AFTER_RELOAD, asked, self.times.questions, frozenset(one.id for one in repeats))

    def reload(self) -> None:
        reply = self.asking.post("/admin/reload", {"index": INDEX})
        if not reply.ok:
            self.complaints.append(f"/admin/reload: {reply.silence or f'status {reply.status}'}")
        match reply.json():
            case {"index": str(named)} if reply.ok:
                self.marks = replace(self.marks, reloaded=named.rstrip("/").endswith(INDEX))
            case _:
                self.marks = replace(self.marks, reloaded=False)

    def ask(
        self, phase: Phase, questions: Sequence[Asks], seconds: float, repeated: frozenset[str] = frozenset()
    ) -> None:
        bodies = [self.body(question) for question in questions]
        replies = self.asking.ask(bodies, time.monotonic() + seconds)
        for question, reply in zip(questions, replies, strict=True):
            silence = _silence(reply)
            body = b"" if silence else reply.body
            again = question.id in repeated
            self.asked.append(Asked(question, phase, body, silence, reply.seconds, again))
        unanswered = [one.silence for one in self.asked if one.phase is phase and one.silence]
        if unanswered:
            self.complaints.append(f"{phase}: {len(unanswered)} of {len(questions)} got no reply: {unanswered[0]}")

    def body(self, question: Asks) -> dict[str, Any]:
        """Every time a question is asked it has another number, of chance, so that a repeat is none to see."""
        self.sent += 1
        user = question.user
        return {
            "qid": f"{self.chance.getrandbits(96):024x}",
            "question": question.text,
            "user": {"id": user.id, "tenant": user.tenant, "roles": list(user.roles)},
            "ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(OPENING_HOUR + self.sent)),
        }


def _silence(reply: Reply) -> str:
    """Why this is no reply to a question; what a whole one with status 200 says is for others to read."""
    return reply.silence or ("" if reply.status == 200 else f"status {reply.status}")


def _hash(manifest: bytes) -> str:
    """As the manifest itself tells it, so that it may hold times as well; of one that tells none, of its bytes."""
    try:
        told = strict.loads(manifest)
    except strict.NotStrict:
        told = None
    match told:
        case {"hash": str(value)}:
            return f"told: {value}"
    return f"bytes: {hashlib.sha256(manifest).hexdigest()}"


@cache
def _filing() -> bytes:
    return (Path(__file__).parent / "inside" / "filing.py").read_bytes()
