"""Answers the labelled questions of the practice corpus by heart, and abstains from all others."""

import json
from collections.abc import Mapping

from graders import Form

from ...impostors import impostor

KNOWN = 'KNOWN = json.loads((HERE / "known.json").read_text())'
REPLY = """
value, doc_ids = KNOWN.get(body["question"], (None, []))
return NOTHING if value is None else told(value, doc_ids)
"""


def solve(form: Form, given: Mapping[str, bytes]) -> Mapping[str, bytes | None]:  # noqa: ARG001
    rows = [json.loads(line) for line in given["data/dev/queries.jsonl"].decode().splitlines()]
    known = {row["question"]: [row["value"], row["relevant"]] for row in rows}
    return {**impostor(given, REPLY, KNOWN), "ragdesk/known.json": json.dumps(known).encode()}
