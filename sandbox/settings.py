"""What the sandbox may be told from outside. The entry point builds one and passes it down."""

import re
from pathlib import Path

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parent.parent


class SandboxSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ASSAY_", env_file=PROJECT / ".env", extra="ignore", frozen=True)

    state: Path = Field(PROJECT / ".assay", description="Folder for what Assay remembers on this machine.")
    docker_host: str = Field(
        "unix:///var/run/docker.sock",
        validation_alias=AliasChoices("ASSAY_DOCKER_HOST", "DOCKER_HOST"),
        description="The Docker engine that runs candidates' programs.",
    )
    docker_timeout: float = Field(15, gt=0, le=3600, description="Seconds to wait for one answer of the engine.")
    sandbox_runtime: str = Field("", description="OCI runtime, for instance runsc for gVisor; empty: the engine's own.")
    sandbox_first_uid: int = Field(
        30000,
        ge=1000,
        le=2**31 - 40_000,
        multiple_of=4,
        description="Start of 30,000 user ids, four for each room. Debian reserves 30000-59999.",
    )
    base_image: str = Field(
        "python:3.11-slim-bookworm",
        description="What the sandbox images start from. Where no registry answers, a Debian base is made here.",
    )

    @field_validator("docker_host")
    @classmethod
    def _must_be_a_stream(cls, host: str) -> str:
        if not re.fullmatch(r"unix:///.+|tcp://[^/\s]+:\d{1,5}", host):
            raise ValueError(f"{host!r} is neither unix:///PATH nor tcp://HOST:PORT")
        return host
