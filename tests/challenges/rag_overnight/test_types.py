"""The challenge is typed like everything else. Its folder is no name of a package, so it is looked at under another."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from web.settings import PROJECT

FOLDER: Final = PROJECT / "challenges" / "rag-overnight"
CODE: Final = ("bench", "driving", "faults", "forms", "night", "scoring", "world")


def test_its_own_code_is_typed_without_a_gap(tmp_path: Path) -> None:
    package = tmp_path / "rag_overnight"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in (*CODE, *(path.name for path in FOLDER.glob("*.py"))):
        (package / name).symlink_to(FOLDER / name)
    rules = ["--config-file", str(PROJECT / "pyproject.toml"), "--cache-dir", str(PROJECT / ".mypy_cache")]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mypy", *rules, str(package)],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
