"""A probe: carries each question to the abstract unix socket ADDRESS, and one line back.

    lines.py ADDRESS MOST_BYTES

A question is {"seconds", "line"}, the answer {"line"} or {"silence"}, with the reason. It always answers in time.
"""

import json
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from graders.probes.living import anything_runs  # stands before this text when it runs


class Carrier:
    def __init__(self, address: str, most_bytes: int) -> None:
        self.address = address
        self.most_bytes = most_bytes
        self.connection: socket.socket | None = None
        self.silence = ""

    def ask(self, line: str, seconds: float) -> dict[str, str]:
        deadline = time.monotonic() + seconds
        try:
            if not self.silence:
                connection = self.connection = self.connection or self.reached(deadline)
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                connection.sendall(line.encode() + b"\n")
                return {"line": self.read(connection, deadline).decode(errors="replace")}
        except TimeoutError:
            self.silence = f"no answer in {seconds:g} s"
        except OSError as error:
            self.silence = f"no answer: {error.strerror or error}"
        return {"silence": self.silence}

    def reached(self, deadline: float) -> socket.socket:
        """It listens once it has imported what it is to call."""
        while True:
            gone = not anything_runs()
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect("\0" + self.address)
            except ConnectionRefusedError:
                connection.close()
                if gone:
                    raise OSError("it ended before it was asked") from None
                if time.monotonic() >= deadline:
                    raise TimeoutError from None
                time.sleep(0.005)
            else:
                return connection

    def read(self, connection: socket.socket, deadline: float) -> bytes:
        found = bytearray()
        while not found.endswith(b"\n"):
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            piece = connection.recv(1 << 16)
            if not piece:
                raise OSError("it ended")
            found += piece
            if len(found) > self.most_bytes:
                raise OSError(f"more than {self.most_bytes} bytes")
        return bytes(found[:-1])


def main(address: str, most_bytes: str) -> None:
    carrier = Carrier(address, int(most_bytes))
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(carrier.ask(question["line"], question["seconds"]), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
