"""What only root may do: a file system of one's own, an engine of one's own."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.rig import RigBroken, until

DAEMONS = (b"dockerd", b"containerd", b"containerd-shim-runc-v2")


def as_root(*words: str | Path) -> list[str | Path]:
    """The command, as root runs it, or as somebody who may use sudo without being asked, as `assay test` expects."""
    return [*words] if os.geteuid() == 0 else ["sudo", "--non-interactive", *words]


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory that can be filled without harm to anybody."""
    folder.mkdir()
    options = f"size={megabytes}m,mode=0700,uid={os.geteuid()},gid={os.getegid()}"
    subprocess.run(as_root("mount", "-t", "tmpfs", "-o", options, "assay-test", folder), check=True)
    try:
        yield folder
    finally:
        subprocess.run(as_root("umount", "--lazy", folder), check=True)


class SecondEngine:
    """A Docker engine beside the machine's, which can be killed and started again.

    It has its own folder and socket, and a network namespace of its own: an engine without a bridge removes the one
    that the machine's engine uses.
    """

    def __init__(self) -> None:
        # Not pytest's folder: below it the paths of sockets become longer than the kernel takes.
        self.folder = Path(tempfile.mkdtemp(prefix="assay-engine-"))
        self.host = f"unix://{self.folder}/sock"
        self._dockerd: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = as_root(
            "unshare", "--net", "dockerd", "--data-root", self.folder / "images", "--exec-root", self.folder / "run",
            "--pidfile", self.folder / "pid", "--host", self.host, "--bridge=none", "--iptables=false",
            "--ip6tables=false", f"--group={os.getegid()}",
        )  # fmt: skip
        for stale in ("pid", "run/containerd/containerd.pid"):  # as every service manager does
            subprocess.run(as_root("rm", "-f", self.folder / stale), check=True)
        with (self.folder / "log").open("ab") as log:
            self._dockerd = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            until(self.answers, "the second engine: an answer", 60)
        except RigBroken as error:
            raise RigBroken(f"{error}: {(self.folder / 'log').read_text()[-2000:]}") from None

    def answers(self) -> bool:
        asked = subprocess.run(["docker", "--host", self.host, "version"], capture_output=True, check=False)
        return asked.returncode == 0

    def kill(self) -> None:
        """The daemon and all that belongs to it, containers' keepers too; programs in rooms are not told."""

        def gone() -> bool:
            """Again and again: a keeper that was being made while we looked is seen at the next look."""
            if processes := self._processes():
                subprocess.run(as_root("kill", "-KILL", *map(str, processes)), check=False)
            return not processes

        until(gone, "the second engine: its end", 30)
        if self._dockerd is not None:
            self._dockerd.wait()

    def _processes(self) -> list[int]:
        """Those that were told of our folder. Some have outlived their parents, so there is no tree to follow."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = entry.read_bytes().split(b"\0")
                named = any(os.fsencode(self.folder) in word for word in words)
                if named and words[0].rpartition(b"/")[2] in DAEMONS:
                    found.append(int(entry.parent.name))
        return found

    def load(self, image: str) -> None:
        """The image as the machine's engine has it. Its id is the hash of what it holds, so it is the same here."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as save:
            words = ["docker", "--host", self.host, "load", "--quiet"]
            subprocess.run(words, stdin=save.stdout, stdout=subprocess.DEVNULL, check=True)

    def close(self) -> None:
        self.kill()
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mounted in reversed([mount for mount in mounts if mount.startswith(f"{self.folder}/")]):
            subprocess.run(as_root("umount", "--lazy", mounted), check=True)
        subprocess.run(as_root("rm", "-rf", self.folder), check=True)
