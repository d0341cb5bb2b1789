"""What the portal is made of: the command line puts one together, and whatever answers a request finds it here."""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from flask import Blueprint, current_app, has_request_context, request

from graders.trees import FolderStore
from web import secrecy
from web.database import Database, connect
from web.queue import Doorbell, reach
from web.settings import DatabaseSettings, PortalSettings, QueueSettings, TreeSettings
from web.trees import secret_of, store_of, token_for, tree_pages

__all__ = ["Portal", "assemble", "here", "make_secrets", "read_receipt_key"]


@dataclass(frozen=True)
class Portal:
    settings: PortalSettings
    database: Database
    bell: Doorbell
    store: FolderStore
    session_secret: str
    receipt_key: str  # 64 hexadecimal digits
    trees: Blueprint | None = None  # where grading hosts fetch files from the portal
    token_for: Callable[[str], str] = lambda _: ""  # what opens a tree to them

    @property
    def address(self) -> str:
        """Where people find it, for the page that this request gets. From the request only when nobody set it."""
        return self.settings.public_url or request.host_url.rstrip("/")

    @property
    def address_in_letters(self) -> str:
        """For links that lead somebody else in. Whoever sends a request chooses its Host header, and could have a
        letter written in which the link, with its secret, leads to a host of their own: so it is believed only where
        it names this machine."""
        if self.settings.public_url or not has_request_context():
            return self.settings.public_url or self._where_it_listens()
        name = re.sub(r":\d+$", "", request.host).strip("[]")
        ours = name in ("localhost", "127.0.0.1", "::1", self.settings.host)
        return request.host_url.rstrip("/") if ours else self._where_it_listens()

    def _where_it_listens(self) -> str:
        host = self.settings.host
        return f"http://[{host}]:{self.settings.port}" if ":" in host else f"http://{host}:{self.settings.port}"

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
        receipt_key=read_receipt_key(settings, where),
        trees=tree_pages(store, tree_secret) if tree_secret else None,
        token_for=partial(token_for, secret=tree_secret),
    )


def read_receipt_key(settings: PortalSettings, where: DatabaseSettings) -> str:
    return secrecy.read("RECEIPT_KEY", settings.receipt_key, _receipt_file(settings, where))


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
