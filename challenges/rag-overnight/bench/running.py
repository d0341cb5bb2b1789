"""Runs a tree through one world as a grading does, only faster: in this process, without rooms, network and HTTP.

    models = LocalModels(world.lexicon)
    state = first_state(healthy, world, models)                       what last night left in the index folder
    measures = evaluate(tree, world, state, models=models)            scoring.measures.Measures
    run = night(tree, world, state, models=models)                    the same, with what went wrong and what it cost

A tree that misbehaves fails its questions, as it would over HTTP: an exception is a reply that never came.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..scoring.measures import Asked, Measures, Phase, measure
from ..world.questions import Question
from ..world.world import World
from .models import LocalModels, Spent
from .repository import Opened, opened, write

__all__ = ["Run", "evaluate", "first_state", "night"]

REPEATS: Final = 60
WARMING: Final = 8  # of the fresh questions and of the repeats, that are asked before the reload
ASKED_YESTERDAY: Final = 48
OPENING_HOUR: Final = 1_772_438_400  # 2 March 2026, 08:00 UTC
LOGS: Final = frozenset(("ingest.log", "query.log.jsonl"))  # hold the time of day


@dataclass(frozen=True, slots=True)
class Run:
    measures: Measures
    complaints: tuple[str, ...]
    questions: int  # of the first phase
    spent: Spent  # in the first phase, without ingest
    seconds: Mapping[str, float]  # of CPU, by phase


def evaluate(tree: Mapping[str, bytes], world: World, state: Mapping[str, bytes], *, models: LocalModels) -> Measures:
    return night(tree, world, state, models=models).measures


def night(tree: Mapping[str, bytes], world: World, state: Mapping[str, bytes], *, models: LocalModels) -> Run:
    """`state` is what lies in the index folder before the first ingest, by file name."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        one = _Night(world, models, Path(place))
        write(one.index, state)
        try:
            with opened(tree) as desk:
                one.pass_by(desk)
        except Exception as error:  # noqa: BLE001  # the tree's own: nothing of it can be loaded
            one.complain("start", error)
        one.clock("measuring")
        found = measure(world, one.asked)
        one.clock("")
    return Run(found, tuple(one.complaints), len(world.questions), one.spent, one.seconds)


def first_state(
    tree: Mapping[str, bytes], world: World, models: LocalModels, asked: int = ASKED_YESTERDAY
) -> dict[str, bytes]:
    """The index folder after an ingest of this world, and a few dozen of its questions, by a tree without faults.

    Logs are left out: they hold the time of day, and the same world has to leave the same state.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as place, opened(tree) as desk:
        index = Path(place, "index")
        desk.ingest(models.folder("corpus", world.corpus), index, models)
        serving = desk.serve(index, models)
        for number, question in enumerate(_spread(world.questions, asked)):
            serving.ask(_body(question, OPENING_HOUR - 86_400 + number))
        del serving
        return _read(index)


class _Night:
    def __init__(self, world: World, models: LocalModels, folder: Path) -> None:
        self._world = world
        self._models = models
        self.index, self._before = folder / "index", folder / "before"
        self._corpus = models.folder("corpus", world.corpus)
        self._updated = models.folder("updated corpus", world.updated_corpus)
        self.asked: list[Asked] = []
        self.complaints: list[str] = []
        self.spent = Spent()
        self.seconds: dict[str, float] = {}
        self._phase = "loading"
        self._since = time.process_time()
        self._sent = 0

    def pass_by(self, desk: Opened) -> None:
        self.clock("ingest")
        self._ingest(desk, self._corpus, incremental=False)
        self.clock("questions")
        spent = self._models.spent
        serving = self._serve(desk, self.index)
        self._ask(serving, self._world.questions, "first")
        self.spent = self._models.spent - spent
        self.clock("update")
        shutil.copytree(self.index, self._before, dirs_exist_ok=True)
        self._ingest(desk, self._updated, incremental=True)
        fresh, unchanged = self._world.update.questions, frozenset(self._world.update.unchanged)
        repeats = _spread([one for one in self._world.questions if one.id in unchanged], REPEATS)
        serving = self._serve(desk, self._before)
        self._ask(serving, [*fresh[:WARMING], *repeats[:WARMING]], None)
        try:
            serving.reload(self.index)
        except Exception as error:  # noqa: BLE001  # the tree's own
            self.complain("reload", error)
        self._ask(serving, [*fresh, *repeats], "updated")

    def clock(self, phase: str) -> None:
        now = time.process_time()
        self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now

    def complain(self, phase: str, error: Exception) -> None:
        self.complaints.append(f"{phase}: {type(error).__name__}: {error}")

    def _ingest(self, desk: Opened, corpus: Path, *, incremental: bool) -> None:
        try:
            desk.ingest(corpus, self.index, self._models, incremental=incremental)
        except Exception as error:  # noqa: BLE001  # the tree's own
            self.complain("incremental ingest" if incremental else "ingest", error)

    def _serve(self, desk: Opened, index: Path) -> Any:
        """None when it does not come up."""
        try:
            return desk.serve(index, self._models)
        except Exception as error:  # noqa: BLE001  # the tree's own
            self.complain("serve", error)
            return None

    def _ask(self, serving: Any, questions: Sequence[Question], phase: Phase | None) -> None:
        """Without a phase nobody scores the replies."""
        failed: list[str] = []
        for question in questions:
            self._sent += 1
            body, silence = b"", ""
            try:
                body = json.dumps(serving.ask(_body(question, OPENING_HOUR + self._sent))).encode()
            except Exception as error:  # noqa: BLE001  # the tree's own
                silence = f"{type(error).__name__}: {error}"
                failed.append(silence)
            if phase is not None:
                self.asked.append(Asked.heard(question, phase, body, silence=silence))
        if failed:
            self.complaints.append(f"{phase or 'before the reload'}: {len(failed)} got no reply: {failed[0]}")


def _body(question: Question, at: int) -> dict[str, Any]:
    user = question.user
    return {
        "qid": f"{at:024x}",
        "question": question.text,
        "user": {"id": user.id, "tenant": user.tenant, "roles": list(user.roles)},
        "ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
    }


def _spread(questions: Sequence[Question], most: int) -> list[Question]:
    """So many of them, evenly over all."""
    if len(questions) <= most:
        return list(questions)
    return [questions[place * len(questions) // most] for place in range(most)]


def _read(folder: Path) -> dict[str, bytes]:
    files: Iterable[Path] = sorted(path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in found.items() if name not in LOGS}
