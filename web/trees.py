"""Serves the files of a submission to grading hosts that share no folder with the portal, and takes those of a form.

    clock ── token_for(digest), in the GradingRequest ──► grading host ── GET /trees/<digest> ──► a tar
    clock ── form_token(form), in the FormRequest     ──► forming host ── PUT /trees/<digest>, a tar

A token opens one tree for some hours, and no other: a host that was broken into can read what it was asked to grade,
and cannot look for more. Whatever is wrong with a request, the answer is the same 404, so nobody learns from it which
trees there are. Who gets a tree proves it by the digest: the grading host, and here the portal.
"""

import hashlib
import logging
import re
from pathlib import Path
from typing import Final

from flask import Blueprint, Response, abort, request
from itsdangerous import BadSignature, TimestampSigner

from graders.trees import MOST_BYTES, FolderStore, Store, TreeMissing, digest_of, packed, unpacked
from web import secrecy
from web.forgery import csrf
from web.secrecy import SecretUnavailable
from web.settings import TreeSettings

__all__ = ["form_token", "secret_of", "store_of", "token_for", "tree_pages"]

TOKEN_SECONDS: Final = 6 * 3600  # that a grading may take from being sent until its files are fetched
READING, KEEPING = "assay tree", "assay tree of a form"  # what a token is for: one kind never does for the other
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


def form_token(form_id: str, secret: str) -> str:
    """What a FormRequest carries: lets its worker hand files in. Which ones, nobody can know before they are made."""
    return _signer(secret, KEEPING).sign(form_id).decode() if secret else ""


def tree_pages(store: Store, secret: str) -> Blueprint:
    """The address of trees, for an application that serves them."""
    if len(secret) < secrecy.SHORTEST:
        raise SecretUnavailable("ASSAY_TREE_SECRET: trees are not served without one")
    pages = Blueprint("trees", __name__)
    csrf.exempt(pages)  # there are no cookies here that a foreign page could make a browser send
    signer, keeper = _signer(secret), _signer(secret, KEEPING)

    @pages.url_value_preprocessor
    def allow_more(endpoint: str | None, _: dict[str, str] | None) -> None:
        """Only to whoever has a token: others send megabytes in vain."""
        if endpoint == "trees.keep" and _shown(keeper) is not None:
            request.max_content_length = MOST_BYTES

    @pages.get("/trees/<digest>")
    def tree(digest: str) -> Response:
        if not _opens(signer, digest):
            abort(404)
        try:
            files = store.get(digest)
        except TreeMissing as error:
            log.warning("a grading host asks in vain: %s", error)
            abort(404)
        answer = Response(packed(files), mimetype="application/x-tar")
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @pages.put("/trees/<digest>")
    def keep(digest: str) -> Response:
        if _shown(keeper) is None:
            abort(404)
        try:
            files = unpacked(request.get_data(), "a forming host")
        except TreeMissing as error:
            log.warning("not kept: %s", error)
            abort(404)
        if digest_of(files) != digest:
            abort(404)
        store.put(files)
        return Response(status=204)

    return pages


def _signer(secret: str, purpose: str = READING) -> TimestampSigner:
    return TimestampSigner(secret, salt=purpose, digest_method=hashlib.sha256, key_derivation="hmac")


def _opens(signer: TimestampSigner, digest: str) -> bool:
    """Whether the request's token was made for this digest, and not long ago. Signatures take the same time."""
    return bool(DIGEST.fullmatch(digest)) and _shown(signer) == digest.encode()


def _shown(signer: TimestampSigner) -> bytes | None:
    """What the request's token was made for, if we made it for this purpose, and not long ago."""
    shown = request.authorization
    if shown is None or shown.type != "bearer" or not shown.token:
        return None
    try:
        return signer.unsign(shown.token, max_age=TOKEN_SECONDS)
    except BadSignature:
        return None
