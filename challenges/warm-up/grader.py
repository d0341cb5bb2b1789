"""Grades the warm-up: asks the function, runs the notebook on other rows, and compares out here."""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from graders import Finding, Form, Submission, calls, notebooks, strict
from sandbox import Room, Sandbox

WORDS = """
agent answer batch cache chunk cosine crawl dense drift embed epoch filter fusion gate graph hybrid index ingest judge
kernel label latency ledger merge metric naïve null offset page parse query rank recall rerank schema score shard sparse
stale store tenant token trace vector window yield über ölig
""".split()

Call = tuple[str, int, int]


def grade(submission: Submission, sandbox: Sandbox) -> Iterable[Finding]:
    form, limits = submission.form, submission.limits
    hidden = hidden_rows(form)
    retrieval = {"cutoff": cutoff_of(form), "rows": hidden}
    files = {**submission.files, "retrieval.json": json.dumps(retrieval).encode()}
    groups = {name: make(form) for name, make in GROUPS.items()}
    with sandbox.open(files=files, limits=limits) as room:
        answers = {
            name: calls.call_in(room, "windows.py:split", given, limits, seconds_each=1, seconds_all=4)
            for name, given in groups.items()
        }
        ran = run_notebook(room, submission)
    compared = {name: calls.credit(answers[name], [expected(*one) for one in groups[name]]) for name in groups}
    yield from function_findings(compared)
    yield from notebook_findings(ran, retrieval)
