"""A simulated, metered provider of models: OpenAI's protocol on a socket, a bill, and no model behind it.

    setup = Setup(secret=form.derive("answers"), key="sk-sim-1", lexicon=world.lexicon, budget=2 * DOLLAR)
    with serving(setup, path=folder / "model.sock", clock=StillClock()) as gateway:
        with driver.serving(command, submission, sandbox, gateways={8001: gateway.path}, environment={...}) as server:
            ...
        gateway.freeze()
        rows = gateway.rows()

Stands on the standard library alone and imports nothing around it, so that the folder can be copied: candidates get it
to practise with, and start it with `python -m simgate`. What they read there holds no answers; chance and words of a
grading come from its Setup.
"""

from pathlib import Path
from typing import Final

from . import simtok
from .brains.competence import Fact, Item
from .brains.embedding import Embedding
from .brains.lexicon import Lexicon
from .brains.reader import Reader, Reading
from .clock import Clock, RealClock, StillClock
from .gateway import Gateway, SimgateFailed, serving
from .ledger import Row, Spending, repeatable
from .limits import Incident
from .prices import CARD, Model, PriceChange, in_dollars, perturbed
from .seeds import Seed
from .setup import Setup

__all__ = [
    "CARD",
    "DOLLAR",
    "Clock",
    "Embedding",
    "Fact",
    "Gateway",
    "Incident",
    "Item",
    "Lexicon",
    "Model",
    "PriceChange",
    "Reader",
    "Reading",
    "RealClock",
    "Row",
    "Seed",
    "Setup",
    "SimgateFailed",
    "Spending",
    "StillClock",
    "in_dollars",
    "perturbed",
    "practice_copy",
    "repeatable",
    "serving",
    "simtok",
]

DOLLAR: Final = 10**9  # nano-dollars


def practice_copy(setup: Setup, folder: str = "simgate") -> dict[str, bytes]:
    """This package as files of a candidate's bundle, with what it is set up with beside it.

    All of it is read by the candidate: `setup` is one of its own, with a secret that is used nowhere else, the lexicon
    of the world to practise in, and no item of a grading.
    """
    here = Path(__file__).parent
    files = {f"{folder}/{path.relative_to(here)}": path.read_bytes() for path in sorted(here.rglob("*.py"))}
    return {**files, f"{folder}/setup.json": setup.as_json().encode()}
