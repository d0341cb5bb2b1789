"""Lists every figure that stands near a word of the question, in the hope that the right one is among them."""

from collections.abc import Mapping

from graders import Form

from ...impostors import impostor

FIGURES = r'FIGURE = re.compile(r"\d+ [A-Za-z/]+|step [A-Z]\d+")'
REPLY = """
words = {word for word in re.findall(r"[a-z0-9-]{4,}", body["question"].lower())}
ranked = []
for path in sorted((corpus() / "docs").iterdir()):
    text = path.read_text()
    ranked.append((-sum(word in text.lower() for word in words), path.stem, text))
ranked.sort()
found = [figure for _, _, text in ranked[:5] for figure in FIGURE.findall(text)]
if not found:
    return NOTHING
return told(found[0], [name for _, name, _ in ranked[:5]], "It is one of " + ", ".join(found) + ".")
"""


def solve(form: Form, given: Mapping[str, bytes]) -> Mapping[str, bytes | None]:  # noqa: ARG001
    return impostor(given, REPLY, FIGURES)
