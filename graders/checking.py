"""What a checking worker does: a challenge's public checks, run over a candidate's saved work. Message in, message out.

    worker = CheckingWorker(GradersSettings(), SandboxSettings())             once, when the process starts
    answer = worker.perform(request, hear)           CheckRequest ─► CheckReport, both as JSON text

No score comes of it, so it needs neither answers nor the instance secret: the request says what is run. What the
program prints goes to `hear` while it runs, and into the report when it has ended; both are a stranger's words.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from graders.challenge import unfit
from graders.contract import LONGEST_OUTPUT, CheckReport, CheckRequest, Failure, Fault, GradersError
from graders.settings import GradersSettings
from graders.trees import store_at
from graders.watch import storable
from graders.worker import in_words
from sandbox import Execution, Limits, Sandbox, SandboxError
from sandbox.container import SETUP_SECONDS, Owner
from sandbox.docker import DockerSandbox, Engine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings

__all__ = ["CheckingWorker", "WorkUnfit", "check", "cut"]

# A program that writes into a pipe keeps what it prints to itself until it ends, and nobody would see it come.
SURROUNDINGS: Final = {"PYTHONUNBUFFERED": "1"}


class WorkUnfit(GradersError):
    """No room can take these files, which the portal took. The operator's to mend."""


class CheckingWorker:
    """Holds settings and nothing that is open: its process may fork for each check."""

    def __init__(self, graders: GradersSettings, sandbox: SandboxSettings) -> None:
        self._settings = graders
        self._sandbox = sandbox

    def perform(self, text: str, hear: Callable[[bytes], object]) -> str:
        """The report on a request. MessageUnreadable when that is none; whoever asked rings again."""
        request = CheckRequest.from_json(text)
        try:
            done, said = self._check(request, hear)
        except (GradersError, SandboxError, OSError, MemoryError) as error:
            failure = Failure(fault_of=Fault.OPERATOR, message=in_words(error))
            return CheckReport(check=request.check, fence=request.fence, failure=failure).to_json()
        return CheckReport(
            check=request.check,
            fence=request.fence,
            ending=done.ending,
            exit_code=done.exit_code,
            seconds=round(done.seconds, 3),
            output=cut(storable(said.decode(errors="replace"))),
        ).to_json()

    def _check(self, request: CheckRequest, hear: Callable[[bytes], object]) -> tuple[Execution, bytes]:
        files = self._tree(request.work, request.token)
        given = self._tree(request.bundle, request.bundle_token) if request.bundle else {}
        owner = Owner(kind="check", grading=f"check-{request.check}", fence=request.fence)
        with Engine(self._sandbox) as engine:
            rooms = DockerSandbox(engine, pinned(self._sandbox, request.image), self._sandbox, owner)
            rooms.sweep()
            limits = Limits(**request.limits.model_dump())
            files = completed(files, given, request.deliverables)
            return check(request.command, files, rooms, limits, request.seconds, hear)

    def _tree(self, digest: str, token: str) -> dict[str, bytes]:
        return store_at(self._settings.portal_url, self._settings.store_folder, token).get(digest)


def check(
    command: Sequence[str],
    files: Mapping[str, bytes],
    sandbox: Sandbox,
    limits: Limits,
    seconds: float,
    hear: Callable[[bytes], object] = bool,
) -> tuple[Execution, bytes]:
    """Run it in a room of its own: how it ended, and what it printed, both streams as they reached us."""
    if complaint := unfit(files, limits):
        raise WorkUnfit(f"saved work: {complaint}")
    said = bytearray()

    def listen(piece: bytes) -> None:
        said.extend(piece)
        hear(piece)

    lifetime = seconds + SETUP_SECONDS
    with sandbox.open(files=files, limits=limits, lifetime=lifetime, environment=SURROUNDINGS) as room:
        done = room.run(command, seconds=seconds, hear=listen)
    return done, bytes(said) or done.stderr  # why it could not be started is not printed by anybody


def completed(files: Mapping[str, bytes], given: Mapping[str, bytes], deliverables: Sequence[str]) -> dict[str, bytes]:
    """With what was given to the candidate and is not theirs to hand in, such as the checks themselves.

    Whoever uploads an archive leaves these out, and still wants to press Run. A deliverable that is missing stays
    missing: it would be when it is graded.
    """
    theirs = set(files) | {name[:cut] for name in files for cut in range(len(name)) if name[cut] == "/"}
    as_folders = tuple(f"{name}/" for name in files)
    due = tuple(f"{name}/" for name in deliverables)
    ours = {
        name: content
        for name, content in given.items()
        if name not in theirs and not name.startswith((*as_folders, *due)) and name not in deliverables
    }
    return {**ours, **files}


def cut(said: str) -> str:
    """Its beginning and its end, where programs say how it went."""
    if len(said) <= LONGEST_OUTPUT:
        return said
    half = LONGEST_OUTPUT // 2
    return f"{said[:half]}\n... {len(said) - 2 * half:,} characters left out ...\n{said[-half:]}"
