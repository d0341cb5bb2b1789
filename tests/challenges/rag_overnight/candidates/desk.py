"""The smallest repository that keeps the contract: `ragdesk/__main__.py` of the candidates in these tests.

A document is "name: value", with a tenant in acl.jsonl; a question is the name. WAYS is replaced by a test: it is what
this candidate does in its own way, mostly wrong.
"""

import hashlib
import itertools
import json
import os
import shutil
import sys
import time
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

WAYS: tuple[str, ...] = ()


def ingest(corpus: Path, index: Path, incremental: bool) -> int:
    log = index / "ingests.log"
    first = not log.exists()
    if "ingest floods" in WAYS:
        sys.stdout.write("x" * (8 << 20))
    if "ingest hangs" in WAYS or ("update hangs" in WAYS and incremental):
        time.sleep(600)
    if "update crashes" in WAYS and incremental:
        raise ValueError("bad \x1b[31m corpus")
    rows = [json.loads(line) for line in (corpus / "acl.jsonl").read_text().splitlines()]
    facts = {}
    for row in rows:
        found = corpus / "docs" / f"{row['doc_id']}.md"
        if found.exists():
            name, _, value = found.read_text().partition(": ")
            facts[name] = [value.strip(), row["doc_id"], row["tenant"]]
    embedded(sorted(facts))
    index.mkdir(parents=True, exist_ok=True)
    (index / "facts.json").write_text(json.dumps(facts))
    with log.open("a") as lines:
        lines.write("once more\n")
    digest = hashlib.sha256(json.dumps(sorted(facts.items())).encode()).hexdigest()
    if "counts its ingests" in WAYS:
        digest += log.read_text()
    told = {"hash": "always the same" if "constant hash" in WAYS else digest, "built": time.time_ns()}
    (index / "manifest.json").write_text(json.dumps(told))
    if "deletes the index" in WAYS and not first:
        shutil.rmtree(index)
    return 0


def embedded(texts: list[str]) -> None:
    asked("embeddings", {"model": "embed-s-v2", "input": texts})


def asked(path: str, body: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{os.environ['OPENAI_BASE_URL']}/{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.loads(reply.read())


def happens_first(what: str) -> bool:
    before = Path(what).exists()
    Path(what).touch()
    return not before


class Desk(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    facts: dict[str, list[str]] = {}  # noqa: RUF012  # one for all that are asked
    seen: list[dict[str, Any]] = []  # noqa: RUF012

    @classmethod
    def load(cls, index: str) -> None:
        cls.facts = json.loads((Path(index) / "facts.json").read_text())

    def do_GET(self) -> None:
        self.say({"ok": True})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/admin/reload":
            if "reload fails" in WAYS:
                return self.say({"no": "index"}, 500)
            self.load(body["index"])
            return self.say({"index": body["index"], "documents": len(self.facts)})
        self.seen.append(body)
        number = len(self.seen)
        if "dies" in WAYS or ("dies once" in WAYS and number == 6 and happens_first("died")):
            os._exit(7)
        if "goes deaf once" in WAYS and number == 6 and happens_first("deaf"):
            self.server.server_close()
        if "hangs" in WAYS or ("hangs on one" in WAYS and number == 6):
            time.sleep(600)
        if "asks a model" in WAYS:
            asked("chat/completions", {"model": "swift-2", "messages": [{"role": "user", "content": body["question"]}]})
        if "answers badly" in WAYS:
            return self.answer_badly(number)
        value, document, tenant = self.facts.get(body["question"], [None, "", ""])
        if tenant != body["user"]["tenant"]:
            value = None
        files = [str(one) for one in Path.cwd().rglob("*")] if "tells what it saw" in WAYS and number == 1 else []
        return self.say({"value": value, "citations": [document], "saw": body, "files": files})

    def answer_badly(self, number: int) -> None:
        if number % 3 == 0:
            self.say({"error": "no"}, 500)
        elif number % 3 == 1:
            self.close_connection = True
            self.wfile.write(b"\0" * 100)
        else:
            self.close_connection = True
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(b"[" * (50 << 20))

    def say(self, value: object, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        if "floods" in WAYS:
            sys.stderr.write("x" * (1 << 20))


def main(words: list[str]) -> int:
    given = dict(itertools.pairwise(words))
    if words[0] == "ingest":
        return ingest(Path(given["--corpus"]), Path(given["--index"]), "--incremental" in words)
    if "never ready" in WAYS:
        time.sleep(600)
    Desk.load(given["--index"])
    ThreadingHTTPServer(("127.0.0.1", int(given["--port"])), Desk).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
