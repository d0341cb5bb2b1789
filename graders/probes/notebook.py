"""In the room: runs the cells of a notebook in a kernel, and says of each what came of it.

The order is {"id", "cells", "names", "cell_seconds", "most_text", "most_value", "shell", "teller"}: `cells`
are [number, source], `names` the variables that are asked for at the end. `shell` and `teller` are the texts of
shell.py and values.py, which run in the kernel: before the cells, and to say a value.

What is said are lines with the order's id and one of: "began", a number; "ran", [number, text, error]; "value", [name,
JSON text]; "missing", [name, reason]; "done", the reason why it stopped early. Nothing else of the notebook leaves: no
picture, no HTML, no widget, and no more text than was ordered.
"""

import ast
import asyncio
import json
import logging
import os
import subprocess
import tempfile
import time
from queue import Empty
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete, CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook

TYPE_CHECKING = False
if TYPE_CHECKING:
    ORDER = b""

VALUE_SECONDS = 5.0  # or as long as a cell, if that is less
MOST_A_CELL = 4000  # characters of text


class Client(NotebookClient):
    """Keeps the beginning of what a cell says as text, and nothing else of its outputs, however many there are."""

    text = ""

    def process_message(self, msg: dict[str, Any], *_: Any) -> None:
        kind, content = msg["msg_type"], msg["content"]
        if kind == "status" and content["execution_state"] == "idle":
            raise CellExecutionComplete
        if kind == "stream":
            self.keep(content["text"])
        elif kind in ("display_data", "execute_result"):
            for form, shape in content["data"].items():
                self.keep(f"{shape}\n" if form == "text/plain" else f"[{form}, {len(shape)} characters, not kept]\n")

    def keep(self, piece: str) -> None:
        self.text += piece[: MOST_A_CELL - len(self.text)]


class Teller:
    """Writes lines for those outside, where the kernel, which has no descriptor of this, cannot."""

    def __init__(self, nonce: str, most_text: int) -> None:
        self.nonce = nonce
        self.text_left = most_text
        self.descriptor = os.dup(1)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)

    def say(self, kind: str, what: Any) -> None:
        line = json.dumps({"id": self.nonce, kind: what}, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
        while line:
            line = line[os.write(self.descriptor, line) :]

    def ran(self, number: int, text: str, error: str) -> None:
        kept = [readable(text), readable(error[:500])]
        size = len(json.dumps(kept))
        if size > self.text_left:
            kept, size = ["", kept[1][:100]], 0
        self.text_left -= size
        self.say("ran", [number, *kept])


def readable(text: str) -> str:
    """Colours and other commands to terminals are no text; half of a surrogate pair is none either."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in text)


async def run_cells(client: Client, order: dict[str, Any], teller: Teller) -> tuple[str, bool]:
    """Why it stopped early, and whether the kernel can still be asked."""
    for index, (number, _) in enumerate(order["cells"]):
        teller.say("began", number)
        client.text = error = ""
        alive = True
        try:
            await client.async_execute_cell(client.nb.cells[index], index)
        except CellExecutionError as raised:
            error = f"{raised.ename}: {raised.evalue}"
        except CellTimeoutError:
            error, alive = f"it did not end in {order['cell_seconds']:g} s", False
        except DeadKernelError:
            error, alive = "it ended the kernel", False
        teller.ran(number, client.text, error)
        if error:
            return f"cell {number}: {readable(error[:500])}", alive
    return "", True


async def ask_for(client: Client, name: str, order: dict[str, Any], teller: Teller) -> bool:
    """Have the kernel say one value. Whether it can still be asked."""
    expression = (
        f"(lambda space: (__import__('builtins').exec({order['teller']!r}, space), space['told']({name}))[1])"
        "({'__name__': 'values'})"
    )
    asked = client.kc.execute("", silent=True, store_history=False, user_expressions={"value": expression})
    patience = min(VALUE_SECONDS, order["cell_seconds"])
    deadline = time.monotonic() + patience
    try:
        reply = await client.kc.shell_channel.get_msg(timeout=patience)
        while reply["parent_header"].get("msg_id") != asked:
            reply = await client.kc.shell_channel.get_msg(timeout=max(0.0, deadline - time.monotonic()))
    except Empty:
        teller.say("missing", [name, f"the kernel did not say it in {patience:g} s"])
        return False
    said = reply["content"].get("user_expressions", {}).get("value", {"status": "error"})
    spelled = said.get("data", {}).get("text/plain", "")
    if said["status"] != "ok":
        reason = f"{said.get('ename', 'the kernel')}: {said.get('evalue', 'did not say it')}"
        teller.say("missing", [name, readable(reason[:300])])
    elif len(spelled.encode(errors="replace")) > order["most_value"]:
        teller.say("missing", [name, f"it is longer than {order['most_value']} bytes"])
    else:
        # Half of a surrogate pair becomes JSON's escape of it, for those outside to refuse.
        teller.say("value", [name, ast.literal_eval(spelled).encode(errors="backslashreplace").decode()])
    return True


async def run(order: dict[str, Any], teller: Teller) -> None:
    notebook = new_notebook(cells=[new_code_cell(source) for _, source in order["cells"]])
    client = Client(
        notebook,
        # No port that the notebook's own servers could want, and no files among the candidate's.
        km=AsyncKernelManager(transport="ipc", ip=os.path.join(tempfile.mkdtemp(), "kernel")),
        timeout_func=lambda _: order["cell_seconds"],  # `timeout` itself takes whole seconds only
        store_widget_state=False,
        coalesce_streams=False,
    )
    async with client.async_setup_kernel(cwd=os.getcwd(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        prelude = f"exec({order['shell']!r}, {{'__name__': '__main__', 'KERNEL': get_ipython()}})"
        client.kc.execute(prelude, silent=True, store_history=False)
        stopped, alive = await run_cells(client, order, teller)
        for name in order["names"]:
            alive = alive and await ask_for(client, name, order, teller)
        teller.say("done", stopped)
        os._exit(0)  # the warden ends the kernel faster than it would end itself


def main(line: bytes) -> None:
    order = json.loads(line)
    teller = Teller(order["id"], order["most_text"])
    logging.disable()
    asyncio.run(run(order, teller))


if __name__ == "__main__":
    main(ORDER)
