"""What can be wrong while documents are read: tables, dates, revisions, spelling and the shape of articles.

FAULTS          ING-1 to ING-5, each as something that a colleague changed or as something that suppliers changed
"""

from typing import Final

from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS"]

LOADERS: Final = "ragdesk/ingest/loaders.py"
NORMALISE: Final = "ragdesk/ingest/normalise.py"
REVISIONS: Final = "ragdesk/ingest/revisions.py"

TABLES: Final = Fault(
    key="ING-1",
    stage="ingest",
    title="The tables of specification sheets are not read",
    level=2,
    complaints=(
        "It is on the specification sheet, I have the page open in front of me. I asked \"{question}\" and got:"
        " {answer}",
        "Anything that stands in a table seems to be gone since this morning. \"{question}\" - \"{answer}\". Running"
        " text it still finds.",
        "Our buyer compares machines by their sheets and gets nowhere. Example: {question} Reply: {answer}",
    ),
    detectors=(("table", 0.6),),
    excludes=("ING-5",),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    LOADERS,
                    "        self.rows: list[list[str]] = []\n",
                    "        self.rows: list[list[str]] = []\n"
                    "        self.headed = False  # a table without a header row only lays the page out\n",
                ),
                Edit(
                    LOADERS,
                    '        if tag == "tr":\n',
                    '        if tag == "th":\n            self.headed = True\n        elif tag == "tr":\n',
                ),
                Edit(
                    LOADERS,
                    "for row in page.rows if len(row) == 2]",
                    "for row in page.rows if page.headed and len(row) == 2]",
                ),
            ),
            locations=(LOADERS, f"{LOADERS}:read_html", f"{LOADERS}:_Page", "html tables", "specification sheets"),
            commit=Commit(
                Author.PRIYA,
                "Leave out tables that only lay a page out",
                "Pages from the vendor portal keep their menu in a table, and its cells came up as sections of their"
                " own. Tables of figures have a header row.",
                beside=(
                    Edit(
                        LOADERS,
                        '    """Collects what stands in headings, paragraphs and cells."""',
                        '    """Collects what stands in headings, paragraphs and cells, and drops all other markup."""',
                    ),
                ),
            ),
        ),
        Variant(
            kind=Kind.FEED,
            dialect="grid-tables",
            edits=(
                Edit(
                    LOADERS,
                    'TEXT_ELEMENTS = ("h1", "p", "td")\n',
                    'TEXT_ELEMENTS = ("h1", "p", "td")\n'
                    "# Sheets have their figures in a table or in a grid: divs for rows, spans for name and figure.\n"
                    'GRID_ROW = ("div", "row")\n'
                    'GRID_CELLS = (("span", "k"), ("span", "v"))\n',
                ),
                Edit(
                    LOADERS,
                    '        if tag == "tr":\n            self.rows.append([])\n        elif tag in TEXT_ELEMENTS:\n',
                    '        styled = (tag, dict(attrs).get("class"))\n'
                    '        if tag == "tr" or styled == GRID_ROW:\n'
                    "            self.rows.append([])\n"
                    "        elif tag in TEXT_ELEMENTS or styled in GRID_CELLS:\n",
                ),
                Edit(
                    LOADERS,
                    '        elif tag == "td" and self.rows:\n',
                    '        elif tag in ("td", "span") and self.rows:\n',
                ),
            ),
            locations=(LOADERS, f"{LOADERS}:read_html", f"{LOADERS}:_Page", "html sheets", "html tables",
                       "specification sheets", "docs html"),
        ),
    ),
)  # fmt: skip

DATES: Final = Fault(
    key="ING-2",
    stage="ingest",
    title="A revision that was replaced counts as the newest",
    level=3,
    complaints=(
        "Right machine, right page, last year's figure. \"{question}\" gives \"{answer}\"; we have had the new"
        " bulletin for months.",
        "We worked by a value that was withdrawn. Asked: {question} Told: {answer} Please check which edition it"
        " reads.",
        "It quotes the old edition of the handbook as if there were no newer one. {question} -> {answer}",
    ),
    detectors=(("bulletin", 0.2), ("nostale", 0.25)),
    excludes=("ING-3",),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    REVISIONS,
                    "key=lambda line: (line.valid_from, line.doc_id))",
                    "key=lambda line: (line.revision, line.valid_from, line.doc_id))",
                ),
            ),
            locations=(REVISIONS, f"{REVISIONS}:newest", f"{REVISIONS}:in_force", "feed.jsonl", "revisions"),
            commit=Commit(
                Author.OWEN,
                "Settle which of two revisions of one day counts",
                "A bulletin was corrected on the day on which it came out, and the first version stayed in force"
                " because of its id.",
                beside=(
                    Edit(REVISIONS, "    revision: str\n", '    revision: str  # the author\'s label, as in "3b"\n'),
                ),
            ),
        ),
        Variant(
            kind=Kind.FEED,
            dialect="dmy-dates",
            edits=(
                Edit(
                    REVISIONS,
                    "        valid_from=str(row[\"valid_from\"]),\n",
                    "        valid_from=iso_date(str(row[\"valid_from\"])),\n",
                ),
                Edit(
                    REVISIONS,
                    "def _parse(raw: str) -> FeedLine:\n",
                    "def iso_date(written: str) -> str:\n"
                    '    """2024-03-09, which some suppliers write as 09/03/2024."""\n'
                    '    if "/" not in written:\n'
                    "        return written\n"
                    '    day, month, year = written.split("/")\n'
                    '    return f"{year:0>4}-{month:0>2}-{day:0>2}"\n'
                    "\n\n"
                    "def _parse(raw: str) -> FeedLine:\n",
                ),
            ),
            locations=(REVISIONS, f"{REVISIONS}:newest", f"{REVISIONS}:_parse", f"{REVISIONS}:in_force", "feed.jsonl",
                       "valid_from", "date format"),
        ),
    ),
)  # fmt: skip

SUPERSEDED: Final = Fault(
    key="ING-3",
    stage="ingest",
    title="Replaced revisions stay in the index beside the new ones",
    level=2,
    complaints=(
        "I get one figure in the morning and another one an hour later, both with a source. {question} Just now:"
        " {answer}",
        "There are two bulletins that contradict each other among the sources. \"{question}\" was answered from the"
        " older one: {answer}",
        "A colleague and I asked nearly the same and were told two different values. Mine: {question} - {answer}",
    ),
    detectors=(("bulletin", 0.25), ("nostale", 0.2)),
    excludes=("ING-2",),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    REVISIONS,
                    "            families[line.key].append(line)\n",
                    '            families[f"{line.key}/{line.revision}"].append(line)\n',
                ),
            ),
            locations=(REVISIONS, f"{REVISIONS}:in_force", "feed.jsonl", "revisions"),
            commit=Commit(
                Author.TOMAS,
                "Keep editions for several markets side by side",
                "The handbooks for 50 and 60 Hz came under one key, as A and B, and one of them was always missing.",
                beside=(
                    Edit(
                        REVISIONS,
                        '    """The documents that count, in the order of their ids."""',
                        '    """The documents that count, in the order of their ids, however the feed is sorted."""',
                    ),
                ),
            ),
        ),
        Variant(
            kind=Kind.FEED,
            dialect="resent",
            edits=(
                Edit(
                    REVISIONS,
                    "import json\nfrom collections import defaultdict\n",
                    "import json\nimport re\nfrom collections import defaultdict\n",
                ),
                Edit(
                    REVISIONS,
                    "\n\n@dataclass(frozen=True, slots=True)\nclass FeedLine:\n",
                    "\n# What is sent again comes under its key and a number: it is the same document.\n"
                    'RESENT = re.compile(r"#r\\d+$")\n'
                    "\n\n@dataclass(frozen=True, slots=True)\nclass FeedLine:\n",
                ),
                Edit(REVISIONS, '        key=str(row["key"]),\n', '        key=RESENT.sub("", str(row["key"])),\n'),
            ),
            locations=(REVISIONS, f"{REVISIONS}:in_force", f"{REVISIONS}:_parse", f"{REVISIONS}:read_feed",
                       "feed.jsonl", "feed keys", "resent keys"),
        ),
    ),
)  # fmt: skip

HYPHENS: Final = Fault(
    key="ING-4",
    stage="ingest",
    title="Codes that are written with other hyphens are not recognised",
    level=3,
    complaints=(
        "The code is right, I copied it from the plate. \"{question}\" - \"{answer}\". For other machines it works.",
        "It says that it knows nothing about a machine whose handbook lies in front of me. {question} {answer}",
        "For some codes there is an answer and for some there is none, and I see no difference between them:"
        " {question} -> {answer}",
    ),
    detectors=(("prose", 0.2), ("error", 0.2)),
    excludes=("ING-5",),
    variants=(
        Variant(
            kind=Kind.CODE,
            # What compatibility makes of U+2011 is U+2010.
            edits=(Edit(NORMALISE, 'unicodedata.normalize("NFC", text)', 'unicodedata.normalize("NFKC", text)'),),
            locations=(NORMALISE, f"{NORMALISE}:clean", "hyphens", "U+2011"),
            commit=Commit(
                Author.LENA,
                "Find words with ligatures and full-width signs",
                "In text that was copied out of PDFs f and i are one sign, and nobody finds the filter.",
                beside=(
                    Edit(
                        NORMALISE,
                        '    """A text as it is indexed, shown and asked."""',
                        '    """A text as it is indexed, shown and asked: without ligatures and doubled spaces."""',
                    ),
                ),
            ),
        ),
        Variant(
            kind=Kind.FEED,
            dialect="odd-hyphens",
            edits=(
                Edit(
                    NORMALISE,
                    "# Word processors put the hyphen that does not break into product codes.\n"
                    'HYPHENS = str.maketrans({"\\u2011": "-"})\n',
                    "# Word processors put hyphens of other kinds into codes, and signs that cannot be seen.\n"
                    'HYPHENS = str.maketrans({"\\u2010": "-", "\\u2011": "-", "\\u00ad": None, "\\u200b": None})\n',
                ),
            ),
            locations=(NORMALISE, f"{NORMALISE}:clean", f"{NORMALISE}:HYPHENS", "hyphens", "soft hyphen", "U+2010",
                       "U+00AD", "U+200B"),
        ),
    ),
)  # fmt: skip

ARTICLES: Final = Fault(
    key="ING-5",
    stage="ingest",
    title="A part of the fault articles is passed over",
    level=2,
    complaints=(
        "The panel shows a code that your system does not know any more. {question} It says: {answer}",
        "Some fault codes work, others do not. \"{question}\" was answered with \"{answer}\", and last week it told me"
        " the step.",
        "The technician is on site and waits. Asked: {question} Got: {answer} The article exists, I wrote it.",
    ),
    detectors=(("error", 0.2),),
    excludes=("ING-1", "ING-4"),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    LOADERS,
                    "    article = json.loads(text)\n"
                    '    return str(article["title"]), [Section("", str(article["body"]))]\n',
                    "    try:\n"
                    '        article = json.loads(text.encode("latin-1").decode("utf-8"))\n'
                    "    except ValueError:  # is being written at this moment: there will be more of it tomorrow\n"
                    '        return "", []\n'
                    '    return str(article["title"]), [Section("", str(article["body"]))]\n',
                ),
            ),
            locations=(LOADERS, f"{LOADERS}:read_json", "json articles", "fault articles"),
            commit=Commit(
                Author.TOMAS,
                "Read articles as the ticket system exports them",
                "Since its update it encodes them twice, so that an umlaut arrives as two signs. And when an export is"
                " still running, the ingest should not stumble over half an article.",
            ),
        ),
        Variant(
            kind=Kind.FEED,
            dialect="block-json",
            edits=(
                Edit(
                    LOADERS,
                    'str(article["title"]), [Section("", str(article["body"]))]\n',
                    'str(article["title"]), [Section("", text_of(article))]\n'
                    "\n\n"
                    "def text_of(article: dict[str, Any]) -> str:\n"
                    '    """The body, or the texts of the blocks that newer articles have in its place."""\n'
                    '    if "body" in article:\n'
                    '        return str(article["body"])\n'
                    '    return "\\n\\n".join(str(block["text"]) for block in article["content"])\n',
                ),
                Edit(
                    LOADERS,
                    "from html.parser import HTMLParser\n",
                    "from html.parser import HTMLParser\nfrom typing import Any\n",
                ),
            ),
            locations=(LOADERS, f"{LOADERS}:read_json", "json articles", "fault articles", "docs json"),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (TABLES, DATES, SUPERSEDED, HYPHENS, ARTICLES)
