"""The machine's clock is set while gradings are under way."""

import shlex
import stat
import subprocess
from pathlib import Path
from typing import Final

import pytest

from benchmarks.rig import until
from tests.crash.plant import ALL, Plant, Work
from web import queue, valkey
from web.machine import find_faketime

pytestmark = [pytest.mark.docker, pytest.mark.crash]

HOUR: Final = 3600
# What libfaketime makes of the system call behind time.sleep is refused by the kernel.
SLEEP: Final = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds)\n"


class Elsewhen(Plant):
    """All of its processes take the time from a file of ours; only this one knows the real time."""

    def __init__(self, state: Path) -> None:
        self.time = state.parent / "time"
        self.set_clock(0)
        library = find_faketime()
        assert library is not None, "libfaketime is not here: `./assay test` installs it"
        self.disguise = [
            "env", f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={self.time}", "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_DISABLE_SHM=1", f"PYTHONPATH={state.parent}",
        ]  # fmt: skip
        (state.parent / "sitecustomize.py").write_text(SLEEP)
        super().__init__(state, prefix=self.disguise)

    def set_clock(self, seconds: int) -> None:
        fresh = self.time.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self.time)

    def _start_queue(self) -> subprocess.Popen[bytes]:
        program = self.state.parent / "valkey-elsewhen"
        program.write_text(f'#!/bin/sh\nexec {shlex.join([*self.disguise, str(valkey.find_program())])} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return valkey.start(self.state / queue.EMBEDDED, program)

    def says(self) -> int:
        """The time that its processes have, against the real one."""
        told = subprocess.run([*self.disguise, "date", "+%s"], capture_output=True, text=True, check=True).stdout
        return int(told) - int(subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True).stdout)


def test_a_clock_that_is_set_forth_and_back_costs_no_grading(tmp_path: Path) -> None:
    running = Elsewhen(tmp_path / "state")
    try:
        running.prepare()
        running.start(*ALL)
        for jump in (HOUR, 0):
            slow = running.accept(Work.SLOW, 2)
            running.accept(Work.RIGHT, 4)
            until(lambda slow=slow: all(running.in_room(one) for one in slow), "a room for each")  # type: ignore[misc]
            running.set_clock(jump)
            assert abs(running.says() - jump) < 60
            running.drain()
        running.assert_nothing_is_lost()
    finally:
        running.close()
