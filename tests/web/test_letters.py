"""Letters go out: once, to a real mail server that fails in every way that servers do."""

import logging
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from tests.web.mail_server import USER, MailServer
from tests.web.worker_process import until
from web import letters
from web.database import Database, connect, now
from web.models import Letter
from web.portal import make_secrets
from web.postman import MailMisconfigured, Postman, way_of
from web.settings import PROJECT, DatabaseSettings, MailSettings, PortalSettings

ADA = "ada@example.org"
LINK = "http://portal.example/a/secret-token"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


def settings(url: str, sender: str = "Assay <hello@assay.example>") -> MailSettings:
    return MailSettings(_env_file=None, mail_url=SecretStr(url), mail_from=sender)


def postman(database: Database, server: MailServer) -> Postman:
    return Postman(database, way_of(settings(server.url())))


def write(database: Database, recipient: str = ADA, *, body: str = f"Open {LINK}\n", subject: str = "Hello") -> str:
    with database.transaction() as session:
        return letters.write(session, recipient, subject, body).id


def row(database: Database, letter_id: str) -> Letter:
    with database.reading() as session:
        return session.get_one(Letter, letter_id)


def let_time_pass(database: Database, passed: timedelta = timedelta(hours=2)) -> None:
    """The world in which so much time has passed since all letters were written and tried."""
    with database.transaction() as session:
        for letter in session.query(Letter):
            letter.created_at -= passed
            if letter.not_before is not None:
                letter.not_before -= passed


def deliver(post: Postman) -> None:
    while post.deliver():
        pass


# ---------------------------------------------------------------------------------------------------- what arrives


def test_a_letter_arrives_as_it_was_written(database: Database, server: MailServer) -> None:
    body = f"Grüße, Ada:\n\n    {LINK}{'x' * 200}\n\n.\n..two dots, and a line that is alone\nFrom here\n"
    receipt = '{"code": "ünïcode"}\n'
    with database.transaction() as session:
        letter = letters.write(session, ADA, "Ihre Quittung: Fenster zählen", body, ("receipt.json", receipt))
    deliver(postman(database, server))
    (received,) = server.received
    message = received.message
    assert received.recipients == [ADA]
    assert "hello@assay.example" in received.sender
    assert message["Subject"] == "Ihre Quittung: Fenster zählen"
    assert message["From"] == "Assay <hello@assay.example>"
    assert message["Message-ID"] == f"<{letter.id}@assay.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_body()
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == body
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == "receipt.json"
    assert attached.get_content_type() == "application/json"
    assert attached.get_payload(decode=True) == receipt.encode()


def test_a_letter_is_sent_once_and_then_its_keys_are_forgotten(database: Database, server: MailServer) -> None:
    letter = write(database)
    post = postman(database, server)
    deliver(post)
    let_time_pass(database)
    deliver(post)
    assert len(server.received) == 1
    sent = row(database, letter)
    assert sent.sent_at is not None
    assert (sent.body, sent.attachment, sent.failure) == ("", None, None)


def test_a_letter_of_a_transaction_that_fails_is_never_sent(database: Database, server: MailServer) -> None:
    def fail() -> None:
        with database.transaction() as session:
            letters.write(session, ADA, "Hello", "It did not happen.")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    deliver(postman(database, server))
    assert server.received == []


@pytest.mark.parametrize("subject", ["a\nBcc: b@example.org", "a\r\n\r\nanother body"])
def test_a_subject_writes_no_headers_of_its_own(database: Database, server: MailServer, subject: str) -> None:
    write(database, subject=subject)
    deliver(postman(database, server))
    (received,) = server.received
    assert received.message["Bcc"] is None
    assert received.recipients == [ADA]
    body = received.message.get_body()
    assert body is not None
    assert LINK in body.get_content()


@pytest.mark.parametrize("address", ["nobody", "a@b\nBcc: c@example.org", "ä@example.org", "", "<@>", "a b@c d"])
def test_an_address_that_is_none_is_given_up_and_keeps_no_other_waiting(
    database: Database, server: MailServer, address: str
) -> None:
    bad, good = write(database, address), write(database)
    server.says["RCPT"] = ["550 unknown"] if address in ("nobody", "a b@c d", "<@>", "") else []
    post = postman(database, server)
    deliver(post)
    let_time_pass(database)
    deliver(post)
    assert row(database, bad).given_up_at is not None
    assert row(database, good).sent_at is not None
    assert [received.recipients for received in server.received] == [[ADA]]


# --------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("word", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("said", ["450 later", "421 going down"])
def test_what_a_server_cannot_do_now_is_tried_again(
    database: Database, server: MailServer, word: str, said: str
) -> None:
    letter = write(database)
    server.says[word] = [said]
    post = postman(database, server)
    deliver(post)
    assert (server.received, row(database, letter).sent_at) == ([], None)
    assert row(database, letter).not_before is not None
    let_time_pass(database)
    deliver(post)
    assert len(server.received) == 1
    assert row(database, letter).tries == 2


@pytest.mark.parametrize("word", ["RCPT", "DATA", "END"])
def test_what_a_server_refuses_for_good_is_given_up_at_once(
    database: Database, server: MailServer, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    refused, other = write(database), write(database, "grace@example.org")
    server.says[word] = [f"550 {ADA} is unknown here"]
    deliver(postman(database, server))
    let_time_pass(database)
    deliver(postman(database, server))
    given_up = row(database, refused)
    assert given_up.given_up_at is not None
    assert given_up.body == ""
    assert f"{ADA} is unknown" in str(given_up.failure)
    assert [one.recipients for one in server.received] == [["grace@example.org"]]
    assert row(database, other).sent_at is not None
    assert f"letter {refused}: given up after 1 tries: it was refused for good: 550" in caplog.text
    assert "@" not in caplog.text


def test_a_server_that_refuses_us_loses_no_letter(database: Database) -> None:
    """A wrong password is the operator's to mend, and no verdict on a letter."""
    letter = write(database)
    with MailServer(demands_login=True) as server:
        deliver(postman(database, server))
        assert row(database, letter).given_up_at is None
        wrong = Postman(database, way_of(settings(f"smtp://{USER}:wrong@127.0.0.1:{server.port}")))
        let_time_pass(database)
        deliver(wrong)
        assert row(database, letter).given_up_at is None
        let_time_pass(database)
        deliver(Postman(database, way_of(settings(server.url(login=True)))))
        assert [received.user for received in server.received] == [USER]


def test_a_server_that_hangs_up_after_the_letter_gets_it_again_under_the_same_id(
    database: Database, server: MailServer
) -> None:
    letter = write(database)
    server.hangs_up = 1
    post = postman(database, server)
    deliver(post)
    assert row(database, letter).sent_at is None
    let_time_pass(database)
    deliver(post)
    assert row(database, letter).sent_at is not None
    first, second = (received.message for received in server.received)
    assert first["Message-ID"] == second["Message-ID"] == f"<{letter}@assay.example>"
    assert first.get_payload() == second.get_payload()


def test_one_broken_connection_keeps_the_next_letter_no_longer(database: Database, server: MailServer) -> None:
    first, second = write(database), write(database, "grace@example.org")
    server.hangs_up = 1
    deliver(postman(database, server))
    assert row(database, first).sent_at is None
    assert row(database, second).sent_at is not None


def test_the_pauses_between_tries_grow_and_after_a_day_a_letter_is_given_up(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    letter = write(database)
    with MailServer() as gone:
        url = gone.url()
    post = Postman(database, way_of(settings(url)))
    pauses = []
    for _ in range(4):
        deliver(post)
        tried = row(database, letter)
        with database.reading() as session:
            assert tried.not_before is not None
            pauses.append((tried.not_before - now(session)).total_seconds())
        let_time_pass(database)
    assert pauses == sorted(pauses)
    assert pauses[0] <= 5
    let_time_pass(database, timedelta(days=1))
    deliver(post)
    assert row(database, letter).given_up_at is not None
    assert f"letter {letter}: given up after 5 tries: a day of trying is over" in caplog.text
    assert "@" not in caplog.text
    deliver(post)
    assert row(database, letter).tries == 5


def test_a_letter_of_a_postman_that_died_is_sent_when_its_lease_is_over(database: Database, server: MailServer) -> None:
    letter = write(database)
    with database.transaction() as session:
        assert [one.id for one in letters.take(session, 5)] == [letter]
    post = postman(database, server)
    deliver(post)
    assert server.received == []  # somebody may have it
    let_time_pass(database)
    deliver(post)
    assert len(server.received) == 1


def test_two_postmen_never_carry_the_same_letter(database: Database, server: MailServer) -> None:
    written = [write(database) for _ in range(30)]
    both = [threading.Thread(target=deliver, args=(postman(database, server),)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    ids = [str(received.message["Message-ID"]).strip("<").partition("@")[0] for received in server.received]
    assert sorted(ids) == sorted(written)


# ------------------------------------------------------------------------------------------------- beside the clock


def test_a_server_that_says_nothing_does_not_keep_the_clock(database: Database) -> None:
    letter = write(database)
    with MailServer(silent=threading.Event()) as server:
        post = postman(database, server)
        assert server.silent is not None
        post.turn()
        assert server.reached.wait(30)
        for _ in range(50):
            post.turn()  # returns, although the server has not answered and will not
        assert row(database, letter).sent_at is None
        server.silent.set()
        until(lambda: row(database, letter).sent_at is not None)
        post.stop()


def test_a_postman_that_is_stopped_lets_the_letter_on_its_way_arrive(database: Database) -> None:
    written = [write(database) for _ in range(3)]
    with MailServer(silent=threading.Event()) as server:
        post = postman(database, server)
        assert server.silent is not None
        post.turn()
        assert server.reached.wait(30)
        stopped = threading.Thread(target=post.stop)
        stopped.start()
        until(post._stopping.is_set)
        server.silent.set()
        stopped.join()
        assert len(server.received) == 1
    sent = [row(database, letter) for letter in written]
    assert [letter.sent_at is not None for letter in sent] == [True, False, False]
    assert [letter.not_before for letter in sent[1:]] == [None, None]  # whoever comes next need not wait for a lease


@pytest.mark.usefixtures("valkey")
def test_the_clocks_process_sends(
    tmp_path: Path, new_sqlite: Callable[[Path], DatabaseSettings], server: MailServer
) -> None:
    where = new_sqlite(tmp_path)
    make_secrets(PortalSettings(_env_file=None), where)
    database = connect(where)
    letter = write(database)
    outside = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    given = {"ASSAY_STATE": str(tmp_path), "ASSAY_MAIL_URL": server.url()}
    clock = subprocess.Popen(
        [sys.executable, "-m", "web.cli", "worker", "clock"],
        cwd=PROJECT, env=outside | given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until(lambda: row(database, letter).sent_at is not None)
    finally:
        clock.terminate()
        _, said = clock.communicate(timeout=30)
        database.close()
    assert clock.returncode == 0, said
    assert ADA not in said
    assert "secret-token" not in said


def test_without_a_server_a_letter_is_printed_for_a_person_to_use(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    letter = write(database)
    deliver(Postman(database, way_of(settings(""))))
    assert [record.message for record in caplog.records] == [f"letter to {ADA}: Hello", f"  | Open {LINK}"]
    assert row(database, letter).sent_at is not None


# -------------------------------------------------------------------------------------------------------- encryption


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the host 127.1, which is this machine by a name that nobody takes for it; and believed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("127.1")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "mail.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return file


def test_a_server_elsewhere_gets_letters_and_password_encrypted(database: Database, certificate: Path) -> None:
    write(database)
    with MailServer(certificate=certificate, demands_login=True) as server:
        deliver(Postman(database, way_of(settings(server.url("127.1", login=True)))))
        assert [(received.encrypted, received.user) for received in server.received] == [(True, USER)]
        before = server.heard[: server.heard.index("STARTTLS")]
        assert [line.split(" ")[0].upper() for line in before] == ["EHLO"]


def test_a_server_elsewhere_that_offers_no_encryption_hears_neither_letter_nor_password(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """An attacker on the way can take the offer out of its greeting."""
    letter = write(database)
    with MailServer() as server:
        deliver(Postman(database, way_of(settings(server.url("127.1", login=True)))))
        assert server.received == []
        assert {line.split(" ")[0].upper() for line in server.heard} <= {"EHLO", "QUIT"}
    assert row(database, letter).given_up_at is None
    assert "SMTPNotSupportedError" in caplog.text


def test_a_server_with_another_hosts_certificate_gets_nothing(
    database: Database, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", ssl.get_default_verify_paths().openssl_cafile)
    write(database)
    with MailServer(certificate=certificate) as server:
        deliver(Postman(database, way_of(settings(server.url("127.1", login=True)))))
        assert server.received == []
        assert not any(line.startswith("AUTH") for line in server.heard)


@pytest.mark.parametrize(
    "url", ["mail.example", "http://mail.example", "smtp://", "smtp://host:port", "smtp://[::1", "smtp://host:99999"]
)
def test_an_address_that_is_no_mail_server_is_a_sentence(url: str) -> None:
    with pytest.raises(MailMisconfigured, match="ASSAY_MAIL_URL"):
        way_of(settings(url))


@pytest.mark.parametrize("sender", ["", "Assay", "Assay <assay>", "a@b.example\nBcc: c@d.example"])
def test_a_sender_that_is_none_is_a_sentence(sender: str) -> None:
    with pytest.raises(MailMisconfigured, match="ASSAY_MAIL_FROM"):
        way_of(settings("smtp://mail.example", sender))
