"""Remembers on this machine what calibrating an author's forms gave, also that one was refused.

    <folder>/<the challenge's digest>/seed-7.json          {"calibration": "..."} or {"unfit": "..."}

A form is calibrated again when anything of its challenge has changed, or when the folder is gone.
"""

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from graders import forms
from graders.challenge import Challenge
from graders.contract import Form, FormUnfit

__all__ = ["Calibrations"]

FOUND: Final = "calibration"
REFUSED: Final = "unfit"


class Calibrations:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def calibrated(self, challenge: Challenge, form: Form) -> Form:
        """As forms.calibrated, once for each form of a version; several processes at once do no harm."""
        place = self.folder / challenge.digest / f"{form.reference}.json"
        known = _read(place)
        if FOUND in known:
            return replace(form, calibration=known[FOUND])
        if REFUSED in known:
            raise FormUnfit(known[REFUSED])
        try:
            calibrated = forms.calibrated(challenge, form)
        except FormUnfit as error:
            _write(place, {REFUSED: str(error)})
            raise
        if calibrated.calibration:
            _write(place, {FOUND: calibrated.calibration})
        return calibrated


def _read(place: Path) -> dict[str, str]:
    """Nothing, when there is nothing that we wrote."""
    try:
        known = json.loads(place.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) and all(isinstance(one, str) for one in known.values()) else {}


def _write(place: Path, found: dict[str, str]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(found, file)
        Path(name).rename(place)
    finally:
        Path(name).unlink(missing_ok=True)  # there is one only if it was not renamed
