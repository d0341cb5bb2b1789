"""The provider of models for one night in a room, and what it was paid.

    with opened(form, "first", lexicon, folder) as models:
        with sandbox.open(..., gateways=models.gateways, environment=models.environment) as room:
            models.enter(Phase.INGEST)
            ...
        usage = models.usage()                      # after the room is gone

What fails in here is ours. It is told as SandboxUnavailable, which no grader turns into a score.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from graders import Form
from graders.simgate import Gateway, Lexicon, Row, Setup, SimgateFailed, StillClock, serving
from sandbox import SandboxUnavailable

from .transcript import Phase, Usage, used

__all__ = ["Models", "opened"]

PORT: Final = 8001
BETWEEN_PHASES: Final = 3600  # seconds of the gateway's own clock, by which its rows are told apart
NANO: Final = 10**9


class Models:
    def __init__(self, gateway: Gateway, path: Path) -> None:
        self.gateways = {PORT: path}
        self.environment = {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{PORT}/v1",
            "OPENAI_API_KEY": gateway.setup.key,
        }
        self._gateway = gateway
        self._entered: list[Phase] = []

    def enter(self, phase: Phase) -> None:
        """What is asked from now on belongs to this phase. No program of the phase before runs any more."""
        self._gateway.advance(BETWEEN_PHASES)
        self._entered.append(phase)

    def usage(self) -> dict[Phase, Usage]:
        self._gateway.freeze()
        return used(self._gateway.rows(), self._phase_of)

    def _phase_of(self, row: Row) -> Phase:
        return self._entered[row.at // (BETWEEN_PHASES * NANO) - 1]


@contextmanager
def opened(form: Form, world: str, lexicon: Mapping[str, Any], folder: Path, budget: int) -> Iterator[Models]:
    """`folder` is one that the engine can mount from, with a short path; `budget` in nano-dollars."""
    setup = Setup(
        secret=form.derive(f"answers of {world}"),
        key=f"sk-{form.derive(f'key of {world}').hex()[:32]}",
        lexicon=Lexicon(**lexicon),
        budget=budget,
    )
    path = folder / "model.sock"
    try:
        with serving(setup, path=path, clock=StillClock()) as gateway:
            yield Models(gateway, path)
    except (SimgateFailed, OSError) as error:  # a room's errors of this kind are SandboxUnavailable already
        raise SandboxUnavailable(f"models: {type(error).__name__}: {error}") from error
