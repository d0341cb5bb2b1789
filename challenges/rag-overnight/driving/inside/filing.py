"""In the room, between two programs of the candidate's: brings a folder up to date and copies another.

The order is {"write": {name: base64}, "remove": [name, ...], "copy": [from, to]}, with names below the room's folder.
What stands in the way of a file is removed first. The exit code is 0, or 1 with one line that says what could not be
done; all that can be done is done.
"""

import base64
import json
import shutil
import sys
from pathlib import Path
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    ORDER = b""


def main(order: bytes) -> int:
    wanted: dict[str, Any] = json.loads(order)
    steps: list[tuple[str, str | None]] = [(name, None) for name in wanted["remove"]]
    failures: list[str] = []
    for name, content in [*steps, *wanted["write"].items()]:
        try:
            remove(Path(name))  # also before it is written: a link would lead elsewhere
            if content is not None:
                write(Path(name), base64.b64decode(content))
        except OSError as error:
            failures.append(f"{name}: {error.strerror}")
    source, target = wanted["copy"]
    try:
        remove(Path(target))
        shutil.copytree(source, target, symlinks=True)
    except OSError as error:  # shutil.Error is one too, with a list in the place of words
        failures.append(f"{source}: {error.strerror or 'not all of it could be copied'}")
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        sys.stderr.write(f"{failures[0]}{more}\n")
    return 1 if failures else 0


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main(ORDER))
