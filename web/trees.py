"""Serves the files of a submission to grading hosts that share no folder with the portal.

    clock ── token_for(digest), in the GradingRequest ──► grading host ── GET /trees/<digest> ──► a tar

A token opens one tree for some hours, and no other: a host that was broken into can read what it was asked to grade,
and cannot look for more. Whatever is wrong with a request, the answer is the same 404, so nobody learns from it which
trees there are. The grading host proves what it got by the digest.
"""

import hashlib
import logging
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from flask import Blueprint, Response, abort, request
from itsdangerous import BadSignature, TimestampSigner

from graders.trees import FolderStore, Store, TreeMissing
from web import secrecy
from web.secrecy import SecretUnavailable
from web.settings import TreeSettings

__all__ = ["secret_of", "store_of", "token_for", "tree_pages"]

TOKEN_SECONDS: Final = 6 * 3600  # that a grading may take from being sent until its files are fetched
DIGEST: Final = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger(__name__)


def store_of(settings: TreeSettings, state: Path) -> FolderStore:
    return FolderStore(Path(settings.store) if settings.store else state / "store")


def secret_of(settings: TreeSettings) -> str:
    """What tokens are signed with; empty when trees are not served."""
    return secrecy.read("TREE_SECRET", settings.tree_secret, settings.tree_secret_file)


def token_for(digest: str, secret: str) -> str:
    """What a GradingRequest carries. Empty without a secret: then the workers have a store of their own."""
    return _signer(secret).sign(digest).decode() if secret else ""


def tree_pages(store: Store, secret: str) -> Blueprint:
    """The address of trees, for an application that serves them."""
    if len(secret) < secrecy.SHORTEST:
        raise SecretUnavailable("ASSAY_TREE_SECRET: trees are not served without one")
    pages = Blueprint("trees", __name__)
    signer = _signer(secret)

    @pages.get("/trees/<digest>")
    def tree(digest: str) -> Response:
        if not _opens(signer, digest):
            abort(404)
        try:
            files = store.get(digest)
        except TreeMissing as error:
            log.warning("a grading host asks in vain: %s", error)
            abort(404)
        answer = Response(_tar(files), mimetype="application/x-tar")
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return pages


def _signer(secret: str) -> TimestampSigner:
    return TimestampSigner(secret, salt="assay tree", digest_method=hashlib.sha256, key_derivation="hmac")


def _opens(signer: TimestampSigner, digest: str) -> bool:
    """Whether the request's token was made for this digest, and not long ago. Signatures take the same time."""
    shown = request.authorization
    if shown is None or shown.type != "bearer" or not shown.token or not DIGEST.fullmatch(digest):
        return False
    try:
        return signer.unsign(shown.token, max_age=TOKEN_SECONDS) == digest.encode()
    except BadSignature:
        return False


def _tar(files: Mapping[str, bytes]) -> Iterator[bytes]:
    """Regular files in order of their names: the same bytes for the same tree."""
    for name in sorted(files):
        member = tarfile.TarInfo(name)
        member.size = len(files[name])
        yield member.tobuf(tarfile.PAX_FORMAT)
        yield files[name]
        yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
