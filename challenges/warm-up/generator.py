"""What a candidate of this form gets: the starter, with retrieval rows and a cutoff of their own."""

import json
import random
from pathlib import Path
from typing import Any

from graders import Bundle, Form

STARTER = Path(__file__).parent / "starter"
PRODUCTS = ("Fernglas", "Lodestar", "Marginalia", "Octavo", "Pilcrow", "Quill", "Reading Room", "Verso")


def generate(form: Form) -> Bundle:
    chance = form.random("bundle")
    cutoff = cutoff_of(form)
    before = chance.randint(58, 66)
    retrieval = {"cutoff": cutoff, "rows": rows(form.random("rows to practise on"), cutoff)}
    files = {path.name: path.read_bytes() for path in sorted(STARTER.iterdir()) if path.is_file()}
    files["retrieval.json"] = json.dumps(retrieval, indent=1).encode() + b"\n"
    return Bundle(
        files=files,
        values={
            "product": chance.choice(PRODUCTS),
            "cutoff": cutoff,
            "recall_before": f"0.{before}",
            "recall_after": f"0.{before + chance.randint(8, 14)}",
        },
        signature=f"cutoff {cutoff}, rows {form.derive('rows to practise on').hex()[:8]}",
    )


def cutoff_of(form: Form) -> int:
    return form.random("cutoff").randint(3, 6)


def rows(chance: random.Random, cutoff: int, count: int = 40) -> list[dict[str, Any]]:
    """Questions of every kind: found early, found late, found after the cutoff, not found, with nothing to find."""
    made = []
    for number in range(count):
        documents = [f"doc-{name:03d}" for name in chance.sample(range(400), 16)]
        relevant = documents[: (number % 5)]  # every fifth question has no relevant document
        found = [name for name in relevant if chance.random() < 0.8]
        length = cutoff + chance.randint(0, 4)
        retrieved = (found + documents[4:])[:length]
        chance.shuffle(retrieved)
        made.append({"question": f"q-{number + 1:02d}", "relevant": sorted(relevant), "retrieved": retrieved})
    chance.shuffle(made)
    return made
