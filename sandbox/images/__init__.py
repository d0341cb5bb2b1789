"""The images that candidates' programs run in: built on this machine, recorded and used by their ids.

    ensure(engine, settings, print)    build whatever is missing or out of date
    pinned(settings, "python")         the id of the image that a room is made from

Each folder here with a Dockerfile is one image. It is built without network from files that lie here, from
wheels that were downloaded before by hash, and from `sandbox/inside`, the programs of ours that run in a room.
"""

import fcntl
import hashlib
import io
import tarfile
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from sandbox import SandboxUnavailable
from sandbox.images import debian, programs, wheels
from sandbox.settings import SandboxSettings

if TYPE_CHECKING:  # sandbox.docker asks this package which image to run
    from sandbox.docker import Engine

__all__ = ["build", "ensure", "names", "pinned"]

FORMAT: Final = 1  # raised when an image must be built again although none of its files changed
RECIPES: Final = Path(__file__).resolve().parent
INSIDE: Final = RECIPES.parent / "inside"
LABEL: Final = "assay.image"

Progress = Callable[[str], None]


class Built(BaseModel):
    """One image, as the record remembers it."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
    inputs: str
    base: str
    built: str


class Record(BaseModel):
    images: dict[str, Built]


def names() -> list[str]:
    return sorted(dockerfile.parent.name for dockerfile in RECIPES.glob("*/Dockerfile"))


def pinned(settings: SandboxSettings, name: str) -> str:
    """The id of an image that was built from the files that are here now."""
    inputs = digest(sources(name), settings.base_image)
    built = _recorded(settings).get(name)
    if built is None:
        raise SandboxUnavailable(f"sandbox image: {name}: not built yet. Run: assay images build")
    if built.inputs != inputs:
        raise SandboxUnavailable(f"sandbox image: {name}: out of date. Run: assay images build")
    return built.id


def ensure(engine: "Engine", settings: SandboxSettings, progress: Progress) -> dict[str, str]:
    """Build what is missing or out of date and nothing else; the ids of all images by name."""
    return build(engine, settings, names(), force=False, progress=progress)


def build(
    engine: "Engine", settings: SandboxSettings, wanted: Sequence[str], *, force: bool, progress: Progress
) -> dict[str, str]:
    """Build the images `wanted`, with `force` also those that are up to date, on the newest Debian packages."""
    inputs = {name: digest(sources(name), settings.base_image) for name in wanted}
    if not force and (found := _current(engine, settings, inputs)).keys() == inputs.keys():
        return found
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
        with _alone(settings.state, progress):
            found = {} if force else _current(engine, settings, inputs) or {}
            for name in inputs.keys() - found.keys():
                built = None if force else _labelled(engine, name, inputs[name])
                built = built or _build(engine, settings, name, inputs[name], fresh=force, progress=progress)
                _remember(settings, name, built)
                found[name] = built.id
            _remove_superseded(engine, settings)
    except OSError as error:
        raise SandboxUnavailable(f"sandbox images: {settings.state}: {programs.with_advice(str(error))}") from error
    return found


def sources(name: str) -> dict[str, bytes]:
    """What an image is built from besides wheels: names in the build's context, and content."""
    if name not in names():
        raise SandboxUnavailable(f"sandbox image: {name}: there is no such image; there are: {', '.join(names())}")
    files = [RECIPES / name / part for part in ("Dockerfile", "prune.sh", "requirements.lock")]
    content = {file.name: file.read_bytes() for file in files}
    return content | {f"inside/{file.name}": file.read_bytes() for file in sorted(INSIDE.glob("*.py"))}


def digest(content: Mapping[str, bytes], base_image: str) -> str:
    """Changes when an image must be built again."""
    total = hashlib.sha256(f"{FORMAT}\n{base_image}\n{debian.RECIPE}\n".encode())
    for name, text in sorted(content.items()):
        total.update(f"{name}\n{len(text)}\n".encode() + text)
    return total.hexdigest()


def _current(engine: "Engine", settings: SandboxSettings, inputs: Mapping[str, str]) -> dict[str, str]:
    recorded = _recorded(settings)
    return {
        name: recorded[name].id
        for name, wanted in inputs.items()
        if name in recorded and recorded[name].inputs == wanted and engine.image_id(recorded[name].id)
    }


def _labelled(engine: "Engine", name: str, inputs: str) -> Built | None:
    """An image of the engine that says of itself that it was built from `inputs`: the record was lost."""
    for image_id, labels in engine.images(LABEL).items():
        if labels.get(LABEL) == name and labels.get("assay.inputs") == inputs:
            return Built(id=image_id, inputs=inputs, base=labels["assay.base-id"], built=labels["assay.built"])
    return None


def _build(
    engine: "Engine", settings: SandboxSettings, name: str, inputs: str, *, fresh: bool, progress: Progress
) -> Built:
    content = sources(name)
    base = _start(engine, settings, fresh=fresh, progress=progress)
    packages = wheels.fetched(
        content["requirements.lock"], str(engine.version()["Arch"]), settings.state, progress
    )
    progress(f"Building the image {name}, about a minute")
    built = datetime.now(UTC).isoformat(timespec="seconds")
    stage = digest({file: text for file, text in content.items() if not file.startswith("inside/")}, base)
    last_lines: deque[str] = deque(maxlen=programs.LINES_SHOWN)
    with tempfile.TemporaryFile(dir=settings.state) as context:
        _pack(context, content, packages)
        try:
            image_id = engine.build(
                context,
                tag=f"assay/{name}:{inputs[:12]}",
                arguments={"BASE_IMAGE": base, "STAGE": f"{name}-{stage[:12]}"},
                labels={LABEL: name, "assay.inputs": inputs, "assay.base-id": base, "assay.built": built},
                fresh=fresh,
                progress=last_lines.append,
            )
        except SandboxUnavailable as error:
            raise SandboxUnavailable(programs.with_advice("\n".join([*last_lines, str(error)]))) from error
    progress(f"Built the image {name}")
    return Built(id=image_id, inputs=inputs, base=base, built=built)


def _start(engine: "Engine", settings: SandboxSettings, *, fresh: bool, progress: Progress) -> str:
    """The id of the image that images start from: here already, from the registry, or made here."""
    reference = settings.base_image
    if fresh or not engine.image_id(reference):
        progress(f"Asking the registry for {reference}")
        engine.pull(reference)
    return engine.image_id(reference) or debian.ensured(engine, settings.state, fresh=fresh, progress=progress)


def _pack(context: IO[bytes], content: Mapping[str, bytes], packages: Path) -> None:
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, text in content.items():
            tar.addfile(_member(name, len(text)), io.BytesIO(text))
        for wheel in sorted(packages.iterdir()):
            with wheel.open("rb") as file:
                tar.addfile(_member(f"wheels/{wheel.name}", wheel.stat().st_size), file)
    context.seek(0)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)  # owner root, no date: the same content is always the same layer
    member.size = size
    member.mode = 0o644
    return member


def _remove_superseded(engine: "Engine", settings: SandboxSettings) -> None:
    """Remove our images that nothing uses any more."""
    kept = {built.id for built in _recorded(settings).values()}
    for image_id in engine.images(LABEL):
        if image_id not in kept:
            engine.remove_image(image_id)


def _recorded(settings: SandboxSettings) -> dict[str, Built]:
    """What the record says. A record that is lost or broken says nothing: images know themselves what they are."""
    try:
        return Record.model_validate_json((settings.state / "images.json").read_bytes()).images
    except (FileNotFoundError, ValidationError):
        return {}


def _remember(settings: SandboxSettings, name: str, built: Built) -> None:
    record = Record(images=_recorded(settings) | {name: built})
    partial = settings.state / "images.json.partial"
    partial.write_text(record.model_dump_json(indent=2) + "\n")
    partial.chmod(0o644)
    partial.replace(settings.state / "images.json")


@contextmanager
def _alone(state: Path, progress: Progress) -> Iterator[None]:
    """Wait until no other process builds images."""
    with (state / "images.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("Waiting for another build of the sandbox images")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
