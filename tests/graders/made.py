"""Submissions and notebooks as tests need them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from graders import Form, Submission
from sandbox import Limits

FORM: Final = Form("warm-up", "1.0.0", "reference", b"s" * 32)
ROOMY: Final = Limits(seconds=9)


def submission(files: Mapping[str, str | bytes], limits: Limits = ROOMY) -> Submission:
    encoded = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return Submission(encoded, FORM, limits)


def cell(source: str | Sequence[str], kind: str = "code", *tags: str) -> dict[str, Any]:
    shown = {"outputs": [{"output_type": "stream", "name": "stdout", "text": "all right"}], "execution_count": 9}
    return {
        "cell_type": kind,
        "metadata": {"tags": list(tags)},
        "source": source,
        **(shown if kind == "code" else {}),
    }


def notebook(*cells: str | dict[str, Any], **more: Any) -> bytes:
    """A notebook as Jupyter saves it; its outputs say what they like."""
    made = [cell(one) if isinstance(one, str) else one for one in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": made, **more}).encode()
