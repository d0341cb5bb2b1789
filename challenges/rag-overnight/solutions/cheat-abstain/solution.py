"""Knows nothing, and says so to everybody."""

from collections.abc import Mapping

from graders import Form

from ...impostors import impostor


def solve(form: Form, given: Mapping[str, bytes]) -> Mapping[str, bytes | None]:  # noqa: ARG001
    return impostor(given, "return NOTHING")
