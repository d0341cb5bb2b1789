"""A server that speaks what is not HTTP, or too much of it. GET /honest is answered well."""

import os
import socket
import sys
import threading
import time

OK = b"HTTP/1.1 200 OK\r\n"
SAYINGS = {
    "honest": OK + b"Content-Length: 6\r\n\r\nhonest",
    "nothing": b"",
    "garbage": b"\xff\x00\x1b[2Jgarbage" * 1000,
    "almost": b"HTTP/",
    "old": b"HTTP/0.9 200 OK\r\n\r\n",
    "new": b"HTTP/2.0 200 OK\r\n\r\n",
    "status": b"HTTP/1.1 999 OK\r\n\r\n",
    "minus": b"HTTP/1.1 -20 OK\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "no colon": OK + b"nonsense\r\n\r\n",
    "folded": OK + b"A: b\r\n c: d\r\n\r\n",
    "control": OK + b"A: \x1b[2J\x00\r\n\r\n",
    "half": OK + b"Content-Length: 100\r\n\r\nhalf",
    "negative": OK + b"Content-Length: -1\r\n\r\nx",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "unicode length": OK + "Content-Length: \u0661\r\n\r\nx".encode(),
    "huge length": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nx",
    "gzip": OK + b"Transfer-Encoding: gzip\r\n\r\nx",
    "no chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "half a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\nx",
    "huge chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\nx",
    "long chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 5000 + b"\r\n",
    "many headers": OK + b"A: b\r\n" * 500 + b"\r\n",
}
ENDLESS = {
    "body": (OK + b"\r\n", b"x" * 65536),
    "headers": (OK, b"A: b\r\n" * 1000),
    "header": (OK + b"A: ", b"b" * 65536),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1000),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 1000),
    "drops": (OK + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "silence": (b"", b""),
}
eaten = []


def serve(connection):
    with connection:
        way = connection.recv(65536).split(b" ")[1].decode().strip("/").replace("%20", " ")
        if way == "die":
            os._exit(0)
        if way == "memory":
            while True:
                eaten.append(bytearray(os.urandom(1 << 16)) * 256)
        if way == "stop":
            os.kill(os.getpid(), 19)
        if way in SAYINGS:
            connection.sendall(SAYINGS[way])
            connection.shutdown(socket.SHUT_WR)
            return
        first, more = ENDLESS[way]
        try:
            connection.sendall(first)
            while True:
                connection.sendall(more)
                if len(more) < 2:
                    time.sleep(0.05)
        except OSError:
            pass


if len(sys.argv) > 1:  # never gets ready
    SAYINGS[""] = SAYINGS.get(sys.argv[1], b"")
    ENDLESS[""] = ENDLESS.get(sys.argv[1], (b"", b""))
    if sys.argv[1] in ENDLESS:
        del SAYINGS[""]
else:
    SAYINGS[""] = SAYINGS["honest"]
listening = socket.create_server(("127.0.0.1", 8000), backlog=64)
while True:
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
