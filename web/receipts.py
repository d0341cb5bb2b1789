"""Receipts: what the server signed when it took a submission, so that nobody has to take our word for it later.

    write(key, ...) ──► Receipt(body, signature) ──► receipt.json ──► verify(text, public key) ──► Body

A receipt is a JSON document of a body and a signature by Ed25519. What is signed is the body in one spelling: its keys
in order, no blanks, ASCII. So a receipt may be printed prettily, and one whose body reads otherwise is not valid.
`verify` needs the text and the public key, and neither us nor a network. Nobody is named in a receipt, but file names
are the candidate's own: whoever shows a receipt to the public leaves them out.
"""

import base64
import binascii
import hashlib
import json
import re
import secrets
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field, StringConstraints, ValidationError, model_validator

from graders.contract import Digest, Identifier, Key, Message, first_fault
from graders.trees import digest_of_hashes
from web.errors import PortalError

__all__ = ["Body", "Difference", "Hand", "KeyUnusable", "NotValid", "Signed", "Signer", "compare", "normal", "verify"]

MARK: Final = b"assay receipt 1\n"  # signed before the body: a signature of this key for something else is no receipt
MOST_CHARACTERS: Final = 8 << 20  # of a receipt: five thousand files with long names, and no more
LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that a person takes for another
MISREAD: Final = str.maketrans("ILO", "110")
GROUPS, LETTERS_EACH = 4, 4  # 80 bits, which nobody guesses

Code = Annotated[str, StringConstraints(pattern=rf"^[{LETTERS}]{{4}}(?:-[{LETTERS}]{{4}}){{3}}$")]
KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Second = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Hand = Literal["candidate", "clock"]


class NotValid(PortalError):
    """This is not a receipt, or not as it was signed. The sentence says which."""


class KeyUnusable(PortalError):
    """A key is not of the form that keys have."""


class Body(Message):
    """What a receipt says. `version` rises when an older reader would misunderstand it."""

    version: Literal[1] = 1
    code: Code  # under which the portal shows it to anybody
    attempt: Identifier
    submission: int = Field(ge=1)  # its number within the attempt
    content: Digest  # of the tree: of the names and the hashes of all files
    files: dict[str, Digest]  # the SHA-256 of each
    received_at: Second  # UTC
    handed_in_by: Hand
    challenge: Key
    challenge_version: str
    challenge_digest: Digest
    form: Digest | None  # of the form's signature: which variant it was, without saying what is in it
    portal: str  # its address
    key: KeyId  # that signed it

    @model_validator(mode="after")
    def _content_is_that_of_the_files(self) -> "Body":
        if digest_of_hashes(self.files) != self.content:
            raise ValueError("its content is not that of the files it lists")
        return self

    @property
    def received(self) -> datetime:
        return datetime.fromisoformat(self.received_at)

    def spelled(self) -> str:
        """In the one spelling that is signed."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=True, separators=(",", ":"))


class Signed(Message):
    """A receipt as a document."""

    receipt: Body
    signature: str = Field(max_length=100)  # base64

    def document(self) -> str:
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=True, indent=2) + "\n"


class Signer:
    """The portal's key. `seed` is 64 hexadecimal digits."""

    def __init__(self, seed: str) -> None:
        if not re.fullmatch("[0-9a-fA-F]{64}", seed):
            raise KeyUnusable("ASSAY_RECEIPT_KEY: is not 64 hexadecimal digits: make one with `openssl rand -hex 32`")
        self._private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))

    @property
    def public_key(self) -> str:
        """What everybody may know, as 64 hexadecimal digits."""
        return self._private.public_key().public_bytes_raw().hex()

    @property
    def key_id(self) -> str:
        return key_id(self.public_key)

    def sign(self, body: Body) -> Signed:
        signature = self._private.sign(MARK + body.spelled().encode())
        return Signed(receipt=body, signature=base64.b64encode(signature).decode())


def key_id(public_key: str) -> str:
    """Which key it is, in few letters. Two keys of one id nobody makes by chance; what proves is the signature."""
    return hashlib.sha256(_public(public_key).public_bytes_raw()).hexdigest()[:16]


def _public(public_key: str) -> Ed25519PublicKey:
    if not re.fullmatch("[0-9a-fA-F]{64}", public_key.strip()):
        raise KeyUnusable("key: is not 64 hexadecimal digits, as `assay receipt key` and /receipts/key give them")
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key.strip()))


def new_code() -> str:
    letters = [secrets.choice(LETTERS) for _ in range(GROUPS * LETTERS_EACH)]
    return "-".join("".join(letters[at : at + LETTERS_EACH]) for at in range(0, len(letters), LETTERS_EACH))


def normal(code: str) -> str:
    """A code as we write it, from what somebody typed."""
    letters = re.sub("[^0-9A-Z]", "", code.upper()).translate(MISREAD)
    return "-".join(letters[at : at + LETTERS_EACH] for at in range(0, len(letters), LETTERS_EACH))


def second(moment: datetime) -> str:
    """Without the fraction, which is dropped and never rounded up: nobody gets a time that had not come."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def digest_of_signature(signature: str | None) -> str | None:
    return None if signature is None else hashlib.sha256(signature.encode()).hexdigest()


# --------------------------------------------------------------------------------------------------------- verifying


def read(text: str | bytes) -> Signed:
    """What somebody says is a receipt. That it can be read says nothing about whether it is valid."""
    if len(text) > MOST_CHARACTERS:
        raise NotValid("This is far longer than any receipt.")
    try:
        clean = (text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")).strip()
    except UnicodeDecodeError:
        raise NotValid("This is not a receipt: it is not text.") from None
    if not clean.startswith("{"):
        raise NotValid("This is not a receipt: a receipt is a JSON document that begins with { and ends with }.")
    try:
        signed = Signed.model_validate_json(clean)
        json.loads(clean, object_pairs_hook=_once)  # after the shape is known: nothing in it is nested deeply
    except ValidationError as error:
        raise NotValid(f"This is not a receipt of ours, or not all of it: {first_fault(error)}.") from None
    except ValueError as error:
        raise NotValid(f"This is not a receipt of ours: {error}.") from None
    return signed


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands there twice is read by some programs in its first meaning and by others in its last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def verify(text: str | bytes, public_key: str) -> Body:
    """What the receipt says, if the owner of this key signed exactly that; otherwise NotValid, with the reason."""
    public, key = _public(public_key), key_id(public_key)
    signed = read(text)
    try:
        signature = base64.b64decode(signed.signature, validate=True)
        public.verify(signature, MARK + signed.receipt.spelled().encode())
    except (InvalidSignature, binascii.Error):
        if signed.receipt.key != key:
            raise NotValid(f"It says that key {signed.receipt.key} signed it, and this is key {key}.") from None
        raise NotValid("The signature does not fit: something in it was changed after it was signed.") from None
    if signed.receipt.key != key:
        raise NotValid(f"It was signed by key {key} and says that it was {signed.receipt.key}.")
    return signed.receipt


class Difference(Message):
    """What sets files apart from those of a receipt."""

    missing: tuple[str, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def is_none(self) -> bool:
        return not (self.missing or self.added or self.changed)


def compare(body: Body, files: dict[str, bytes]) -> Difference:
    """These files, against those that were handed in."""
    found = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return Difference(
        missing=tuple(sorted(body.files.keys() - found.keys())),
        added=tuple(sorted(found.keys() - body.files.keys())),
        changed=tuple(sorted(name for name in body.files.keys() & found.keys() if body.files[name] != found[name])),
    )
