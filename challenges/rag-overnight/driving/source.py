"""Reads Python that a stranger wrote, without running it and whatever it is."""

import ast
import warnings

__all__ = ["LONGEST", "parsed"]

LONGEST = 300_000  # bytes of one file


def parsed(content: bytes) -> ast.Module | None:
    """None: it is no Python, or more than would be looked at."""
    if len(content) > LONGEST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a stranger's escapes and comparisons are not ours to speak of
        try:
            return ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two are said of deep nesting
            return None
