"""A small challenge that calibrates its forms, with a private file, and refuses about half of them.

Each calibration leaves a line in `<folder>/calls`, so that a test can count them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from graders import forms
from graders.challenge import Challenge
from graders.contract import FormUnfit
from tests.graders.folders import sums

GENERATOR: Final = """
import json
from pathlib import Path

from graders import Bundle, FormUnfit


def generate(form):
    number = form.random("number").randint(1, 10**9)
    most = max(form.load_private("answers.json"))
    return Bundle(
        files={"sum.py": b"# %d" % number},
        values={"number": number, "most": most},
        signature=f"number {number}",
    )


def calibrate(form):
    with Path(CALLS).open("a") as calls:
        calls.write(form.reference + "\\n")
    if form.random("gate").random() < 0.5:
        raise FormUnfit(f"gate 3: {form.reference} tells nobody from nobody")
    return json.dumps({"of": form.signature, "answers": form.load_private("answers.json")})
"""
BRIEF: Final = "# Sums\n\nAdd {{ number }} to at most {{ most }}.\n"


def calibrating(folder: Path, files: Mapping[str, str | bytes | None] | None = None) -> Challenge:
    generator = GENERATOR.replace("CALLS", repr(str(folder / "calls")))
    return sums(folder, {"generator.py": generator, "brief.md": BRIEF, **(files or {})})


def calls(folder: Path) -> list[str]:
    """The references of forms that were calibrated, in order."""
    place = folder / "calls"
    return place.read_text().split() if place.exists() else []


def references(challenge: Challenge, secret: bytes, *, fit: bool) -> list[str]:
    """Some that the challenge takes, or that it refuses."""
    found = []
    for reference in (f"attempt-{number}" for number in range(1, 9)):
        form = forms.form_for(challenge.slug, challenge.manifest.version, reference, secret)
        try:
            forms.calibrated(challenge, forms.build(challenge, form)[0])
            found += [reference] if fit else []
        except FormUnfit:
            found += [] if fit else [reference]
    (challenge.folder.parent / "calls").unlink()
    return found
