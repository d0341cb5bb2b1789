"""What can be wrong where documents are cut into passages.

FAULTS          CHK-1 to CHK-3
"""

from typing import Final

from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS"]

CHUNK: Final = "ragdesk/chunk.py"
CONFIG: Final = "config.toml"
LOADERS: Final = "ragdesk/ingest/loaders.py"

WINDOWS: Final = Fault(
    key="CHK-1",
    stage="chunk",
    title="Passages hold a figure without its heading, or a heading without its figure",
    level=2,
    complaints=(
        "It finds the right page and then does not see what stands there. {question} - {answer}",
        "The source is the right one, the answer is not: \"{question}\" - \"{answer}\". As if somebody had cut the"
        " page in two.",
        "Short entries are answered, longer ones are not. Asked: {question} Told: {answer}",
    ),
    detectors=(("prose", 0.2),),
    excludes=("CHK-2",),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    CHUNK,
                    "        prefix = prefix_of(document.title, section.heading)\n"
                    "        for window in windows(section.text.split(), settings.window, settings.step):\n"
                    '            passages.append((section.heading, prefix + " ".join(window)))\n',
                    '        named = prefix_of(document.title, "")\n'
                    '        words = prefix_of("", section.heading).split() + section.text.split()\n'
                    "        for window in windows(words, settings.window, settings.step):\n"
                    '            passages.append((section.heading, named + " ".join(window)))\n',
                ),
                Edit(
                    CONFIG,
                    "window = 70                 # words of one passage, without title and heading\n"
                    "step = 56                   # words from one passage to the next, so that 14 stand in both\n",
                    "window = 26                 # words of one passage, with its heading\n"
                    "step = 20                   # words from one passage to the next, so that 6 stand in both\n",
                ),
            ),
            locations=(CHUNK, f"{CHUNK}:chunks_of", "config.toml: chunking.window", "config.toml: chunking.step"),
            commit=Commit(
                Author.PRIYA,
                "Count the heading as part of a passage",
                "Passages were longer than the window said, by what their heading had. Shorter ones also save tokens.",
            ),
        ),
        Variant(
            kind=Kind.CONFIG,
            edits=(
                Edit(
                    CONFIG,
                    "window = 70                 # words of one passage",
                    "window = 22                 # words of one passage",
                ),
            ),
            locations=("config.toml: chunking.window", "config.toml: chunking.step", CHUNK, "window and step"),
            commit=Commit(
                Author.LENA,
                "Shorter passages",
                "The context is full of sentences that nobody asked for. A third of the window is enough in the"
                " evaluation, and the prompts cost half.",
            ),
        ),
        Variant(
            kind=Kind.FEED,
            dialect="bold-headings",
            edits=(
                Edit(
                    LOADERS,
                    'HEADING_MARK = "## "\n',
                    "# Technical writers set headings in bold by now.\n"
                    'HEADING = re.compile(r"## (.+)|\\*\\*(.+)\\*\\*")\n',
                ),
                Edit(LOADERS, "import json\n", "import json\nimport re\n"),
                Edit(
                    LOADERS,
                    "        elif line.startswith(HEADING_MARK):\n"
                    '            sections.append(Section(heading, "\\n".join(lines)))\n'
                    "            heading, lines = line.removeprefix(HEADING_MARK), []\n",
                    "        elif found := HEADING.fullmatch(line.rstrip()):\n"
                    '            sections.append(Section(heading, "\\n".join(lines)))\n'
                    "            heading, lines = found[1] or found[2], []\n",
                ),
            ),
            locations=(LOADERS, f"{LOADERS}:read_markdown", "bold headings", "markdown headings", "docs markdown"),
        ),
    ),
)  # fmt: skip

TITLES: Final = Fault(
    key="CHK-2",
    stage="chunk",
    title="Passages of handbooks do not say which machine they are about",
    level=2,
    complaints=(
        "It knows everything about the machine except what stands in its handbook. {question} - {answer}",
        "I get the figure of another machine. Asked: {question} Told: {answer}",
        "The handbook is among the sources, and still: \"{question}\" - \"{answer}\"",
    ),
    detectors=(("prose", 0.5),),
    excludes=("CHK-1",),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    CHUNK,
                    "from .settings import ChunkingSettings\n",
                    "from .settings import ChunkingSettings\n"
                    "\n"
                    "LONG = 6  # sections from which on a document says itself what it is about\n",
                ),
                Edit(
                    CHUNK,
                    "        prefix = prefix_of(document.title, section.heading)\n",
                    '        title = "" if len(document.sections) >= LONG else document.title\n'
                    "        prefix = prefix_of(title, section.heading)\n",
                ),
            ),
            locations=(CHUNK, f"{CHUNK}:chunks_of", f"{CHUNK}:prefix_of"),
            commit=Commit(
                Author.OWEN,
                "Do not repeat the title of long documents in every passage",
                "A handbook has its title in thirty passages. The sparse arm brings all of them for any question that"
                " names the machine.",
            ),
        ),
        Variant(
            kind=Kind.FEED,
            dialect="front-titles",
            edits=(
                Edit(
                    LOADERS,
                    'TITLE_MARK = "# "\n',
                    'FRONT_MATTER = re.compile(r"\\A---\\n(.*?)^---\\n", re.DOTALL | re.MULTILINE)\n'
                    'TITLE_MARK = "# "\n',
                ),
                Edit(LOADERS, "import json\n", "import json\nimport re\n"),
                Edit(
                    LOADERS,
                    'def read_markdown(text: str) -> tuple[str, list[Section]]:\n    title = ""\n    heading = ""\n',
                    "def without_front_matter(text: str) -> tuple[str, str]:\n"
                    '    """The title in the lines between dashes that some documents begin with, and the rest."""\n'
                    "    front = FRONT_MATTER.match(text)\n"
                    "    if front is None:\n"
                    '        return "", text\n'
                    '    said = dict(line.split(": ", 1) for line in front[1].splitlines() if ": " in line)\n'
                    '    return said.get("title", ""), text[front.end() :]\n'
                    "\n\n"
                    "def read_markdown(text: str) -> tuple[str, list[Section]]:\n"
                    "    title, text = without_front_matter(text)\n"
                    '    heading = ""\n',
                ),
            ),
            locations=(LOADERS, f"{LOADERS}:read_markdown", "front matter", "markdown titles", "docs markdown"),
        ),
    ),
)  # fmt: skip

TAILS: Final = Fault(
    key="CHK-3",
    stage="chunk",
    title="The last passage of each document is lost",
    level=2,
    complaints=(
        "The last line of every sheet is missing. {question} - {answer}",
        "Whatever stands at the end of a document is not found. Asked: {question} Told: {answer}",
        "Two of the three figures on the sheet it knows. The third: \"{question}\" - \"{answer}\"",
    ),
    detectors=(("table", 0.2),),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    CHUNK,
                    "from collections.abc import Iterator\n",
                    "from collections.abc import Iterator\nfrom itertools import pairwise\n",
                ),
                Edit(
                    CHUNK,
                    "    return [_chunk(document, number, heading, text, access)"
                    " for number, (heading, text) in enumerate(passages)]\n",
                    "    # Some documents say the same twice in a row.\n"
                    "    kept = [one for one, following in pairwise(passages) if one != following] or passages\n"
                    "    return [_chunk(document, number, heading, text, access)"
                    " for number, (heading, text) in enumerate(kept)]\n",
                ),
            ),
            locations=(CHUNK, f"{CHUNK}:chunks_of"),
            commit=Commit(
                Author.TOMAS,
                "Leave out a passage that is repeated right away",
                "Exported sheets have some of their rows twice, and the context was full of them.",
            ),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (WINDOWS, TITLES, TAILS)
