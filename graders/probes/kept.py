"""In the room, served: imports a function of the candidate's once, and calls it for every line that comes.

    kept.py FUNCTION ADDRESS

The lines come over an abstract unix socket, one at a time: the next question is not here before this one is answered.
"""

import socket
import sys
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from graders.probes.functions import Broken, answer, found


def main(place: str, address: str) -> None:
    function: Callable[..., object] | Broken
    try:
        function = found(place)
    except Broken as broken:
        function = broken
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("\0" + address)
    listening.listen()
    with listening.accept()[0].makefile("rwb") as outside:
        for question in outside:
            outside.write(answer(question, function))
            outside.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
