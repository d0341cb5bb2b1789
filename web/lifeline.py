"""Processes that end with the one that started them, and locks that end with whoever holds them.

Both are kept by the kernel: neither needs a word from a process that was killed, or from one that hangs.
"""

import ctypes
import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
LOOK_AGAIN_SECONDS: Final = 0.05

_libc: Final = ctypes.CDLL(None, use_errno=True)  # loaded here: between fork and exec nothing may be


def tied_to_me() -> Callable[[], None]:
    """What a child of this process calls first, so that it is killed when this process ends, however that happens.

    To the kernel the parent is the thread that forked, so start such children from the main one.
    """
    parent = os.getpid()
    return lambda: tie_to(parent)


def tie_to(parent: int) -> None:
    """Let the kernel kill this process when its parent ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we said so
        os._exit(1)


def take_lock(path: Path, seconds: float = 0) -> int | None:
    """An open file that holds the lock, and so does every child that inherits it; None when it was not to be had."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(LOOK_AGAIN_SECONDS)
        else:
            return descriptor
