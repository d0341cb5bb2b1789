"""Starts the practice copy: python -m simgate [--port 8001 | --socket PATH] [--setup FILE] [--still]"""

import argparse
import signal
import sys
import threading
from pathlib import Path

from . import RealClock, Setup, StillClock, in_dollars, serving


def main() -> int:
    parser = argparse.ArgumentParser(prog="simgate", description="A simulated provider of models, to practise with.")
    parser.add_argument("--setup", type=Path, default=Path(__file__).parent / "setup.json", help="what it knows")
    parser.add_argument("--port", type=int, default=8001, help="on 127.0.0.1")
    parser.add_argument("--socket", type=Path, help="a unix socket instead")
    parser.add_argument("--still", action="store_true", help="answer at once, without any latency")
    told = parser.parse_args()
    try:
        setup = Setup.loads(told.setup.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        parser.error(f"{told.setup}: {error}")
    clock = StillClock() if told.still else RealClock()
    try:
        with serving(setup, path=told.socket, port=told.port, clock=clock) as gateway:
            where = f"{told.socket}" if told.socket else f"export OPENAI_BASE_URL={gateway.base_url}"
            sys.stdout.write(f"{where}\nexport OPENAI_API_KEY={setup.key}\n")
            sys.stdout.flush()
            told_to_stop = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs begin with SIGINT ignored
                signal.signal(number, lambda *_: told_to_stop.set())
            told_to_stop.wait()
            sys.stdout.write(f"spent {in_dollars(gateway.spending().spent)} USD\n")
    except OSError as error:
        sys.stderr.write(f"simgate: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
