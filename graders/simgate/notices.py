"""What a subject may look up under /sim: prices, time, its budget, and the status page."""

from typing import Any, Final

from .clock import NANO, ORIGIN
from .ledger import Spending
from .limits import Incidents
from .prices import BATCH_DISCOUNT, in_dollars, on_sale
from .setup import Setup

__all__ = ["budget", "pricing", "status", "time"]

STATUS_LAG: Final = 2 * NANO  # of the status page behind what happens: nobody can route by it alone


def pricing(setup: Setup, now: int) -> dict[str, Any]:
    """In dollars for a million tokens. Abilities are not told: they are to be found out."""
    models = []
    for listed in setup.card:
        model = on_sale(listed, setup.price_changes, now)
        models.append({
            "model": model.name, "vendor": model.vendor, "input": in_dollars(model.input),
            "cached": None if model.cached is None else in_dollars(model.cached), "output": in_dollars(model.output),
            "context": model.context, "first_token_seconds": model.first_token,
            "tokens_per_second": model.writes or None, "requests_per_minute": model.requests_per_minute,
            "tokens_per_minute": model.tokens_per_minute,
        })  # fmt: skip
    changes = [
        {"model": change.model, "percent_of_card": change.percent, "effective_from": change.start}
        for change in setup.price_changes
    ]
    return {
        "unit": "USD per million tokens", "models": models, "changes": changes, "scale": str(setup.scale),
        "batch_discount": str(BATCH_DISCOUNT),
    }  # fmt: skip


def time(setup: Setup, now: int) -> dict[str, Any]:
    return {"seconds": now / NANO, "day": now // round(setup.day_seconds * NANO), "unix": ORIGIN + now / NANO}


def budget(spending: Spending) -> dict[str, Any]:
    """Amounts as texts: a float would lose what the ledger keeps."""
    remaining = spending.remaining
    return {
        "budget_usd": None if spending.budget is None else in_dollars(spending.budget),
        "spent_usd": in_dollars(spending.spent),
        "remaining_usd": None if remaining is None else in_dollars(remaining),
        "by_model": {name: in_dollars(amount) for name, amount in spending.by_model.items()},
        "by_tag": {name: in_dollars(amount) for name, amount in spending.by_tag.items()},
    }


def status(incidents: Incidents, now: int) -> dict[str, Any]:
    seen = now - STATUS_LAG
    told = [
        {"kind": one.kind, "target": one.target or "all", "since": one.start}
        for one in (incidents.known(seen) if seen >= 0 else ())
    ]
    return {"ok": not told, "incidents": told}
