"""What the portal is made of: the command line puts one together, and whatever answers a request finds it here."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import cast

from flask import Blueprint, current_app, request

from graders.trees import FolderStore
from web import secrecy
from web.database import Database, connect
from web.queue import Doorbell, reach
from web.settings import DatabaseSettings, PortalSettings, QueueSettings, TreeSettings
from web.trees import secret_of, store_of, tree_pages

__all__ = ["Portal", "assemble", "here", "make_secrets"]


@dataclass(frozen=True)
class Portal:
    settings: PortalSettings
    database: Database
    bell: Doorbell
    store: FolderStore
    session_secret: str
    receipt_key: str  # 64 hexadecimal digits
    trees: Blueprint | None = None  # where grading hosts fetch files from the portal

    @property
    def address(self) -> str:
        """Where people find it, for links that are read elsewhere. From the request only when nobody set it."""
        return self.settings.public_url or request.host_url.rstrip("/")

    def sealed(self, purpose: str, secret: str) -> str:
        """What the database keeps of a token: whoever reads it there can neither use it nor try out guesses."""
        return hmac.new(self.session_secret.encode(), f"{purpose}|{secret}".encode(), hashlib.sha256).hexdigest()


def here() -> Portal:
    """The portal that answers this request."""
    return cast(Portal, current_app.extensions["assay"])


def assemble(settings: PortalSettings, where: DatabaseSettings) -> Portal:
    """Nothing is opened yet. Raises SecretUnavailable when a secret is missing or could be guessed."""
    trees = TreeSettings()
    store, tree_secret = store_of(trees, where.state), secret_of(trees)
    return Portal(
        settings=settings,
        database=connect(where),
        bell=Doorbell(reach(QueueSettings(), where.state)),
        store=store,
        session_secret=secrecy.read("SESSION_SECRET", settings.session_secret, _session_file(settings, where)),
        receipt_key=secrecy.read("RECEIPT_KEY", settings.receipt_key, _receipt_file(settings, where)),
        trees=tree_pages(store, tree_secret) if tree_secret else None,
    )


def make_secrets(settings: PortalSettings, where: DatabaseSettings) -> None:
    """Those that nobody gave: `assay up` starts without being told any."""
    if not settings.session_secret.get_secret_value() and not settings.session_secret_file:
        secrecy.make(where.state / "secrets" / "session_secret")
    if not settings.receipt_key.get_secret_value() and not settings.receipt_key_file:
        secrecy.make(where.state / "secrets" / "receipt_key")


def _session_file(settings: PortalSettings, where: DatabaseSettings) -> str:
    return settings.session_secret_file or str(where.state / "secrets" / "session_secret")


def _receipt_file(settings: PortalSettings, where: DatabaseSettings) -> str:
    return settings.receipt_key_file or str(where.state / "secrets" / "receipt_key")
