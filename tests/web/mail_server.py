"""A mail server that really listens, and that fails as a test says.

with MailServer() as server:
    server.says["RCPT"] = ["450 later"]      the next answers to this word, before it is truthful again
    server.hangs_up = 1                      so many letters are taken without a word of thanks
"""

import base64
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Self

USER, PASSWORD = "assay", "p@ss/word"


@dataclass
class Received:
    sender: str
    recipients: list[str]
    message: EmailMessage
    encrypted: bool
    user: str


@dataclass
class MailServer:
    certificate: Path | None = None  # offers STARTTLS with it
    demands_login: bool = False
    says: dict[str, list[str]] = field(default_factory=dict)
    hangs_up: int = 0
    silent: threading.Event | None = None  # says nothing after a letter until this is set
    received: list[Received] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)  # the words of all conversations
    reached: threading.Event = field(default_factory=threading.Event)  # a whole letter was there

    def __enter__(self) -> Self:
        mail = self
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), type("Talk", (_Talk,), {"mail": mail}))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.silent is not None:
            self.silent.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, host: str = "127.0.0.1", *, login: bool = False) -> str:
        return f"smtp://{USER}:p%40ss%2Fword@{host}:{self.port}" if login else f"smtp://{host}:{self.port}"


class _Talk(socketserver.StreamRequestHandler):
    mail: MailServer

    def setup(self) -> None:
        super().setup()
        self.encrypted, self.user = False, ""
        self.sender, self.recipients = "", list[str]()

    def handle(self) -> None:
        self.say("220 here")
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            word = line.split(" ")[0].upper()
            self.mail.heard.append(line)
            planned = self.mail.says.get(word, [])
            if planned:
                said = planned.pop(0)
                self.say(said)
                if said.startswith("421"):
                    return
            elif not self.answer(word, line):
                return

    def answer(self, word: str, line: str) -> bool:
        mail = self.mail
        match word:
            case "EHLO":
                offers = ["8BITMIME", "AUTH PLAIN"]
                offers += ["STARTTLS"] if mail.certificate and not self.encrypted else []
                self.say("\r\n".join([*(f"250-{offer}" for offer in offers), "250 SIZE 1000000"]))
            case "STARTTLS" if mail.certificate:
                self.say("220 begin")
                self.encrypt(mail.certificate)
            case "AUTH":
                _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                if (user, password) == (USER, PASSWORD):
                    self.user = user
                    self.say("235 welcome")
                else:
                    self.say("535 who are you")
            case "MAIL" if mail.demands_login and not self.user:
                self.say("530 sign in first")
            case "MAIL":
                self.sender, self.recipients = line, []
                self.say("250 ok")
            case "RCPT":
                self.recipients.append(line.partition("<")[2].partition(">")[0])
                self.say("250 ok")
            case "DATA":
                self.say("354 go on")
                return self.take()
            case "RSET" | "NOOP":
                self.say("250 ok")
            case "QUIT":
                self.say("221 bye")
                return False
            case _:
                self.say("502 what")
        return True

    def take(self) -> bool:
        mail, lines = self.mail, list[bytes]()
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        late = mail.says.get("END", [])
        if late:
            self.say(late.pop(0))
            return True
        mail.received.append(Received(self.sender, self.recipients, message, self.encrypted, self.user))
        mail.reached.set()
        if mail.silent is not None:
            mail.silent.wait()
        if mail.hangs_up:
            mail.hangs_up -= 1
            return False
        self.say("250 taken")
        return True

    def encrypt(self, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        try:
            self.request = context.wrap_socket(self.connection, server_side=True)
        except ssl.SSLError:
            return  # the client does not believe our certificate
        self.connection = self.request
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self.encrypted = True

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def say(self, line: str) -> None:
        try:
            self.wfile.write(f"{line}\r\n".encode())
        except OSError:
            return
