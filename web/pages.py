"""What anyone may see without signing in."""

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, current_app, jsonify, render_template

from sandbox import Ending, Limits

pages = Blueprint("pages", __name__)


@dataclass(frozen=True)
class Stage:
    name: str
    quarters: int  # of a business day
    purpose: str

    @property
    def length(self) -> str:
        return {2: "half a day", 3: "three quarters of a day", 4: "one day", 6: "one and a half days"}[self.quarters]


FIVE_DAYS: Final = (
    Stage("First contact", 2, "The candidate hears what the role is, and what each stage will ask of them."),
    Stage("Screen", 4, "Thirty to forty-five minutes of questions, answered alone, before anyone meets."),
    Stage("Take-home", 6, "One challenge, started when it suits the candidate; then grading."),
    Stage("Code review", 3, "The candidate explains the submission. The questions come from its findings."),
    Stage("System design", 3, "One conversation about trade-offs: quality, latency, cost."),
    Stage("Decision", 2, "One named person decides and gives the reason. The offer goes out."),
)


@pages.get("/")
def landing() -> str:
    return render_template("landing.html", stages=FIVE_DAYS, limits=Limits(), endings=list(Ending))


@pages.get("/healthz")
def healthz() -> Response:
    """Says that this process answers; it looks at nothing else."""
    answer = jsonify(status="ok", version=current_app.config["VERSION"])
    answer.headers["Cache-Control"] = "no-store"
    return answer
