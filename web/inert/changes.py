"""What has changed between two texts, as a table of the lines that came and went, with a few around them.

The shortest way from one to the other (Myers), with a budget that is counted in comparisons: two files can be written
for which any exact answer takes minutes. Above it the middle is shown as taken out and put in, which is true as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from web.inert.signs import lines, name, visible
from web.inert.texts import text_of
from web.speech import gettext as _

__all__ = ["diff"]

AROUND: Final = 3  # lines before and after each change
MOST_COMPARED: Final = 2 << 20  # bytes of each side
MOST_EDITS: Final = 800
MOST_STEPS: Final = 3_000_000  # comparisons of lines
MOST_ROWS: Final = 4_000
LONGEST_LINE: Final = 4_000  # characters that are shown


@dataclass(frozen=True, slots=True)
class Row:
    sign: str  # " ", "-" or "+"
    old: int  # its line, from 0; of what was put in: the line before which
    new: int


def diff(before: bytes, after: bytes, name_of_file: str) -> Markup:
    """The table, with the file's name over it. Styled by static/inert.css."""
    head = Markup("<caption>{}</caption>").format(name(name_of_file))
    if before == after:
        return _said(head, _("Nothing has changed."))
    old, new = text_of(before), text_of(after)
    if old is None or new is None:
        sizes = _("The file is binary: %(before)s bytes before, %(after)s after.", before=len(before), after=len(after))
        return _said(head, sizes)
    if max(len(before), len(after)) > MOST_COMPARED:
        return _said(head, _("The file is too large to be compared here."))
    return _table(head, lines(old) if old else [], lines(new) if new else [])


def _said(head: Markup, sentence: str) -> Markup:
    return Markup('<table class="diff">{}<tbody><tr><td class="left-out">{}</td></tr></tbody></table>').format(
        head, sentence
    )


def _table(head: Markup, old: list[str], new: list[str]) -> Markup:
    pieces = []
    rows = 0
    for hunk in _hunks(compare(old, new)):
        rows += len(hunk)
        if rows > MOST_ROWS:
            note = _("There are more changes than can be shown here.")
            pieces.append(Markup('<tbody><tr><td colspan="3" class="left-out">{}</td></tr></tbody>').format(note))
            break
        pieces.append(Markup("<tbody>{}</tbody>").format(Markup("").join(_row(row, old, new) for row in hunk)))
    if not pieces:
        return _said(head, _("Only the ends of lines have changed."))
    return Markup('<table class="diff">{}{}</table>').format(head, Markup("").join(pieces))


ROWS: Final = {
    "-": Markup('<tr class="gone"><td class="at">{old}</td><td class="at"></td><td><del>{line}</del></td></tr>\n'),
    "+": Markup('<tr class="come"><td class="at"></td><td class="at">{new}</td><td><ins>{line}</ins></td></tr>\n'),
    " ": Markup('<tr><td class="at">{old}</td><td class="at">{new}</td><td>{line}</td></tr>\n'),
}


def _row(row: Row, old: Sequence[str], new: Sequence[str]) -> Markup:
    line = new[row.new] if row.sign == "+" else old[row.old]
    shown = visible(line[:LONGEST_LINE]) + (Markup("&hellip;") if len(line) > LONGEST_LINE else "")
    return ROWS[row.sign].format(old=row.old + 1, new=row.new + 1, line=shown)


def _hunks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Changes that lie near each other, with the lines around them."""
    near = [False] * len(rows)
    for places in (range(len(rows)), range(len(rows) - 1, -1, -1)):
        since = AROUND + 1  # rows since the last change, as far as that matters
        for at in places:
            since = 0 if rows[at].sign != " " else since + 1
            near[at] = near[at] or since <= AROUND
    hunk: list[Row] = []
    for row, shown in zip(rows, near, strict=True):
        if shown:
            hunk.append(row)
        elif hunk:
            yield hunk
            hunk = []
    if hunk:
        yield hunk


def compare(old: Sequence[str], new: Sequence[str]) -> list[Row]:
    """Every line of both, in order, with what became of it."""
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    tail = 0
    while tail < min(len(old), len(new)) - same and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    middle_old, middle_new = old[same : len(old) - tail], new[same : len(new) - tail]
    signs = " " * same + _signs(middle_old, middle_new) + " " * tail
    rows = []
    at_old = at_new = 0
    for sign in signs:
        rows.append(Row(sign, at_old, at_new))
        at_old += sign != "+"
        at_new += sign != "-"
    return rows


def _signs(old: Sequence[str], new: Sequence[str]) -> str:
    """One sign for each line that is kept, goes or comes."""
    reached = {1: 0}  # on each diagonal, the furthest line of `old`
    trace: list[dict[int, int]] = []
    steps = 0
    for edits in range(min(MOST_EDITS, len(old) + len(new)) + 1):
        trace.append(dict(reached))
        for diagonal in range(-edits, edits + 1, 2):
            down = diagonal == -edits or (diagonal != edits and reached[diagonal - 1] < reached[diagonal + 1])
            x = reached[diagonal + 1] if down else reached[diagonal - 1] + 1
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x, y, steps = x + 1, y + 1, steps + 1
            reached[diagonal] = x
            steps += 1
            if x >= len(old) and y >= len(new):
                return _walked_back(trace, len(old), len(new))
        if steps > MOST_STEPS:
            break
    return "-" * len(old) + "+" * len(new)


def _walked_back(trace: Sequence[dict[int, int]], x: int, y: int) -> str:
    signs = []
    for edits in range(len(trace) - 1, -1, -1):
        reached = trace[edits]
        diagonal = x - y
        down = diagonal == -edits or (diagonal != edits and reached[diagonal - 1] < reached[diagonal + 1])
        from_diagonal = diagonal + 1 if down else diagonal - 1
        from_x = reached[from_diagonal]
        from_y = from_x - from_diagonal
        while x > max(0, from_x) and y > max(0, from_y):
            signs.append(" ")
            x, y = x - 1, y - 1
        if edits:
            signs.append("+" if down else "-")
            x, y = from_x, from_y
    return "".join(reversed(signs))
