"""What a grading worker does: a message in, a message out.

    worker = GradingWorker(GradersSettings(), SandboxSettings(), release)     once, when the process starts
    answer = worker.perform(request)                           GradingRequest ─► GradingReport, both as JSON text

Every failure that can be foreseen becomes a report that says whose it is. Only an author's ends a grading; an
operator's is tried again, here or on another host, and in neither case is there a score.
"""

import hashlib
import json
import platform
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from pydantic import ValidationError

from graders import forms, grading
from graders.challenge import Challenge, room_limits
from graders.contract import (
    ChallengeInvalid,
    Failure,
    Fault,
    Finding,
    Form,
    FormUnfit,
    GraderFailed,
    GradersError,
    GradingReport,
    GradingRequest,
    MessageUnreadable,
    Provenance,
)
from graders.settings import GradersSettings
from graders.trees import store_at
from graders.versions import VersionMissing, Versions
from graders.watch import Record, storable
from sandbox import SandboxError
from sandbox.container import Owner
from sandbox.docker import DockerSandbox, Engine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings

__all__ = ["GradingWorker", "in_words"]

LARGEST_REPORT: Final = 900_000  # bytes of JSON
LONGEST_MESSAGE: Final = 4000
# How much evidence a report may have, most first: pieces for each finding, characters of each. The last fits always.
EVIDENCE: Final = ((50, 4000), (20, 1000), (5, 500), (1, 200))


@dataclass(slots=True)
class Course:
    """What is known of one grading while it goes on, and still when it fails."""

    request: GradingRequest
    release: str
    record: Record = field(default_factory=Record)
    challenge: Challenge | None = None
    form: Form | None = None
    image: str = ""
    engine: str = ""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.record.seconds[name] = time.monotonic() - began

    def provenance(self) -> Provenance | None:
        if self.challenge is None or self.form is None:
            return None
        calibration = self.form.calibration.encode()
        return Provenance(
            challenge_digest=self.challenge.digest,
            challenge_version=self.challenge.manifest.version,
            form=self.form.reference,
            form_signature=self.form.signature,
            calibration=hashlib.sha256(calibration).hexdigest() if calibration else None,
            image=self.image,
            limits={name: float(value) for name, value in asdict(room_limits(self.challenge.manifest)).items()},
            versions={"assay": self.release, "python": platform.python_version(), "engine": self.engine},
            host=socket.gethostname(),
            seconds={name: round(seconds, 6) for name, seconds in self.record.seconds.items()},
            exchanges=tuple(self.record.exchanges),
            exchanges_left_out=self.record.exchanges_left_out,
            printed=self.record.printed,
        )


class GradingWorker:
    """Holds settings and nothing that is open: its process may fork for each grading."""

    def __init__(self, graders: GradersSettings, sandbox: SandboxSettings, release: str) -> None:
        self._settings = graders
        self._sandbox = sandbox
        self._release = release
        self._secret = graders.secret()
        self._versions = Versions(graders.versions_folder)

    def perform(self, text: str) -> str:
        """The report on a request. MessageUnreadable when it does not even say which grading it is about."""
        try:
            request = GradingRequest.from_json(text)
        except MessageUnreadable as error:
            return _unread(text, error).to_json()
        course = Course(request, self._release)
        try:
            return _report(course, self._grade(course))
        except (ChallengeInvalid, GraderFailed) as error:
            return _failed(course, Fault.AUTHOR, error)
        except (GradersError, SandboxError, OSError, MemoryError) as error:
            # A version or a tree that is not here, an engine that is away, a full disk; and SubmissionUnfit, because
            # the portal took files that it should have refused.
            return _failed(course, Fault.OPERATOR, error)

    def _grade(self, course: Course) -> tuple[Finding, ...]:
        request = course.request
        with course.phase("files"):
            files = self._tree(request)
        with course.phase("challenge"):
            course.challenge = challenge = self._versions.read(request.challenge_digest)
            if challenge.slug != request.challenge:
                raise VersionMissing(
                    f"challenge version {challenge.digest[:12]}: is one of {challenge.slug}, not of {request.challenge}"
                )
            manifest = challenge.manifest
            # A form stays what it was when the version is raised: its candidate was given that one.
            version = request.form_version or manifest.version
            course.form = forms.form_for(challenge.slug, version, request.form, self._secret)
        with course.phase("form"):
            course.form = self._known(course, challenge, course.form)
        with course.phase("engine"):
            engine = Engine(self._sandbox)
        with engine:
            with course.phase("sweep"):
                course.engine = str(engine.version().get("Version", ""))
                course.image = pinned(self._sandbox, manifest.image)
                owner = Owner(grading=request.grading, fence=request.fence)
                rooms = DockerSandbox(engine, course.image, self._sandbox, owner)
                rooms.sweep()
            return grading.grade(challenge, files, course.form, rooms, course.record).findings

    def _known(self, course: Course, challenge: Challenge, form: Form) -> Form:
        """With what was kept beside the form. There is nothing of a form that another version of the challenge made,
        nor of one that an operator's rehearsal made up: these are built and calibrated here, as far as it takes."""
        kept = course.request
        if kept.form_signature:
            form = replace(form, signature=kept.form_signature, private=challenge.private)
        else:
            form, _ = forms.build(challenge, form, course.record)
        if kept.calibration:
            return replace(form, calibration=kept.calibration)
        try:
            return forms.calibrated(challenge, form, course.record)
        except FormUnfit as error:
            raise GraderFailed(
                f"generator.py: calibrate: refuses the form of this submission, in this version: {error}"
            ) from error

    def _tree(self, request: GradingRequest) -> dict[str, bytes]:
        store = store_at(self._settings.portal_url, self._settings.store_folder, request.token)
        return store.get(request.submission)


def _report(course: Course, findings: tuple[Finding, ...]) -> str:
    request = course.request
    for pieces, characters in EVIDENCE:
        report = GradingReport(
            grading=request.grading,
            fence=request.fence,
            findings=tuple(_shortened(finding, pieces, characters) for finding in findings),
            provenance=course.provenance(),
        )
        text = report.to_json()
        if len(text.encode()) <= LARGEST_REPORT:
            return text
        course.record.exchanges_left_out += len(course.record.exchanges)
        course.record.exchanges.clear()
    return text


def _shortened(finding: Finding, pieces: int, characters: int) -> Finding:
    kept = tuple(piece.model_copy(update={"text": piece.text[:characters]}) for piece in finding.evidence[:pieces])
    return finding.model_copy(update={"reason": finding.reason[: characters + 300], "evidence": kept})


def _failed(course: Course, fault: Fault, error: Exception) -> str:
    request = course.request
    failure = Failure(fault_of=fault, message=in_words(error))
    report = GradingReport(
        grading=request.grading, fence=request.fence, failure=failure, provenance=course.provenance()
    )
    return report.to_json()


def in_words(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "the worker has no memory left: give it more, or run fewer of them on this host"
    if isinstance(error, OSError) and error.filename:
        return storable(f"{error.filename}: {error.strerror}")[:LONGEST_MESSAGE]
    return storable(str(error) or type(error).__name__)[:LONGEST_MESSAGE]


def _unread(text: str, error: MessageUnreadable) -> GradingReport:
    """A portal of another version is told so, if the message says at least which grading it is about."""
    failure = Failure(
        fault_of=Fault.OPERATOR, message=f"{error}: are portal and worker of one release?"[:LONGEST_MESSAGE]
    )
    try:
        said = json.loads(text)
        return GradingReport(grading=said["grading"], fence=said["fence"], failure=failure)
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        raise error from None
