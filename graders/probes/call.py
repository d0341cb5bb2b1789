"""In the room: calls a function of the candidate's once. The order is {"id", "function", "arguments"}.

One line answers it: {"id"} and one of "output", "raised", "refused" and "broken". It leaves through a descriptor of
its own; what the candidate prints goes nowhere.
"""

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from graders.probes.functions import Broken, answer, found

    ORDER = b""


def main(order: bytes) -> None:
    private = os.dup(1)  # not inherited by what the candidate starts
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    try:
        line = answer(order, found(json.loads(order)["function"]))
    except Broken as broken:
        line = answer(order, broken)
    while line:
        line = line[os.write(private, line) :]
    os._exit(0)  # what the candidate registered for the end is not waited for


if __name__ == "__main__":
    main(ORDER)
