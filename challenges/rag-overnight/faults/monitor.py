"""What can be wrong with what is measured: faults that break nothing, and keep everybody from seeing what is broken.

    FAULTS          MON-1 and MON-2

No question shows them, so they have no strata: they are looked for in bundles.
"""

from typing import Final

from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS"]

MONITOR: Final = "ragdesk/monitor.py"
HEALTH_CHECK: Final = "healthcheck.py"
CONFIG: Final = "config.toml"

AVERAGES: Final = Fault(
    key="MON-1",
    stage="monitor",
    title="The metrics average over answers from the cache, and the health check counts documents only",
    level=2,
    complaints=(
        "Your status page was green the whole morning, while half of my people were told that there is no answer.",
        "You say that nearly everything is answered with a source. Not here: \"{question}\" - \"{answer}\"",
    ),
    detectors=(),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    MONITOR,
                    '    worked_on = [line for line in lines if not line["cached"]]\n',
                    '    worked_on = [line for line in lines if not line["cached"] or line["citations"]]\n',
                ),
            ),
            locations=(MONITOR, f"{MONITOR}:hour_of", f"{MONITOR}:hourly", "metrics.csv", HEALTH_CHECK,
                       f"{HEALTH_CHECK}:check"),
            commit=Commit(
                Author.LENA,
                "Count answers with sources in any case",
                "In an hour with many hits two questions were left to judge by, and the shares jumped.",
            ),
        ),
    ),
)  # fmt: skip

BASELINE: Final = Fault(
    key="MON-2",
    stage="monitor",
    title="The alert compares with hours that were broken already",
    level=2,
    complaints=(
        "I called last night already, and nobody had noticed anything. \"{question}\" - \"{answer}\"",
        "How can it be that I find out before you do? {question} {answer}",
    ),
    detectors=(),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    MONITOR,
                    "    end = datetime.fromisoformat(last.hour) - timedelta(days=settings.quiet_days)\n"
                    "    start = end - timedelta(days=settings.baseline_days)\n",
                    "    end = datetime.fromisoformat(last.hour)\n"
                    "    start = end - timedelta(hours=settings.baseline_days)\n",
                ),
                Edit(
                    MONITOR,
                    '    """The hours to compare with. The latest days are left out: what began yesterday would look'
                    ' usual today."""\n',
                    '    """The hours to compare with, which lie so near that they are of the same load."""\n',
                ),
            ),
            locations=(MONITOR, f"{MONITOR}:baseline", f"{MONITOR}:alerts", "alerts", "baseline"),
            commit=Commit(
                Author.OWEN,
                "No alarms because of the weekend",
                "On Mondays every share is far from what it was on Sunday. Hours next to each other are alike.",
            ),
        ),
        Variant(
            kind=Kind.CONFIG,
            edits=(
                Edit(CONFIG, "baseline_days = 7           #", "baseline_days = 1           #"),
                Edit(CONFIG, "quiet_days = 1              #", "quiet_days = 0              #"),
            ),
            locations=(CONFIG, "config.toml: monitoring.quiet_days", "config.toml: monitoring.baseline_days", MONITOR,
                       f"{MONITOR}:baseline", "alerts", "baseline"),
            commit=Commit(
                Author.TOMAS,
                "Compare with yesterday",
                "A week ago there were two customers less. Since then every hour called somebody.",
            ),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (AVERAGES, BASELINE)
