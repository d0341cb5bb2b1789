"""Secrets: read from a setting or a mounted file, and those that a machine makes for itself, so that `assay up` needs
to be told none."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from web.errors import PortalError

SHORTEST: Final = 32  # characters


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


def read(name: str, value: SecretStr, file: str | Path) -> str:
    """The secret that the setting `name` gives, or its file; empty when neither is set. Guessable ones are refused."""
    secret = given(name, value, file)
    if secret and len(secret) < SHORTEST:
        where = f"ASSAY_{name}" if value.get_secret_value() else f"ASSAY_{name}_FILE: {file}"
        raise SecretUnavailable(f"{where}: is shorter than {SHORTEST} characters: make it of chance")
    return secret


def given(name: str, value: SecretStr, file: str | Path) -> str:
    """The same for a secret that others have chosen, of any length."""
    secret = value.get_secret_value()
    if not secret and str(file):
        where = f"ASSAY_{name}_FILE: {file}"
        try:
            secret = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "is no text"
            raise SecretUnavailable(f"{where}: {cause}") from None
        if not secret:
            raise SecretUnavailable(f"{where}: is empty")
    return secret
