"""The rules that keep the layers apart. Each checker is shown a violation too: a check that cannot fail is none."""

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic_settings import BaseSettings

from web.cli import SETTINGS, variables
from web.settings import PROJECT

PACKAGES: Final = [name for name in ("benchmarks", "web", "graders", "sandbox") if (PROJECT / name).is_dir()]
# programs that run in a room, where none of our modules are
INSIDE: Final = {*PROJECT.glob("sandbox/inside/*.py"), *PROJECT.glob("graders/probes/[!_]*.py")}
SOURCES: Final = sorted(path for name in PACKAGES for path in (PROJECT / name).rglob("*.py"))
HOSTILE: Final = PROJECT / "tests" / "hostile" / "programs"  # what a candidate might send
TESTS: Final = sorted(path for path in (PROJECT / "tests").rglob("*.py") if not path.is_relative_to(HOSTILE))

# The edges where everything is caught, because whatever a stranger's code raises must become a sentence.
BROAD_EXCEPTS: Final = frozenset({"graders/challenge/calling.py", "graders/probes/functions.py", "web/queue.py"})


# ------------------------------------------------------------------------------------------------- reading sources


def inner_imports(source: str) -> list[int]:
    """Lines that import inside a function: where a missing layer rule goes to hide."""
    return [
        inner.lineno
        for outer in ast.walk(ast.parse(source))
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(outer)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]


def environment_reads(source: str) -> list[int]:
    names = {"environ", "environb", "getenv", "getenvb"}
    nodes = list(ast.walk(ast.parse(source)))
    imported = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules_os = {alias.asname or alias.name for alias in imported if alias.name == "os"}
    return [
        node.lineno
        for node in nodes
        if (isinstance(node, ast.Attribute) and node.attr in names and getattr(node.value, "id", "") in modules_os)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names})
    ]


def broad_excepts(source: str) -> list[int]:
    found = []
    for node in ast.walk(ast.parse(source)):
        caught: list[ast.expr | None] = []
        if isinstance(node, ast.ExceptHandler):
            caught = [*node.type.elts] if isinstance(node.type, ast.Tuple) else [node.type]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "suppress":
            caught = [*node.args]
        if any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in caught):
            found.append(getattr(node, "lineno", 0))
    return found


def places(check: Callable[[str], list[int]], files: list[Path]) -> list[str]:
    return [f"{path.relative_to(PROJECT)}:{line}" for path in files for line in check(path.read_text())]


def test_no_import_hides_in_a_function() -> None:
    assert places(inner_imports, SOURCES + TESTS) == []


def test_only_settings_read_the_environment() -> None:
    files = [path for path in SOURCES if path.name != "settings.py" and path not in INSIDE]
    assert places(environment_reads, files) == []


def test_everything_is_caught_only_at_the_edges() -> None:
    files = [path for path in SOURCES if str(path.relative_to(PROJECT)) not in BROAD_EXCEPTS]
    assert places(broad_excepts, files) == []


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (inner_imports, "def f():\n    import os"),
        (inner_imports, "class A:\n    async def f(self):\n        if self:\n            from os import path"),
        (environment_reads, "import os\nos.environ['A']"),
        (environment_reads, "from os import getenv"),
        (environment_reads, "import os as o\no.getenv('A')"),
        (broad_excepts, "try:\n    f()\nexcept:\n    pass"),
        (broad_excepts, "try:\n    f()\nexcept (OSError, Exception):\n    pass"),
        (broad_excepts, "try:\n    f()\nexcept BaseException as error:\n    raise"),
        (broad_excepts, "with suppress(Exception):\n    f()"),
        (broad_excepts, "with contextlib.suppress(OSError, BaseException):\n    f()"),
    ],
)
def test_a_planted_violation_is_found(check: Callable[[str], list[int]], source: str) -> None:
    assert check(source)


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (inner_imports, "import os\nclass A:\n    from os import path"),
        (environment_reads, "environment = {}\nenvironment.get('A')"),
        (broad_excepts, "try:\n    f()\nexcept (OSError, ValueError):\n    pass"),
    ],
)
def test_an_innocent_line_is_not_accused(check: Callable[[str], list[int]], source: str) -> None:
    assert check(source) == []


# ---------------------------------------------------------------------------------------------- importing is silent

# Runs in a process of its own, because a module is imported only once in each.
IMPORT_WATCH: Final = """
import gc, importlib, sys
FORBIDDEN = ("socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.fork", "os.posix_spawn",
             "_thread.start_new_thread", "os.mkdir", "os.remove", "os.rename")

def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in FORBIDDEN or writes:
        raise RuntimeError(f"{event} while importing: {arguments!r}")

project, *modules = sys.argv[1:]
sys.path.insert(0, project)
import asyncio, click, docker, flask, gunicorn.app.base, pydantic_settings  # what these do is not our business
sys.addaudithook(watch)
for module in modules:
    importlib.import_module(module)
kinds = (flask.Flask, docker.APIClient, pydantic_settings.BaseSettings)
made = [type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, kinds)]
if made:
    sys.exit(f"made while importing: {made}")
"""


def modules() -> list[str]:
    """Every module by its dotted name, without the programs for the room and what runs as a program itself."""
    names = []
    for path in SOURCES:
        if path in INSIDE or path.name == "__main__.py":
            continue
        parts = path.relative_to(PROJECT).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def import_alone(project: Path, *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-P", "-c", IMPORT_WATCH, str(project), *names],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_importing_a_module_does_no_work() -> None:
    ended = import_alone(PROJECT, *modules())
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess\nsubprocess.run(['true'])",
        "import pathlib\npathlib.Path(__file__ + '.log').write_text('here')",
        "import flask\napp = flask.Flask(__name__)",
        "import sandbox.settings\nSETTINGS = sandbox.settings.SandboxSettings()",
    ],
)
def test_a_module_that_works_while_it_is_imported_is_found(source: str, tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(source)
    assert import_alone(tmp_path, "planted").returncode != 0


# --------------------------------------------------------------------------------------------------- tools say well


def run_tool(*words: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-P", *words], cwd=folder, capture_output=True, text=True, check=False)


LINT_IMPORTS: Final = ("-c", "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())")


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A copy of the code, to plant violations in."""
    for name in PACKAGES:
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


def test_ruff_finds_nothing() -> None:
    ended = run_tool("-m", "ruff", "check", ".")
    assert ended.returncode == 0, ended.stdout


def test_ruff_would_format_nothing() -> None:
    ended = run_tool("-m", "ruff", "format", "--check", ".")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_mypy_is_strict_and_finds_nothing() -> None:
    ended = run_tool("-m", "mypy")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_mypy_reads_every_folder_with_python_in_it() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["mypy"]
    ours = {path.relative_to(PROJECT).parts[0] for path in PROJECT.glob("[!.]*/**/*.py")} - {"challenges", "build"}
    assert settings["strict"] is True
    assert ours <= set(settings["files"])


def test_the_layers_hold() -> None:
    ended = run_tool(*LINT_IMPORTS)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("sandbox/planted.py", "import web.settings"),
        ("sandbox/planted.py", "import flask"),
        ("web/planted.py", "import docker"),
    ],
)
def test_an_import_across_the_layers_is_found(module: str, source: str, planted: Path) -> None:
    (planted / module).write_text(source + "\n")
    ended = run_tool(*LINT_IMPORTS, folder=planted)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "planted" in ended.stdout


def test_a_missing_type_is_found(planted: Path) -> None:
    (planted / "web" / "planted.py").write_text("def double(number):\n    return number * 2\n")
    assert run_tool("-m", "mypy", "web/planted.py", folder=planted).returncode == 1


# --------------------------------------------------------------------------------------------- settings and manual


def settings_classes() -> set[type[BaseSettings]]:
    for name in modules():
        importlib.import_module(name)

    def below(kind: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    return {kind for kind in below(BaseSettings) if kind.__module__.split(".")[0] in PACKAGES}


def default_text(value: Any) -> str:
    if isinstance(value, tuple):
        return os.pathsep.join(map(default_text, value))
    if isinstance(value, Path) and value.is_relative_to(PROJECT):
        return str(value.relative_to(PROJECT))
    return str(value)


def manual_rows() -> list[str]:
    rows = []
    for kind in SETTINGS.values():
        for name, field in kind.model_fields.items():
            default = default_text(field.default)
            also = "".join(f", `{other}`" for other in variables(kind, name)[1:])
            value = f"`{default}`" if default else "empty"
            rows.append(f"| `{variables(kind, name)[0]}`{also} | {value} | {field.description} |")
    return list(dict.fromkeys(rows))  # what two processes read is told once


def example_entries() -> list[str]:
    entries = (
        f"# {field.description}\n#{variables(kind, name)[0]}={default_text(field.default)}\n"
        for kind in SETTINGS.values()
        for name, field in kind.model_fields.items()
    )
    return list(dict.fromkeys(entries))


def test_assay_settings_shows_every_process() -> None:
    assert settings_classes() == set(SETTINGS.values())


def test_the_manual_lists_every_setting_as_it_is() -> None:
    manual = (PROJECT / "docs" / "operations.md").read_text()
    assert re.findall(r"^\| `[A-Z].*$", manual, re.MULTILINE) == manual_rows(), "\n".join(
        ["The table in docs/operations.md should read:", *manual_rows()]
    )


def test_the_example_file_lists_every_setting_as_it_is() -> None:
    example = (PROJECT / ".env.example").read_text()
    _, _, entries = example.partition("\n\n")
    assert entries == "\n".join(example_entries()), "\n".join(
        ["The end of .env.example should be:", *example_entries()]
    )


def test_the_settings_are_frozen_and_their_fields_described() -> None:
    for kind in SETTINGS.values():
        assert kind.model_config.get("frozen") is True
        assert [name for name, field in kind.model_fields.items() if not field.description] == []


# --------------------------------------------------------------------------------------------------- tests of tests


def run_pytest(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run one test file under our own rules, in a folder elsewhere."""
    shutil.copy(PROJECT / "tests" / "conftest.py", folder)
    (folder / "test_planted.py").write_text(source)
    rules = ["-c", str(PROJECT / "pyproject.toml"), "--rootdir", str(folder), "-p", "no:cacheprovider"]
    return run_tool("-m", "pytest", *rules, *options, str(folder), folder=folder)


SKIPPED: Final = "import pytest\n\ndef test_it() -> None:\n    pytest.skip('no engine here')\n"
SKIPPED_WHOLE: Final = "import pytest\n\npytest.skip('no engine here', allow_module_level=True)\n"
MARKED: Final = "import pytest\n\n@pytest.mark.doker\ndef test_it() -> None: ...\n"
OUTSIDE: Final = "import socket\n\ndef test_it() -> None:\n    socket.create_connection(('192.0.2.1', 80), 0.1)\n"


@pytest.mark.parametrize("source", [SKIPPED, SKIPPED_WHOLE])
def test_a_skipped_test_fails_where_none_may_be_skipped(source: str, tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, source, "--no-skips")
    assert ended.returncode in (1, 2), ended.stdout
    assert "skipped, and nothing may be: " in ended.stdout
    assert "no engine here" in ended.stdout


def test_a_skipped_test_is_only_skipped_otherwise(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, SKIPPED)
    assert ended.returncode == 0, ended.stdout
    assert "1 skipped" in ended.stdout


def test_a_mark_that_is_not_declared_is_found(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, MARKED)
    assert "'doker' not found in `markers`" in ended.stdout


def test_a_test_without_a_mark_cannot_leave_this_machine(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, OUTSIDE)
    assert ended.returncode == 1
    assert "only marked tests may leave this machine" in ended.stdout


# ------------------------------------------------------------------------------------------------------------ locks


def pins(lock: str) -> dict[str, str]:
    text = (PROJECT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def test_the_tests_lock_holds_the_programs_lock() -> None:
    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert run
    assert run.items() <= dev.items()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_pins_by_hash_and_names_no_place(lock: str) -> None:
    text = (PROJECT / lock).read_text()
    entries = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert re.findall(r"https?:|file:|--find-links|--index|--extra-index", text) == []


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    run = {re.split(r"[^a-z0-9-]", name)[0] for name in project["dependencies"]}
    dev = {re.split(r"[^a-z0-9-]", name)[0] for name in project["optional-dependencies"]["dev"]}
    assert run <= pins("requirements.lock").keys()
    assert dev <= pins("requirements-dev.lock").keys()
