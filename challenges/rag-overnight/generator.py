"""Makes the forms of this challenge: the same company on another night, with eight other things wrong.

generate(form)      what the candidate gets: repository, corpus, last night's state, logs, tickets, history
calibrate(form)     measures the form, minutes of a processor; FormUnfit when nobody should be judged by it
"""

from graders import Bundle, Form

from .faults.catalogue import ALL
from .forms.calibrate import calibrate as measured
from .forms.plan import Plan
from .night.bundle import files_of, tickets_reproduce, values_of


def generate(form: Form) -> Bundle:
    plan = Plan.of(form, ALL)
    return Bundle(files=files_of(plan), values=values_of(plan), signature=plan.signature)


def calibrate(form: Form) -> str:
    return measured(Plan.of(form, ALL), more=(tickets_reproduce,)).to_json()
