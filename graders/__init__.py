"""All that the author of a challenge imports.

from graders import Finding, Submission, calls
from sandbox import Sandbox

def grade(submission: Submission, sandbox: Sandbox) -> Iterable[Finding]: ...
"""

from graders import calls, cases, driver, notebooks, strict
from graders.contract import Bundle, Evidence, Finding, Form, FormUnfit, Submission

__all__ = [
    "Bundle",
    "Evidence",
    "Finding",
    "Form",
    "FormUnfit",
    "Submission",
    "calls",
    "cases",
    "driver",
    "notebooks",
    "strict",
]
