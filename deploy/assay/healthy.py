"""Is this container's process at work? Compose asks every few seconds: `healthy.py web`, or a worker's kind.

The portal has to answer; a worker or the clock has to have said in the queue, just now, that it is there. This is a
program of its own, because the command line takes longer to import than all of this takes.
"""

import os
import socket
import sys
from pathlib import Path
from urllib.request import urlopen

import redis


def main(kind: str) -> str | None:
    """None, or what is wrong."""
    if kind == "web":
        urlopen("http://127.0.0.1:8000/healthz", timeout=4).close()
        return None
    url = Path(os.environ["ASSAY_REDIS_URL_FILE"]).read_text().strip()
    queue: redis.Redis = redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2, decode_responses=True)
    if kind == "clock":
        return None if queue.exists("assay:clock") else "the clock has not turned for a minute"
    ours = f"rq:worker:{kind}-{socket.gethostname()}-"
    names = [str(name) for name in queue.smembers(f"rq:workers:assay-{kind}")]
    alive = [name for name in names if name.startswith(ours) and queue.exists(name)]
    return None if alive else f"the {kind} worker of this container has not spoken for some seconds"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
