"""Secrets that a machine makes for itself, so that `assay up` needs to be told none."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from web.errors import PortalError


class SecretUnavailable(PortalError):
    """A secret's file cannot be used. The operator's to solve, and the message says how."""


def make(file: Path) -> None:
    """A new secret, unless there is one. Two starts at once agree on one; whoever reads it reads all of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    if not file.exists():
        fresh = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
                written.write(secrets.token_hex(32) + "\n")
                written.flush()
                os.fsync(written.fileno())
            with suppress(FileExistsError):
                os.link(fresh, file)
        finally:
            fresh.unlink(missing_ok=True)
    if file.stat().st_mode & 0o077:
        raise SecretUnavailable(f"secret: {file}: others may read it: make a new one, or run: chmod 600 {file}")
