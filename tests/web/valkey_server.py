"""An embedded queue server of a test's own, which can be killed and started again."""

import subprocess
from pathlib import Path
from typing import Any

from web import queue, valkey


class ValkeyServer:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] = valkey.start(folder)

    def connect(self, *, patience: float = 0) -> Any:
        return queue.connect("", self.folder, patience=patience)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        self.process = valkey.start(self.folder)
