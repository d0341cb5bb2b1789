"""What graders may be told from outside. The entry point builds one and passes it down."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from graders.contract import GradersError

PROJECT: Final = Path(__file__).resolve().parent.parent
SHORTEST_SECRET: Final = 32  # characters


class SecretUnusable(GradersError):
    """The instance secret is missing, cannot be read, or could be guessed. The operator's to mend."""


class GradersSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ASSAY_", env_file=PROJECT / ".env", extra="ignore", frozen=True)

    challenges: Annotated[tuple[Path, ...], NoDecode] = Field(
        (PROJECT / "challenges",), description="Folders that hold challenges, with : between them."
    )
    packs: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Folders of private files that are laid over those of challenges, with : between them."
    )
    state: Path = Field(PROJECT / ".assay", description="Folder for what Assay remembers on this machine.")
    store: str = Field(
        "", description="Folder of submissions' files, each kept by its content; empty: store/ in that of the state."
    )
    portal_url: str = Field(
        "",
        pattern=r"^(https?://[^/\s]+(/\S*)?)?$",
        description="The portal's address, for a grading host that shares no ASSAY_STORE with it; empty: it does.",
    )
    versions: str = Field(
        "", description="Folder of published versions of challenges; empty: challenges/ in that of the state."
    )
    instance_secret: SecretStr = Field(
        SecretStr(""),
        description="What forms are derived from; the same on all hosts. Empty: secrets/instance_secret in the state's "
        "folder.",
    )
    instance_secret_file: str = Field(
        "", description="A file that holds ASSAY_INSTANCE_SECRET, as a secret is mounted."
    )

    @field_validator("challenges", "packs", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """As PATH is written."""
        if not isinstance(value, str):
            return value
        return tuple(Path(part).expanduser() for part in value.split(os.pathsep) if part)

    @property
    def store_folder(self) -> Path:
        return Path(self.store) if self.store else self.state / "store"

    @property
    def versions_folder(self) -> Path:
        return Path(self.versions) if self.versions else self.state / "challenges"

    @property
    def calibrations_folder(self) -> Path:
        """What an author's commands found out about forms of theirs. It may be removed at any time."""
        return self.state / "calibrations"

    @property
    def secret_file(self) -> Path:
        if self.instance_secret_file:
            return Path(self.instance_secret_file)
        return self.state / "secrets" / "instance_secret"

    def secret(self) -> bytes:
        """The instance secret. Read when it is needed: most commands need none."""
        secret = self.instance_secret.get_secret_value()
        where = "ASSAY_INSTANCE_SECRET"
        if not secret:
            where = str(self.secret_file)
            try:
                secret = self.secret_file.read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                cause = error.strerror if isinstance(error, OSError) else "is no text"
                raise SecretUnusable(
                    f"instance secret: {where}: {cause}: `assay up` makes one; in production see docs/operations.md"
                ) from None
        if len(secret) < SHORTEST_SECRET:
            raise SecretUnusable(
                f"instance secret: {where}: shorter than {SHORTEST_SECRET} characters: make it of chance, for instance "
                "with `openssl rand -hex 32`"
            )
        return secret.encode()
