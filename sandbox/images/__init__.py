"""The images that candidates' programs run in: built on this machine, recorded and used by their ids.

    ensure(engine, settings, print)    build whatever is missing or out of date
    pinned(settings, "python")         the id of the image that a room is made from

Each folder here with a Dockerfile is one image. It is built without network from the files in that folder, from
wheels that were downloaded before, by hash, and from `sandbox/inside`, the programs of ours that run in a room.
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
from typing import IO, Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from sandbox import SandboxMisused, SandboxUnavailable
from sandbox.docker import Engine
from sandbox.images import debian, programs, wheels
from sandbox.settings import SandboxSettings

__all__ = ["build", "ensure", "names", "pinned"]

FORMAT: Final = 1  # raised when images must be built again although no file of theirs changed
RECIPES: Final = Path(__file__).resolve().parent
INSIDE: Final = RECIPES.parent / "inside"

# What an image says of itself, so that it is known again when the record is lost.
NAME: Final = "assay.image"
INPUTS: Final = "assay.inputs"
BASE: Final = "assay.base-id"
BUILT: Final = "assay.built"
STAGE: Final = "assay.stage"  # in the Dockerfiles: what the engine keeps to make the next build faster

Progress = Callable[[str], None]


class Built(BaseModel):
    """One image, as the record knows it."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
    tag: str
    inputs: str
    base: str
    built: str


class Record(BaseModel):
    images: dict[str, Built] = {}
    superseded: dict[str, str] = {}  # ids and tags of images to remove as soon as no container uses them


def names() -> list[str]:
    return sorted(dockerfile.parent.name for dockerfile in RECIPES.glob("*/Dockerfile"))


def pinned(settings: SandboxSettings, name: str) -> str:
    """The id of the image that was built from the files that are here now. Does not ask the engine."""
    inputs = digest(sources(name), settings.base_image)
    built = _recorded(settings.state).images.get(name)
    if built is None:
        raise SandboxUnavailable(f"sandbox image: {name}: not built yet; run: assay images build")
    if built.inputs != inputs:
        raise SandboxUnavailable(f"sandbox image: {name}: older than its files; run: assay images build")
    return built.id


def ensure(engine: Engine, settings: SandboxSettings, progress: Progress) -> dict[str, str]:
    """Build what is missing or out of date and nothing else. Returns the ids of all images by name."""
    return build(engine, settings, names(), force=False, progress=progress)


def build(
    engine: Engine, settings: SandboxSettings, wanted: Sequence[str], *, force: bool, progress: Progress
) -> dict[str, str]:
    """Build the images `wanted`. With `force` also those that are up to date, on the newest Debian packages."""
    content = {name: sources(name) for name in wanted}
    inputs = {name: digest(files, settings.base_image) for name, files in content.items()}
    found = {} if force else _up_to_date(engine, settings.state, inputs)
    if found.keys() == inputs.keys():
        return found
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
        with _alone(settings.state, progress):
            found = {} if force else _up_to_date(engine, settings.state, inputs)
            for name in inputs.keys() - found.keys():
                built = None if force else _known_to_engine(engine, settings.state, name, inputs[name])
                if built is None:
                    built = _build(engine, settings, name, content[name], fresh=force, progress=progress)
                _remember(engine, settings.state, name, built)
                found[name] = built.id
    except OSError as error:
        said = error.strerror or str(error)
        why = programs.with_advice(said)
        if why == said:
            why += ". ASSAY_STATE names the folder of the state: it has to be one that we can write to"
        raise SandboxUnavailable(f"sandbox images: {error.filename or settings.state}: {why}") from error
    return found


def sources(name: str) -> dict[str, bytes]:
    """What an image is built from besides the wheels: names in the build's context, and content."""
    if name not in names():
        raise SandboxMisused(f"sandbox image: {name!r}: there is no such image; there are: {', '.join(names())}")
    folder = RECIPES / name
    files = [folder / "Dockerfile", folder / "requirements.lock", *folder.glob("*.sh")]
    content = {file.name: file.read_bytes() for file in files}
    return content | {f"inside/{file.name}": file.read_bytes() for file in INSIDE.glob("*.py")}


def digest(content: Mapping[str, bytes], base_image: str) -> str:
    """Changes when an image must be built again."""
    total = hashlib.sha256(f"{FORMAT}\n{base_image}\n{debian.RECIPE}\n".encode())
    for name, text in sorted(content.items()):
        total.update(f"{name}\n{len(text)}\n".encode() + text)
    return total.hexdigest()


def _up_to_date(engine: Engine, state: Path, inputs: Mapping[str, str]) -> dict[str, str]:
    recorded = _recorded(state).images
    return {
        name: recorded[name].id
        for name, wanted in inputs.items()
        if name in recorded and recorded[name].inputs == wanted and engine.image_id(recorded[name].id)
    }


def _known_to_engine(engine: Engine, state: Path, name: str, inputs: str) -> Built | None:
    """An image that was built from `inputs`: only the record of it was lost, or another checkout built it."""
    for image_id, labels in engine.images(INPUTS).items():
        # An image that someone built on ours has inherited the label, and has a name of its own.
        if labels[INPUTS] == inputs and _is_ours(engine, image_id, f"assay/{name}:"):
            tag = _tag(state, name, inputs)
            engine.tag(image_id, tag)
            return Built(id=image_id, tag=tag, inputs=inputs, base=labels.get(BASE, ""), built=labels.get(BUILT, ""))
    return None


def _tag(state: Path, name: str, inputs: str) -> str:
    """One for each checkout, which removes only its own: the image goes when nobody names it any more."""
    return f"assay/{name}:{inputs[:12]}-{hashlib.sha256(bytes(state.resolve())).hexdigest()[:6]}"


def _is_ours(engine: Engine, image_id: str, prefix: str = "assay/") -> bool:
    return all(tag.startswith(prefix) for tag in engine.tags(image_id))


def _build(
    engine: Engine,
    settings: SandboxSettings,
    name: str,
    content: Mapping[str, bytes],
    *,
    fresh: bool,
    progress: Progress,
) -> Built:
    base = _start(engine, settings, fresh=fresh, progress=progress)
    architecture = str(engine.version()["Arch"])
    packages = wheels.fetched(content["requirements.lock"], architecture, settings.state, progress)

    inputs = digest(content, settings.base_image)
    tag = _tag(settings.state, name, inputs)
    built = datetime.now(UTC).isoformat(timespec="seconds")
    without_ours = {file: text for file, text in content.items() if not file.startswith("inside/")}
    stage = f"{name}-{digest(without_ours, base)[:12]}"
    progress(f"Building the image {name}, about a minute")
    if fresh:
        _remove_leftovers(engine, name, base, stage="")
    last_lines: deque[str] = deque(maxlen=programs.LINES_SHOWN)
    with tempfile.TemporaryFile(dir=settings.state) as context:
        _pack(context, content, packages)
        try:
            image_id = engine.build(
                context,
                tag=tag,
                arguments={"BASE_IMAGE": base, "STAGE": stage},
                labels={NAME: name, INPUTS: inputs, BASE: base, BUILT: built},
                fresh=fresh,
                progress=last_lines.append,
            )
        except SandboxUnavailable as error:
            said = programs.with_advice("\n".join(last_lines))
            raise SandboxUnavailable(f"{error}\n{said}") from error
    _remove_leftovers(engine, name, base, stage)
    progress(f"Built the image {name}")
    return Built(id=image_id, tag=tag, inputs=inputs, base=base, built=built)


def _start(engine: Engine, settings: SandboxSettings, *, fresh: bool, progress: Progress) -> str:
    """The id of the image to build on: it is here already, comes from the registry, or is made here."""
    reference = settings.base_image
    if fresh or not engine.image_id(reference):
        progress(f"Asking the registry for {reference}")
        engine.pull(reference)
    return engine.image_id(reference) or debian.ensured(engine, settings.state, fresh=fresh, progress=progress)


def _remove_leftovers(engine: Engine, name: str, base: str, stage: str) -> None:
    """Remove what earlier builds left to make later ones faster, and cannot any more."""
    stages = engine.images(STAGE)
    for image_id, labels in stages.items():
        if labels[STAGE].startswith(f"{name}-") and labels[STAGE] != stage and _is_ours(engine, image_id):
            engine.remove_image(image_id)
    for image_id in engine.images(debian.LABEL).keys() - stages.keys():  # a stage inherits the label of its base
        if image_id not in (base, engine.image_id(debian.TAG)) and _is_ours(engine, image_id):
            engine.remove_image(image_id)


def _pack(context: IO[bytes], content: Mapping[str, bytes], packages: Path) -> None:
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, text in sorted(content.items()):
            tar.addfile(_member(name, len(text)), io.BytesIO(text))
        for wheel in sorted(packages.iterdir()):
            with wheel.open("rb") as file:
                tar.addfile(_member(f"wheels/{wheel.name}", wheel.stat().st_size), file)
    context.seek(0)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)  # owned by root and without a date: whoever builds, it is the same
    member.size = size
    member.mode = 0o644
    return member


def _recorded(state: Path) -> Record:
    """What the record says. A lost or broken one says nothing: the images themselves know what they are."""
    try:
        return Record.model_validate_json((state / "images.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return Record()
    except OSError as error:
        raise SandboxUnavailable(f"sandbox images: {error.filename}: {error.strerror}") from error


def _remember(engine: Engine, state: Path, name: str, built: Built) -> None:
    """Write down what was built, and remove what it supersedes."""
    record = _recorded(state)
    images = record.images | {name: built}
    superseded = record.superseded | {before.id: before.tag for before in record.images.values()}
    for current in images.values():
        superseded.pop(current.id, None)
    _write(state, Record(images=images, superseded=superseded))
    in_use = {image: tag for image, tag in superseded.items() if not _is_gone(engine, image, tag)}
    _write(state, Record(images=images, superseded=in_use))


def _is_gone(engine: Engine, image_id: str, tag: str) -> bool:
    """Take our name from an image, and remove it unless another checkout has named it too."""
    if engine.image_id(tag) == image_id:
        engine.remove_image(tag)
    if engine.image_id(image_id) is None:
        return True
    names = engine.tags(image_id)
    return bool(names and tag not in names) or engine.remove_image(image_id)


def _write(state: Path, record: Record) -> None:
    partial = state / "images.json.partial"
    partial.write_text(record.model_dump_json(indent=2) + "\n")
    partial.chmod(0o644)
    partial.replace(state / "images.json")


@contextmanager
def _alone(state: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of those who build, after waiting for whoever does now."""
    with (state / "images.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("Waiting for another build of the sandbox images")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
