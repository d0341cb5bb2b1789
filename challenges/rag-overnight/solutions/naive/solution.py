"""The cache is cleared, the pool raised, the context doubled; one fault is mended on the way and one entry written."""

import re
from collections.abc import Mapping

from graders import Form

from ...faults.catalogue import ALL
from ...forms.plan import Plan
from ...repairs import INCIDENT, easiest, generic_incident, tree

CONFIG = "config.toml"
RAISED = {"pool": "120", "passages": "8", "reranked": "60"}


def solve(form: Form, given: Mapping[str, bytes]) -> Mapping[str, bytes | None]:
    plan = Plan.of(form, ALL)
    files = tree(plan, given, easiest(plan, 1))
    text = (files.get(CONFIG) or given[CONFIG]).decode()
    for key, value in RAISED.items():
        text = re.sub(rf"(?m)^{key} = \S+", f"{key} = {value}", text)
    cleared: dict[str, bytes | None] = {name: None for name in given if name.startswith("state/")}
    entries = [("cache", "answers.sqlite"), ("retrieve", "config.toml [retrieval] pool"), ("prompt", "config.toml [prompt]")]
    return {**cleared, **files, CONFIG: text.encode(), INCIDENT: generic_incident(entries)}
