"""The commands of ragdesk.

python -m ragdesk ingest --corpus DIR --index DIR [--incremental]
python -m ragdesk serve --index DIR --port 8080
python -m ragdesk evaluate --index DIR [--queries FILE]
python -m ragdesk metrics --index DIR [--out FILE]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from . import settings
from .desk import Desk
from .evaluate import evaluate, read_queries
from .ingest import run
from .models import connect
from .monitor import QUERY_LOG, alerts, hourly, read_log, write_metrics
from .server import serve

HERE = Path(__file__).resolve().parent.parent  # where config.toml lies


def main(arguments: Sequence[str] | None = None) -> int:
    told = _parser().parse_args(arguments)
    configured = settings.load(HERE)
    if told.command == "metrics":
        hours = hourly(read_log(told.index / QUERY_LOG))
        write_metrics(told.out, hours)
        for one in alerts(hours, configured.monitoring):
            _say(f"ALERT {one.hour}: {one.metric} is {one.value}, and usually {one.usual}")
        return 0
    models = connect(configured.models)
    if told.command == "ingest":
        counts = run(configured, told.corpus, told.index, models, incremental=told.incremental)
        _say(json.dumps(counts))
        return 0
    desk = Desk(configured, told.index, models)
    if told.command == "evaluate":
        _say(json.dumps(evaluate(desk, read_queries(told.queries))))
    else:
        serve(desk, told.port)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ragdesk", description="Answers questions from documents.")
    commands = parser.add_subparsers(dest="command", required=True)
    ingest = commands.add_parser("ingest", help="make an index from a folder of documents")
    ingest.add_argument("--corpus", type=Path, required=True)
    ingest.add_argument("--incremental", action="store_true", help="read only what has changed")
    serving = commands.add_parser("serve", help="answer over HTTP")
    serving.add_argument("--port", type=int, default=8080)
    evaluating = commands.add_parser("evaluate", help="ask questions whose answers are known")
    evaluating.add_argument("--queries", type=Path, default=Path("data/dev/queries.jsonl"))
    counting = commands.add_parser("metrics", help="numbers by the hour from the query log, and alerts")
    counting.add_argument("--out", type=Path, default=Path("metrics.csv"))
    for command in (ingest, serving, evaluating, counting):
        command.add_argument("--index", type=Path, required=True)
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
