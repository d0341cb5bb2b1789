"""What the portal may be told from outside. The entry point builds one and passes it down."""

import ipaddress
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parent.parent


class PortalSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ASSAY_", env_file=PROJECT / ".env", extra="ignore", frozen=True)

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on. 0.0.0.0 opens the portal to other machines, unencrypted.",
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    web_processes: int = Field(2, ge=1, le=64, description="Processes that answer requests.")
    web_threads: int = Field(8, ge=1, le=256, description="Requests that one process answers at a time.")
    web_request_seconds: float = Field(
        30,
        gt=0,
        le=30,  # a candidate's clock waits so long for what arrived in time: web.attempts.ARRIVING
        description="Seconds that one request may take, until the last byte of its answer.",
    )
    web_grace_seconds: int = Field(
        10, ge=1, description="Seconds that requests under way get when the portal is told to stop."
    )
    web_request_kb: int = Field(256, ge=1, description="Kilobytes that the body of one request may hold.")
    web_access_log: bool = Field(False, description="Write one line for each request to standard output.")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^/\s]+)?$",
        description="The portal's address as people reach it, for links in mail; empty: where it listens.",
    )
    proxies: str = Field(
        "127.0.0.1,::1",
        description="Addresses or networks of the proxies before it: what they say of a client's address is believed.",
    )
    session_secret: SecretStr = Field(
        SecretStr(""),
        description="Signs links and cookies. Empty: secrets/session_secret in the state's folder.",
    )
    session_secret_file: str = Field("", description="A file that holds ASSAY_SESSION_SECRET, as a secret is mounted.")
    receipt_key: SecretStr = Field(
        SecretStr(""),
        description="Signs receipts: 64 hexadecimal digits. Empty: secrets/receipt_key in the state's folder.",
    )
    receipt_key_file: str = Field("", description="A file that holds ASSAY_RECEIPT_KEY, as a secret is mounted.")
    oidc_issuer: str = Field("", description="OpenID Connect issuer that staff may sign in with; empty: links only.")
    oidc_client_id: str = Field("", description="What the issuer calls this portal.")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="The password that goes with it.")
    oidc_client_secret_file: str = Field(
        "", description="A file that holds ASSAY_OIDC_CLIENT_SECRET, as a secret is mounted."
    )

    @field_validator("proxies")
    @classmethod
    def _are_networks(cls, said: str) -> str:
        for one in filter(None, map(str.strip, said.split(","))):
            ipaddress.ip_network(one, strict=False)
        return said


class DatabaseSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ASSAY_", env_file=PROJECT / ".env", extra="ignore", frozen=True)

    state: Path = Field(PROJECT / ".assay", description="Folder for what Assay remembers on this machine.")
    database_url: SecretStr = Field(
        SecretStr(""),
        description="postgresql://... or sqlite:///PATH; empty: a SQLite file in the folder of the state.",
    )
    database_url_file: str = Field("", description="A file that holds ASSAY_DATABASE_URL, as a secret is mounted.")


class TreeSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ASSAY_", env_file=PROJECT / ".env", extra="ignore", frozen=True)

    store: str = Field(
        "", description="Folder of submissions' files, each kept by its content; empty: store/ in that of the state."
    )
    tree_secret: SecretStr = Field(
        SecretStr(""),
        description="Signs what opens a submission's files to grading hosts without a shared folder; empty: to none.",
    )
    tree_secret_file: str = Field("", description="A file that holds ASSAY_TREE_SECRET, as a secret is mounted.")


class MailSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ASSAY_", env_file=PROJECT / ".env", extra="ignore", frozen=True)

    mail_url: SecretStr = Field(
        SecretStr(""),
        description="smtp://USER:PASSWORD@HOST:587, or smtps://...; empty: letters are printed into the log.",
    )
    mail_url_file: str = Field("", description="A file that holds ASSAY_MAIL_URL, as a secret is mounted.")
    mail_from: str = Field("Assay <assay@localhost>", description="Who letters are from.")


class GradingSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ASSAY_", env_file=PROJECT / ".env", extra="ignore", frozen=True)

    lease_seconds: float = Field(
        30, ge=10, le=3600, description="Seconds without a sign of life until another worker is asked to grade."
    )
    tries: int = Field(
        3, ge=1, le=20, description="Times that a grading may end by our own fault before a person is told."
    )
    gradings_per_candidate: int = Field(
        1, ge=1, le=100, description="Gradings of one application that may be under way at a time."
    )


class QueueSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ASSAY_", env_file=PROJECT / ".env", extra="ignore", frozen=True)

    redis_url: SecretStr = Field(
        SecretStr(""),
        description="redis://..., rediss://... or unix://PATH; empty: the server that `assay up` starts.",
    )
    redis_url_file: str = Field("", description="A file that holds ASSAY_REDIS_URL, as a secret is mounted.")
    drain_seconds: float = Field(
        60, ge=0, le=3600, description="Seconds that a worker gets to finish when it is told to stop."
    )
    grading_workers: int = Field(
        0, ge=0, le=256, description="Grading workers that `assay up` starts; 0: one for each processor."
    )
    checking_workers: int = Field(
        1, ge=1, le=256, description="Workers that `assay up` starts for candidates who press Run."
    )
    forms_ready: int = Field(
        2, ge=0, le=1000, description="Forms of each challenge's newest version that are made before anybody needs one."
    )
