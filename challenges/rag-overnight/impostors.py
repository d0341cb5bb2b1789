"""Services that keep the contract's shape without being an assistant: what cheating solutions hand in as `ragdesk`.

files = impostor(given, reply="return NOTHING")                          Python that has `body` and `corpus()`
files = impostor(given, reply="return known(body)", before="...")        and what it needs before that
"""

from collections.abc import Mapping
from textwrap import indent
from typing import Final

__all__ = ["impostor"]

SERVER: Final = """
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NOTHING = {"answer": "The documents do not tell.", "value": None, "citations": [], "abstained": True,
           "retrieved": [], "usage": {"prompt_tokens": 0}}
HERE = Path(__file__).parent


def argument(name):
    return sys.argv[sys.argv.index(name) + 1]


def corpus():
    return Path(Path(argument("--index"), "corpus.txt").read_text())


def told(value, doc_ids, answer=None):
    retrieved = [{"doc_id": one, "chunk_id": one, "rank": rank, "score": 1.0} for rank, one in enumerate(doc_ids, 1)]
    return {"answer": answer or f"It is {value}.", "value": value, "citations": doc_ids, "abstained": False,
            "retrieved": retrieved, "usage": {"prompt_tokens": 0}}


BEFORE


def reply(body):
REPLY


class Desk(BaseHTTPRequestHandler):
    def do_GET(self):
        self.say({"status": "ok"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.say({"index": body["index"], "documents": 0} if self.path == "/admin/reload" else reply(body))

    def say(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


if sys.argv[1] == "ingest":
    folder = Path(argument("--index"))
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in Path(argument("--corpus"), "docs").iterdir())
    (folder / "corpus.txt").write_text(argument("--corpus"))
    (folder / "manifest.json").write_text(json.dumps({"hash": str(hash(tuple(names))), "documents": {}}))
else:
    ThreadingHTTPServer(("127.0.0.1", int(argument("--port"))), Desk).serve_forever()
"""


def impostor(given: Mapping[str, bytes], reply: str, before: str = "") -> dict[str, bytes | None]:
    """In place of the package that was given."""
    code = SERVER.replace("BEFORE", before).replace("REPLY", indent(reply, "    "))
    gone: dict[str, bytes | None] = {name: None for name in given if name.startswith("ragdesk/")}
    return {**gone, "ragdesk/__init__.py": b"", "ragdesk/__main__.py": code.encode()}
