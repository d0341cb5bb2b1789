"""`assay receipt`: what anybody with a receipt does at a terminal. It needs neither a portal nor a database."""

import json
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from graders.author.cli import read_submission, visible
from graders.rubric import SubmissionLimits
from web import receipts
from web.errors import PortalError
from web.portal import read_receipt_key
from web.receipts import Body, Difference, KeyUnusable, NotValid, Signer
from web.secrecy import SecretUnavailable
from web.settings import DatabaseSettings, PortalSettings

__all__ = ["receipt"]

VALID, NOT_VALID = 0, 1
PATIENCE: Final = 15.0  # seconds without a byte from the portal
MOST_BYTES: Final = 10_000  # of an answer that holds a key
LIMITS: Final = SubmissionLimits(files=5000, total_kb=65536)  # of any challenge
LOCAL: Final = ("127.0.0.1", "::1", "localhost")


class KeyUnreachable(PortalError):
    """The portal that should give its key does not."""


@click.group()
def receipt() -> None:
    """Check the receipt of a submission, wherever you are."""


@receipt.command()
@click.argument("file", type=click.File("rb"))
@click.option("--key", help="The portal's public key: 64 hexadecimal digits.")
@click.option("--url", help="Ask the portal at this address for its public key.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Check too that the files below this folder are exactly those that were handed in.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def verify(file: Any, key: str | None, url: str | None, folder: Path | None, as_json: bool) -> int:
    """Tell whether FILE, a receipt.json, is as the portal signed it; - reads standard input.

    The key comes from you or from the portal that you name, never from the receipt: whoever forges one would give
    you theirs. Without --key and --url it is the key of the installation on this machine.

    \b
    Exit code 0  the receipt is valid, and the folder holds what it says
              1  it is not
              2  what was asked cannot be answered: there is no key
    """
    public_key = _public_key(key, url)
    try:
        body = receipts.verify(file.read(receipts.MOST_CHARACTERS + 1), public_key)
    except NotValid as error:
        _tell(as_json, key=public_key, reason=str(error))
        return NOT_VALID
    except KeyUnusable as error:
        raise click.UsageError(str(error)) from None
    difference = None if folder is None else receipts.compare(body, read_submission(folder, LIMITS))
    _tell(as_json, key=public_key, body=body, difference=difference)
    return VALID if difference is None or difference.is_none else NOT_VALID


@receipt.command("key")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def show_key(as_json: bool) -> None:
    """Print the public key of this installation, for those who check receipts."""
    signer = _own()
    if as_json:
        click.echo(json.dumps({"key_id": signer.key_id, "public_key": signer.public_key}, indent=2))
    else:
        click.echo(signer.public_key)


# ------------------------------------------------------------------------------------------------------------ the key


def _public_key(key: str | None, url: str | None) -> str:
    if key is not None and url is not None:
        raise click.UsageError("give --key or --url, not both")
    if key is not None:
        return key.strip()
    if url is not None:
        return _asked(url)
    try:
        return _own().public_key
    except (SecretUnavailable, KeyUnusable) as error:
        raise click.UsageError(
            f"whose receipt is it? Give the portal's public key with --key, or its address with --url ({error})"
        ) from None


def _own() -> Signer:
    return Signer(read_receipt_key(PortalSettings(), DatabaseSettings()))


def _asked(url: str) -> str:
    where = urlsplit(url)
    if where.scheme not in ("http", "https") or not where.hostname:
        raise click.UsageError(f"--url: {visible(url)}: is no address of a portal: it begins with https://")
    if where.scheme == "http" and where.hostname not in LOCAL:
        click.echo("assay: the key comes over a connection that others can change: prefer https", err=True)
    kind = HTTPSConnection if where.scheme == "https" else HTTPConnection
    path = f"{where.path.rstrip('/').removesuffix('/receipts/key').removesuffix('/receipts')}/receipts/key"
    try:
        with closing(kind(where.netloc.rpartition("@")[2], timeout=PATIENCE)) as portal:
            portal.request("GET", path)
            answer = portal.getresponse()
            said = answer.read(MOST_BYTES)
    except (OSError, HTTPException, ValueError) as error:
        raise KeyUnreachable(f"--url: {url}: {error or type(error).__name__}: does the portal answer there?") from None
    try:
        public_key = json.loads(said)["public_key"]
    except (ValueError, KeyError, TypeError):
        raise KeyUnreachable(f"--url: {url}: answers {answer.status} and gives no key: is it a portal?") from None
    if not isinstance(public_key, str):
        raise KeyUnreachable(f"--url: {url}: gives a key that is none")
    return public_key


# ------------------------------------------------------------------------------------------------------------ telling


def _tell(
    as_json: bool, *, key: str, body: Body | None = None, difference: Difference | None = None, reason: str = ""
) -> None:
    if as_json:
        valid = body is not None and (difference is None or difference.is_none)
        said = {
            "valid": valid,
            "reason": reason or None,
            "public_key": key,
            "receipt": body.model_dump(mode="json") if body else None,
            "folder": difference.model_dump(mode="json") if difference else None,
        }
        click.echo(json.dumps(said, indent=2))
        return
    if body is None:
        click.echo(f"not valid: {visible(reason)}")
        return
    click.echo(f"valid: signed by key {body.key}")
    for name, value in _lines(body):
        click.echo(f"  {name:<12} {visible(value)}")
    if difference is not None:
        _tell_folder(difference)


def _lines(body: Body) -> list[tuple[str, str]]:
    by = "by the candidate" if body.handed_in_by == "candidate" else "by the clock, when the time was over"
    return [
        ("receipt", body.code),
        ("received", f"{body.received_at} ({by})"),
        ("challenge", f"{body.challenge} {body.challenge_version} {body.challenge_digest[:12]}"),
        ("attempt", f"{body.attempt}, submission {body.submission}"),
        ("content", f"{body.content} ({len(body.files)} files)"),
        ("portal", body.portal or "-"),
    ]


def _tell_folder(difference: Difference) -> None:
    if difference.is_none:
        click.echo("the folder holds exactly the files that were handed in")
        return
    click.echo("the folder does not hold what was handed in")
    for what, names in (
        ("missing", difference.missing),
        ("not handed in", difference.added),
        ("different", difference.changed),
    ):
        for name in names:
            click.echo(f"  {what}: {visible(name)}")
    sys.stdout.flush()
