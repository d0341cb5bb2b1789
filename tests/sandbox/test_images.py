"""The image is what it promises to be, and is built exactly when it has to be."""

import fcntl
import io
import json
import re
import secrets
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final

import pytest

from sandbox import SandboxMisused, SandboxUnavailable, images
from sandbox.docker import Engine
from sandbox.images import debian, programs, wheels
from sandbox.settings import SandboxSettings

pytestmark = pytest.mark.docker

SOMEBODY: Final = "31234:31234"  # has no line in /etc/passwd, like the user of every room
PROFILE: Final = (images.RECIPES / "seccomp.json").read_text()

# What a program could use to bring in, build or become something else.
UNWANTED: Final = re.compile(
    r"(apt|apt-get|cc|clang|curl|dpkg|ftp|g\+\+|gcc|gdb|git|gzip|ld|ldd|make|mount|nc|nsenter|openssl|passwd|perl|pip3?"
    r"|pigz|scp|ssh|su|sudo|tar|umount|unpigz|unshare|unxz|unzip|wget|xz|zstd)(-?[0-9.]+)?"
)

IMPORTS: Final = {
    "aiohttp": "aiohttp",
    "httpx": "httpx",
    "ipykernel": "ipykernel",
    "nbclient": "nbclient",
    "nbformat": "nbformat",
    "numpy": "numpy",
    "openai": "openai",
    "pandas": "pandas",
    "pydantic": "pydantic",
    "pytest": "pytest",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}


@pytest.fixture(scope="session")
def image(engine: Engine, settings: SandboxSettings) -> str:
    return images.ensure(engine, settings, print)["python"]


@pytest.fixture
def elsewhere(engine: Engine, settings: SandboxSettings, tmp_path: Path) -> Iterator[SandboxSettings]:
    """The settings of another installation on the same engine, which has built nothing yet."""
    state = tmp_path / "state"
    before = ours(engine)
    yield settings.model_copy(update={"state": state})
    for tag in ours(engine) - before:
        engine.remove_image(tag)


def ours(engine: Engine) -> set[str]:
    return {tag for image in engine.images(images.INPUTS) for tag in engine.tags(image)}


def inside(engine: Engine, image: str, *command: str, user: str = SOMEBODY) -> str:
    """What a command prints in a container that is as closed as a room."""
    container = engine.api.create_container(
        image,
        command=list(command[1:]),
        entrypoint=[command[0]],
        user=user,
        host_config=engine.api.create_host_config(
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true", f"seccomp={PROFILE}"],
            tmpfs={"/tmp": "rw,size=64m,mode=1777", "/box": "rw,exec,size=64m,mode=1777"},
            mem_limit="512m",
            pids_limit=96,
        ),
    )["Id"]
    try:
        engine.api.start(container)
        code = engine.api.wait(container, timeout=120)["StatusCode"]
        said = str(engine.api.logs(container), "utf-8")
        assert code == 0, said
        return said
    finally:
        engine.api.remove_container(container, force=True, v=True)


def python(engine: Engine, image: str, program: str, user: str = SOMEBODY) -> str:
    return inside(engine, image, "python3", "-I", "-W", "ignore", "-c", program, user=user)


# What is in the image


def test_no_file_raises_the_rights_of_whoever_runs_it(engine: Engine, image: str) -> None:
    assert inside(engine, image, "find", "/", "-xdev", "-perm", "/6000", user="0:0") == ""


def test_there_is_nothing_to_download_install_compile_or_become_root_with(engine: Engine, image: str) -> None:
    programs = "find / -xdev -type f -perm /111; find /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin"
    found = inside(engine, image, "sh", "-c", programs, user="0:0").split("\n")
    assert {"/usr/bin/env", "/usr/local/bin/pytest"} <= set(found)
    assert [path for path in found if UNWANTED.fullmatch(path.rpartition("/")[2])] == []


@pytest.mark.parametrize("module", ["pip", "ensurepip", "setuptools", "debugpy"])
def test_python_cannot_install_either(engine: Engine, image: str, module: str) -> None:
    assert python(engine, image, f"import importlib.util as u; print(u.find_spec({module!r}))") == "None\n"


def test_any_user_can_run_it_on_a_file_system_that_cannot_be_written(engine: Engine, image: str) -> None:
    program = "import os, tempfile; print(os.getuid(), os.getcwd(), tempfile.gettempdir(), os.path.expanduser('~'))"
    assert inside(engine, image, "python3", "-c", program) == "31234 /box /tmp /tmp\n"
    assert inside(engine, image, "python", "-c", "import os; print(os.access('/opt/assay', os.W_OK))") == "False\n"


def test_without_a_user_of_its_own_a_container_is_nobody(engine: Engine, image: str) -> None:
    assert python(engine, image, "import os; print(os.getuid())", user="") == "65534\n"


def test_every_promised_library_can_be_imported_in_the_version_of_the_lock(engine: Engine, image: str) -> None:
    program = f"""
import importlib, importlib.metadata, json
for module in {list(IMPORTS.values())}:
    importlib.import_module(module)
import numpy.testing, pandas.testing, sklearn.ensemble, sklearn.linear_model, scipy.stats, pydantic.v1
print(json.dumps({{name: importlib.metadata.version(name) for name in {list(IMPORTS)}}}))
"""
    lock = (images.RECIPES / "python" / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    assert json.loads(python(engine, image, program)) == {name: locked[name] for name in IMPORTS}


def test_nothing_is_compiled_when_a_program_imports(engine: Engine, image: str) -> None:
    said = inside(engine, image, "python3", "-v", "-I", "-c", "import http.server, openai, pandas, pytest, sklearn")
    origins = re.findall(r"^# code object from '?([^'\n]+)", said, re.MULTILINE)
    assert len(origins) > 1000
    assert [origin for origin in origins if not origin.endswith(".pyc")] == []


def test_all_bytecode_is_there_and_is_trusted_without_a_look_at_its_source(engine: Engine, image: str) -> None:
    program = """
import importlib.util, pathlib, sysconfig
folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "/opt/assay"}
count = 0
for source in (file for folder in folders for file in pathlib.Path(folder).rglob("*.py")):
    compiled = pathlib.Path(importlib.util.cache_from_source(source))
    if not compiled.is_file() or compiled.read_bytes()[4:8] != b"\\1\\0\\0\\0":  # "unchecked hash"
        print(source)
    count += 1
assert count > 5000, count
"""
    assert python(engine, image, program) == ""


def test_a_notebook_is_executed(engine: Engine, image: str) -> None:
    program = """
import nbclient, nbformat
cell = nbformat.v4.new_code_cell("import numpy; print(int(numpy.arange(7).sum() * 2))")
notebook = nbformat.v4.new_notebook(cells=[cell])
nbclient.NotebookClient(notebook, timeout=60).execute()
print(notebook.cells[0].outputs[0].text)
"""
    assert "42\n" in python(engine, image, program)


def test_our_programs_lie_there_and_only_root_could_change_them(engine: Engine, image: str) -> None:
    listed = inside(engine, image, "find", "/opt/assay", "-maxdepth", "1", "-printf", "%f %u %m\n").splitlines()
    ours = [f"{file.name} root 644" for file in images.INSIDE.glob("*.py")]
    assert sorted(listed) == sorted(
        [*ours, "assay root 755", "__pycache__ root 755", "python root 711", "pyvenv.cfg root 644"]
    )


def test_our_interpreter_finds_its_library_and_the_packages(engine: Engine, image: str) -> None:
    alone = ["/opt/assay/python", "-I", "-S", "-c", "import os, select, socket; print(os.getuid())"]
    assert inside(engine, image, *alone) == "31234\n"
    assert inside(engine, image, "/opt/assay/python", "-I", "-c", "import numpy; print(6 * 7)") == "42\n"


def test_nobody_looks_into_a_process_of_our_interpreter(engine: Engine, image: str) -> None:
    program = """
import subprocess

def closed(interpreter):
    command = [interpreter, "-I", "-S", "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        refused = []
        for name in ("mem", "maps", "environ", "auxv", "exe"):
            try:
                open(f"/proc/{child.pid}/{name}", "rb").close()
            except PermissionError:
                refused.append(name)
        child.communicate(b"\\n")
        return refused

print(closed("python3"), closed("/opt/assay/python"))
try:
    open("/opt/assay/python", "rb")
except PermissionError:
    print("cannot be read")
"""
    everything = ["mem", "maps", "environ", "auxv", "exe"]
    assert python(engine, image, program) == f"[] {everything}\ncannot be read\n"


# When it is built


def test_a_second_time_nothing_is_built(
    engine: Engine, image: str, settings: SandboxSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert images.ensure(engine, settings, print) == {"python": image}
    assert capsys.readouterr().out == ""
    assert images.pinned(settings, "python") == image == engine.image_id(image)


def test_every_file_of_an_image_counts_and_so_does_what_it_is_built_on() -> None:
    files = images.sources("python")
    assert {"Dockerfile", "prune.sh", "requirements.lock", "inside/warden.py"} <= files.keys()
    changed = [files | {name: text + b"\n"} for name, text in files.items()]
    digests = {images.digest(content, "debian") for content in [files, *changed]}
    assert len(digests | {images.digest(files, "ubuntu")}) == len(files) + 2
    assert images.digest(dict(reversed(files.items())), "debian") == images.digest(files, "debian")


def test_the_end_of_one_file_is_not_the_start_of_the_next() -> None:
    assert images.digest({"a": b"b\n1\nc"}, "") != images.digest({"a": b"", "b": b"c"}, "")


@pytest.mark.parametrize("record", [None, b"", b"\xff{", b"[]", b'{"images": {"python": {"id": "latest"}}}'])
def test_a_lost_or_broken_record_is_written_again_from_what_the_image_says_of_itself(
    engine: Engine, image: str, elsewhere: SandboxSettings, record: bytes | None
) -> None:
    elsewhere.state.mkdir()
    written = elsewhere.state / "images.json"
    if record is not None:
        written.write_bytes(record)
    said: list[str] = []
    assert images.ensure(engine, elsewhere, said.append) == {"python": image}
    assert said == []
    assert images.pinned(elsewhere, "python") == image
    assert written.stat().st_mode & 0o777 == 0o644


def test_who_comes_second_waits_and_uses_what_the_first_one_built(
    engine: Engine, image: str, elsewhere: SandboxSettings
) -> None:
    elsewhere.state.mkdir()
    found: dict[str, str] = {}
    waits = threading.Event()
    second = threading.Thread(target=lambda: found.update(images.ensure(engine, elsewhere, lambda _: waits.set())))
    with (elsewhere.state / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second.start()
        assert waits.wait(30)
        assert found == {}
    second.join(30)
    assert found == {"python": image}


def test_an_image_that_was_never_built_says_how_to_build_it(elsewhere: SandboxSettings) -> None:
    with pytest.raises(SandboxUnavailable, match="python: not built yet; run: assay images build"):
        images.pinned(elsewhere, "python")


@pytest.mark.usefixtures("image")
def test_an_image_older_than_its_files_is_not_used(settings: SandboxSettings) -> None:
    changed = settings.model_copy(update={"base_image": "debian:another"})
    with pytest.raises(SandboxUnavailable, match="python: older than its files; run: assay images build"):
        images.pinned(changed, "python")


def test_an_unknown_image_names_those_that_there_are(engine: Engine, settings: SandboxSettings) -> None:
    with pytest.raises(SandboxMisused, match=r"'pyhton': there is no such image; there are: .*python"):
        images.pinned(settings, "pyhton")
    with pytest.raises(SandboxMisused, match=r"there are: .*python"):
        images.build(engine, settings, ["pyhton"], force=False, progress=print)


@pytest.fixture
def small(engine: Engine) -> Iterator[str]:
    """An image that costs nothing, to stand for one that was built long ago."""
    mark = f"test-{secrets.token_hex(4)}"
    context = one_file("Dockerfile", f'FROM scratch\nLABEL {images.STAGE}={mark}\nCMD ["/nothing"]\n'.encode())
    yield engine.build(context, tag=f"assay/{mark}:1", arguments={}, labels={}, fresh=True, progress=print)
    remove_marked(engine, mark)


def remove_marked(engine: Engine, mark: str) -> None:
    for image_id, labels in engine.images(images.STAGE).items():
        if labels[images.STAGE] == mark:
            engine.remove_image(image_id)


def one_file(name: str, content: bytes) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    packed.seek(0)
    return packed


def replace(engine: Engine, elsewhere: SandboxSettings, old: str, tag: str = "") -> None:
    """Let the current image take the place of `old`, as after a change of its files."""
    elsewhere.state.mkdir(exist_ok=True)
    written = elsewhere.state / "images.json"
    superseded = json.loads(written.read_bytes())["superseded"] if written.exists() else {}
    tag = tag or (engine.tags(old)[0] if engine.image_id(old) else "assay/gone:1")
    before = {"id": old, "tag": tag, "inputs": "older", "base": "", "built": ""}
    written.write_text(json.dumps({"images": {"python": before}, "superseded": superseded}))
    images.ensure(engine, elsewhere, print)


@pytest.mark.usefixtures("image")
def test_the_image_before_is_removed(engine: Engine, elsewhere: SandboxSettings, small: str) -> None:
    replace(engine, elsewhere, small)
    assert engine.image_id(small) is None


@pytest.mark.usefixtures("image")
def test_the_image_before_stays_while_a_container_uses_it_and_is_removed_later(
    engine: Engine, elsewhere: SandboxSettings, small: str
) -> None:
    container = engine.api.create_container(small)["Id"]
    try:
        replace(engine, elsewhere, small)
        assert engine.image_id(small) == small
    finally:
        engine.api.remove_container(container)
    replace(engine, elsewhere, "sha256:" + 64 * "0")
    assert engine.image_id(small) is None


@pytest.mark.usefixtures("image")
def test_the_image_before_stays_when_another_checkout_has_named_it(
    engine: Engine, elsewhere: SandboxSettings, small: str
) -> None:
    (ours,) = engine.tags(small)
    theirs = f"assay/test-{secrets.token_hex(4)}:1"
    engine.tag(small, theirs)
    try:
        replace(engine, elsewhere, small, ours)
        assert engine.tags(small) == [theirs]
        assert engine.image_id(theirs) == small
    finally:
        engine.remove_image(theirs)


# How it is built


def test_a_build_has_no_network(engine: Engine, image: str) -> None:
    mark = f"test-{secrets.token_hex(4)}"
    dockerfile = f"""
FROM {image}
USER root
LABEL {images.STAGE}={mark}
RUN python3 -c 'import socket; print(socket.if_nameindex())'
RUN python3 -c 'import socket; socket.create_connection(("192.0.2.1", 80), 5)'
"""
    said: list[str] = []
    try:
        with pytest.raises(SandboxUnavailable, match="returned a non-zero code"):
            engine.build(
                one_file("Dockerfile", dockerfile.encode()),
                tag=f"assay/{mark}:1",
                arguments={},
                labels={},
                fresh=True,
                progress=said.append,
            )
    finally:
        remove_marked(engine, mark)
    assert "[(1, 'lo')]" in said
    assert any("Network is unreachable" in line for line in said)


def test_what_pip_says_is_shown_and_nothing_half_done_stays(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match=r"(?s)download packages: .*Invalid requirement"):
        wheels.fetched(b"numpy=\n", "amd64", tmp_path, print)
    assert list((tmp_path / "wheels").iterdir()) == []


def test_an_engine_for_which_there_are_no_packages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="riscv64: the sandbox images exist for amd64, arm64 only"):
        wheels.fetched(b"", "riscv64", tmp_path, print)


def test_without_registry_and_debootstrap_the_command_that_helps_is_named(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="apt-get install --yes debootstrap debian-archive-keyring gpgv"):
        debian.ensured(engine, tmp_path, fresh=True, progress=print)


def with_debootstrap(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a debootstrap in the way that takes no minute, and a sudo and an unshare that need no password."""
    folder.mkdir()
    for name, text in {
        "debootstrap": script,
        "sudo": 'shift; exec "$@"',
        "unshare": 'exec /usr/bin/unshare --map-root-user "$@"',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin")


def test_a_debian_that_could_not_be_made_leaves_nothing(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'mkdir -p "$5/usr"; echo "E: Couldn\'t download packages: python3"; exit 1'
    with_debootstrap(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(SandboxUnavailable, match=r"(?s)make a Debian base: .*Couldn't download packages.*No network"):
        debian.ensured(engine, tmp_path, fresh=True, progress=print)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


class TakingEngine(Engine):
    """Takes a Debian without keeping it: the real one has its name."""

    taken: list[str]

    def import_image(self, tar: IO[bytes], tag: str, labels: Mapping[str, str]) -> str:
        assert labels == {debian.LABEL: debian.RECIPE}
        with tarfile.open(fileobj=tar, mode="r|") as members:
            self.taken = members.getnames()
        return tag


def test_a_debian_can_be_made_below_a_folder_with_a_space_in_its_name(
    settings: SandboxSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'case "$5" in *" "*) echo "as the real one, I cannot"; exit 1 ;; esac; mkdir -p "$5/usr/it is here"'
    with_debootstrap(tmp_path / "bin", monkeypatch, script)
    state = tmp_path / "it's a state"
    state.mkdir()
    with TakingEngine(settings) as engine:
        assert debian.ensured(engine, state, fresh=True, progress=print) == debian.TAG
        assert "./usr/it is here" in engine.taken
    assert list(state.iterdir()) == []
    assert not Path("/mnt/root").exists()


def test_a_full_disk_is_called_by_its_name() -> None:
    said = "one\ntwo\nerror creating layer: write /x: No space left on device\n"
    assert programs.with_advice(said).endswith("free some space, for instance with `docker system prune`.")
