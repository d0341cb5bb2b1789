"""Carries letters to a mail server, beside the clock and never in its way.

The clock calls `turn`, which wakes a thread and returns. The thread takes a few letters, sends each, and writes down
what became of it before it sends the next. A server is believed when it says that it has taken a letter, or that it
never will; all else is tried again. Where no server is named, letters are printed into the log, for a person on this
machine to use.
"""

import logging
import smtplib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import partial
from ipaddress import ip_address
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from sqlalchemy.orm import Session

from web import letters
from web.database import Database, DatabaseUnavailable
from web.errors import PortalError
from web.letters import Outcome, Way
from web.models import Letter
from web.relay import Turn
from web.secrecy import given
from web.settings import MailSettings

__all__ = ["MailMisconfigured", "Postman", "way_of"]

log = logging.getLogger(__name__)

FEW: Final = 5  # letters that are taken at a time
ANSWER_SECONDS: Final = 10.0  # until a mail server that says nothing counts as away
STOP_SECONDS: Final = 8.0  # that a letter on its way gets when the clock stops
TROUBLED_SECONDS: Final = 1.0
PORTS: Final = {"smtp": 587, "smtps": 465}


class MailMisconfigured(PortalError):
    """ASSAY_MAIL_URL or ASSAY_MAIL_FROM cannot be used. The operator's to solve."""


Send = Callable[[Letter], Outcome]


class Carrier(Protocol):
    """How letters leave."""

    @contextmanager
    def round(self) -> Iterator[Send]:
        """Raises nothing: whatever goes wrong is the outcome of a letter."""


def way_of(settings: MailSettings) -> Carrier:
    url = given("MAIL_URL", settings.mail_url, settings.mail_url_file)
    return MailServer.read(url, settings.mail_from) if url else Printed()


class Postman:
    def __init__(self, database: Database, carrier: Carrier) -> None:
        self._database = database
        self._carrier = carrier
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def turn(self) -> Turn:
        """Let what waits be sent, without waiting for it."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="postman", daemon=True)
            self._thread.start()
        self._wanted.set()
        return Turn()

    def stop(self) -> None:
        """Let the letter that is on its way arrive; the others stay where they are."""
        self._stopping.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wanted.wait()
            self._wanted.clear()
            try:
                while not self._stopping.is_set() and self.deliver():
                    pass
            except DatabaseUnavailable:
                self._stopping.wait(TROUBLED_SECONDS)  # the clock says so

    def deliver(self) -> int:
        """A few of the letters that wait; how many were tried."""
        with self._database.reading() as session:
            if not letters.are_due(session):
                return 0
        with self._database.transaction() as session:
            taken = letters.take(session, FEW)
        tried = 0
        with self._carrier.round() as send:
            for letter in taken:
                if self._stopping.is_set():
                    self._write_down(partial(letters.give_back, letter_id=letter.id))
                    continue
                outcome = send(letter)
                tried += 1
                if outcome.way is not Way.SENT:
                    log.warning("letter %s: is not sent: %s", letter.id, outcome.cause)
                self._write_down(partial(letters.settle, letter_id=letter.id, outcome=outcome))
        return tried

    def _write_down(self, deed: Callable[[Session], object]) -> None:
        """However long the database is away: a letter that went out and of which nothing is known goes out twice."""
        while True:
            try:
                with self._database.transaction() as session:
                    said = deed(session)
            except DatabaseUnavailable:
                if self._stopping.wait(TROUBLED_SECONDS):
                    raise
            else:
                if said:
                    log.error("%s", said)
                return


# ---------------------------------------------------------------------------------------------------------- printed


class Printed:
    """Into the log, a line for each of the letter's own."""

    @contextmanager
    def round(self) -> Iterator[Send]:
        yield _print


def _print(letter: Letter) -> Outcome:
    log.info("letter to %s: %s", letter.recipient, letter.subject)
    for line in filter(str.strip, letter.body.splitlines()):
        log.info("  | %s", line)
    if letter.attachment_name:
        log.info("  | (with the file %s)", letter.attachment_name)
    return Outcome(Way.SENT)


# ------------------------------------------------------------------------------------------------------------- SMTP


@dataclass(frozen=True)
class MailServer:
    host: str
    port: int
    from_first: bool  # encrypted from the first byte
    user: str
    password: str
    sender: str  # as readers see it
    address: str  # the same, bare

    @classmethod
    def read(cls, url: str, sender: str) -> "MailServer":
        address = parseaddr(sender)[1]
        if "@" not in address or not sender.isprintable():
            raise MailMisconfigured("ASSAY_MAIL_FROM: is no address, such as: Assay <assay@example.org>")
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS[parts.scheme]
        except (ValueError, KeyError):
            raise MailMisconfigured("ASSAY_MAIL_URL: must be smtp://USER:PASSWORD@HOST:PORT, or smtps://...") from None
        if not parts.hostname:
            raise MailMisconfigured("ASSAY_MAIL_URL: names no host")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname, port, parts.scheme == "smtps", user, password, sender, address)

    @contextmanager
    def round(self) -> Iterator[Send]:
        visit = _Visit(self)
        try:
            yield visit.send
        finally:
            visit.leave()

    def open(self) -> smtplib.SMTP:
        """Encrypted, unless the server is on this machine: a letter holds keys, and so does the greeting."""
        if self.from_first:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=ANSWER_SECONDS, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=ANSWER_SECONDS)
        try:
            if not self.from_first and not _is_here(self.host):
                server.starttls(context=ssl.create_default_context())
            if self.user:
                server.login(self.user, self.password)
        except (smtplib.SMTPException, OSError):
            server.close()
            raise
        return server

    def packed(self, letter: Letter) -> EmailMessage:
        """The same bytes each time, with the same Message-ID."""
        message = EmailMessage(policy=policy.SMTP)
        message["From"] = self.sender
        message["To"] = letter.recipient
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(letter.created_at)
        message["Message-ID"] = f"<{letter.id}@{self.address.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # no absence note comes back
        message.set_content(letter.body, cte="quoted-printable")
        if letter.attachment_name and letter.attachment is not None:
            kind = "json" if letter.attachment_name.endswith(".json") else "octet-stream"
            message.add_attachment(
                letter.attachment.encode(), maintype="application", subtype=kind, filename=letter.attachment_name
            )
        return message


class _Visit:
    """One connection for a few letters, and another when it breaks."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._open: smtplib.SMTP | None = None
        self._away: Outcome | None = None

    def send(self, letter: Letter) -> Outcome:
        try:
            message = self._server.packed(letter)
        except (ValueError, IndexError) as error:  # an address that none is; Python's own readers fall over some
            return Outcome(Way.NEVER, str(error), f"cannot be written: {type(error).__name__}")
        if self._away is not None:
            return self._away  # a server that did not answer a moment ago keeps the others waiting only once
        if self._open is not None and self._open.sock is None:
            self._drop()  # the server has said farewell
        try:
            self._open = self._open or self._server.open()
        except (smtplib.SMTPException, OSError) as error:
            self._away = _later(error)
            return self._away
        try:
            if letter.recipient.isascii():
                self._open.sendmail(self._server.address, [letter.recipient], message.as_bytes())
            else:  # knows how to ask for SMTPUTF8; but it would write >From for a line that begins with From
                self._open.send_message(message, self._server.address, [letter.recipient])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            return _refused(code, said, "the recipient")
        except smtplib.SMTPDataError as error:
            return _refused(error.smtp_code, error.smtp_error, "the letter")
        except smtplib.SMTPNotSupportedError as error:
            return Outcome(Way.NEVER, str(error), "the server takes no address with such letters")
        except (ValueError, UnicodeError) as error:
            return Outcome(Way.NEVER, str(error), f"cannot be written: {type(error).__name__}")
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            return _later(error)
        return Outcome(Way.SENT)

    def _drop(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def leave(self) -> None:
        if self._open is None:
            return
        try:
            self._open.quit()
        except (smtplib.SMTPException, OSError):
            self._drop()  # whatever it has taken, it has taken


def _refused(code: int, said: bytes | str, what: str) -> Outcome:
    """4xx is a server that may change its mind, 5xx one that will not."""
    words = said.decode(errors="replace") if isinstance(said, bytes) else said
    return Outcome(Way.NEVER if code >= 500 else Way.LATER, f"{code} {words}", f"{code} of {what}")


def _later(error: smtplib.SMTPException | OSError) -> Outcome:
    code = getattr(error, "smtp_code", "")
    return Outcome(Way.LATER, f"{type(error).__name__}: {error}", f"mail server: {type(error).__name__} {code}".strip())


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
