"""Forms: the seeded variants of a challenge, and what a candidate of one is given.

    HMAC(instance secret, "warm-up@1.0.0|<attempt>")  ─► seed ─► form.derive("cutoff"), form.random("rows"), ...
    form ─► generator.py: generate  ─► files, values ─► brief.md with the values in it
                          calibrate ─► what is costly to find out about it, or FormUnfit: then nobody gets this one

Nobody without the secret can foretell a form, and whoever has it can make each again: nothing hidden is stored. What
calibrating gave is kept beside the form, because it may take a minute of a processor.
"""

import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, NoReturn

from graders.challenge import Challenge, load_calibrator, load_generator, room_limits, starter_files, unfit
from graders.challenge.calling import calling
from graders.challenge.mistakes import PLACEHOLDER
from graders.contract import LONGEST_CALIBRATION, Bundle, Form, FormUnfit, GraderFailed
from graders.trees import digest_of
from graders.watch import Allowance, Record, storable

__all__ = ["Bundle", "author_form", "build", "calibrated", "form_for", "render"]

AUTHORS_SECRET: Final = b"assay author"  # for `assay check` and its like: everybody gets the same forms from a seed
MOST_UNFIT: Final = 12  # forms of one author's seed
BUILD_SECONDS: Final = 120.0
LONGEST_REFUSAL: Final = 1000
LONGEST_SIGNATURE: Final = 200
LONGEST_VALUE: Final = 10_000
VALUE_NAME: Final = re.compile("[a-z][a-z0-9_]*")


def form_for(challenge_slug: str, version: str, reference: str, secret: bytes) -> Form:
    """The form of one attempt. `reference` is opaque, and no two attempts share one."""
    if not secret:
        raise ValueError("form: the secret is empty: anybody could make this form")
    seed = hmac.new(secret, f"{challenge_slug}@{version}|{reference}".encode(), hashlib.sha256).digest()
    return Form(challenge_slug, version, reference, seed)


def author_form(
    challenge: Challenge,
    seed: str,
    calibrate: Callable[[Challenge, Form], Form] | None = None,
    told: Callable[[str], object] = lambda _: None,
) -> Form:
    """The first form of this seed that its challenge does not refuse: seed-7, or else seed-7-2, seed-7-3, ...

    `calibrate`: instead of `calibrated`, where it is remembered what came of it. `told` hears what was discarded.
    """
    refused = ""
    for reference in [f"seed-{seed}", *(f"seed-{seed}-{number}" for number in range(2, MOST_UNFIT + 1))]:
        form = form_for(challenge.slug, challenge.manifest.version, reference, AUTHORS_SECRET)
        try:
            return (calibrate or calibrated)(challenge, replace(form, private=challenge.private))
        except FormUnfit as error:
            refused = str(error)
            told(f"form {reference}: is discarded: {refused}")
    raise GraderFailed(
        f"generator.py: calibrate: refuses {MOST_UNFIT} forms of seed {seed}, the last because of {refused}: "
        "make generate choose what passes more often"
    )


def build(challenge: Challenge, form: Form, record: Record | None = None) -> tuple[Form, Bundle]:
    """What the candidate of this form gets, and the form with its signature and the challenge's private files."""
    form = replace(form, private=challenge.private)
    with calling(challenge, "generator.py", Allowance(BUILD_SECONDS), record or Record()):
        generate = load_generator(challenge)
        bundle = _checked(challenge, generate(form)) if generate else Bundle(starter_files(challenge))
    made = replace(bundle, brief=render(challenge.brief, bundle.values))
    signature = made.signature or digest_of({**made.files, "": made.brief.encode()})[:16]
    return replace(form, signature=signature), replace(made, signature=signature)


def calibrated(challenge: Challenge, form: Form, record: Record | None = None) -> Form:
    """The form with what its challenge finds out about it; as it is, when the challenge has no `calibrate`.

    FormUnfit when the challenge refuses it. What it looks at has been built: a form that was not is built first.
    """
    record = record or Record()
    allowance = Allowance(challenge.manifest.calibration_seconds)
    with calling(challenge, "generator.py", allowance, record):
        calibrate = load_calibrator(challenge)
    if calibrate is None:
        return form
    if not form.signature:
        form, _ = build(challenge, form, record)
    refusal = None
    with calling(challenge, "generator.py", allowance, record):
        try:
            said = _checked_calibration(calibrate(form))
        except FormUnfit as error:
            refusal = storable(str(error)).strip()[:LONGEST_REFUSAL] or "calibrate does not say why"
    if refusal is not None:
        raise FormUnfit(refusal)
    return replace(form, calibration=said)


def _checked_calibration(said: object) -> str:
    if type(said) is not str:
        raise GraderFailed(f"calibrate returns {type(said).__name__}: return JSON text, such as json.dumps(...)")
    if (size := len(said.encode())) > LONGEST_CALIBRATION:
        raise GraderFailed(f"calibrate: {size / 1000:.0f} kB are more than {LONGEST_CALIBRATION // 1000}: return less")
    try:
        json.loads(said, parse_constant=_refuse_constant)
    except ValueError as error:
        raise GraderFailed(f"calibrate: is no JSON: {error}: return json.dumps(...)") from None
    return said


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON's")


def render(brief: str, values: Mapping[str, str | int | float]) -> str:
    """The brief with values for its placeholders. What a value holds is not looked through for placeholders again."""

    def value(name: str) -> str:
        if name not in values:
            known = f"it gives {', '.join(values)}" if values else "it gives none"
            raise GraderFailed(f"brief.md: {name}: generator.py gives no value of this name; {known}")
        return str(values[name])

    return PLACEHOLDER.sub(lambda found: value(found[1]), brief)


def _checked(challenge: Challenge, bundle: object) -> Bundle:
    """A copy of what a generator gave, after a look at every part of it."""
    if not isinstance(bundle, Bundle):
        raise GraderFailed(f"generate returns {type(bundle).__name__}: return Bundle(files=..., values=...)")
    if not isinstance(bundle.files, Mapping) or not isinstance(bundle.values, Mapping):
        raise GraderFailed("files and values must each be a dict")
    for name, content in bundle.files.items():
        if type(name) is not str or type(content) is not bytes:
            raise GraderFailed(f"files: {name!r}: a name must be text, and its content bytes")
    _check_size(challenge, bundle.files)
    for name, value in bundle.values.items():
        if type(name) is not str or not VALUE_NAME.fullmatch(name):
            raise GraderFailed(f"values: {name!r}: a name has small letters, digits and _")
        if type(value) not in (str, int, float) or (type(value) is float and not math.isfinite(value)):
            raise GraderFailed(f"values: {name}: {value!r}: must be a text or a finite number")
        if len(str(value)) > LONGEST_VALUE:
            raise GraderFailed(f"values: {name}: longer than {LONGEST_VALUE} characters")
    signature = bundle.signature
    if type(signature) is not str or len(signature) > LONGEST_SIGNATURE or not signature.isprintable():
        raise GraderFailed(f"signature: must be one line of at most {LONGEST_SIGNATURE} characters")
    if bundle.brief:
        raise GraderFailed("brief: is made from brief.md: leave it out")
    return Bundle(dict(bundle.files), dict(bundle.values), signature)


def _check_size(challenge: Challenge, files: Mapping[str, bytes]) -> None:
    """Most candidates hand in what they got, changed here and there."""
    allowed = challenge.manifest.submission
    size = sum(map(len, files.values()))
    if not files:
        raise GraderFailed("files: there are none: candidates must get something to start from")
    if len(files) > allowed.files or size > allowed.total_kb << 10:
        raise GraderFailed(
            f"files: {len(files)} of {size / 1024:.0f} kB are more than a submission may have: make them smaller, "
            "or raise submission.files and submission.total_kb in challenge.toml"
        )
    if complaint := unfit(files, room_limits(challenge.manifest)):
        raise GraderFailed(complaint)
