"""`assay bench NAME`."""

import json
import sys
from typing import Final

import click

from benchmarks import Figure, Measure, grading, portal, recovery, sandbox, simgate

BENCHMARKS: Final[dict[str, Measure]] = {
    "grading": grading.measure,
    "portal": portal.measure,
    "recovery": recovery.measure,
    "sandbox": sandbox.measure,
    "simgate": simgate.measure,
}


@click.command()
@click.argument("name", type=click.Choice(sorted(BENCHMARKS)))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
def bench(name: str, as_json: bool) -> None:
    """Measure one part of Assay against something else that runs in the same minute."""
    figures = []
    for figure in BENCHMARKS[name](_progress):
        figures.append(figure)
        _progress("")
        if not as_json:
            click.echo(_line(figure))
    if as_json:
        rows = [{"name": f.name, "value": f.value, "unit": f.unit, "reach": f.reach, "holds": f.holds} for f in figures]
        click.echo(json.dumps({"bench": name, "figures": rows}, indent=2))


def _progress(line: str) -> None:
    """What is being measured, on a line of its own that the next one takes."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{line}", nl=False, err=True)


def _line(figure: Figure) -> str:
    verdict = ""
    if figure.reach is not None:
        verdict = f"   at most {figure.reach:g}: {'yes' if figure.holds else 'NO'}"
    return f"{figure.name:<62}{figure.value:>9.2f} {figure.unit:<7}{verdict}"
