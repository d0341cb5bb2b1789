"""Where a form's repository differs from the published one without being wrong: what another house has settled on.

    site = Site.draw(chance)
    site.applied(tree, published)      the tree with this site's settings, whatever faults there are in it
    site.pack(pack)                    the words of its worlds: writers of this house need more of them

Some of it bears load. Where sections are long, the published window cuts one into several passages that look alike to
the re-ranker, and the figure stands in one of them. Whoever takes the published settings wholesale finds that out.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from ..world.pack import Pack

__all__ = ["Setting", "Site"]

CONFIG: Final = "config.toml"
HARMLESS: Final[Mapping[str, tuple[str, ...]]] = {
    "models.timeout_seconds": ("15.0", "25.0", "30.0"),
    "models.tries": ("2", "4", "5"),
    "embedding.batch": ("64", "96", "160", "200"),
    "embedding.passage_words": ("360", "450", "500"),
    "sparse.k1": ("1.1", "1.3", "1.4"),
    "sparse.b": ("0.7", "0.72", "0.78"),
    "retrieval.pool": ("64", "72", "80"),
    "retrieval.rank_constant": ("40", "50", "80"),
    "retrieval.reranked": ("54", "58", "64"),
    "rerank.passage_words": ("180", "200", "240"),
    "rerank.code_weight": ("1.2", "1.35", "1.4"),
    "cache.similarity": ("0.975", "0.98"),
    "conversation.minutes": ("8", "12", "15"),
    "monitoring.baseline_days": ("6", "8", "10"),
    "monitoring.least_asks": ("4", "6"),
}
DIFFERENCES: Final = (3, 7)  # of these, besides the three below
WORDINESS: Final = 4  # sentences of the pack that this house needs for one
WINDOWS: Final = ((260, 220), (270, 230), (280, 240), (300, 250))  # that its longest sections fit into
BUDGETS: Final = (3600, 3800, 4000)
LONGER: Final = 2.6  # times as many words come before a figure, and stand in a passage, as in the published worlds
IN_BOTH: Final = re.compile(r"so that \d+ stand in both")


@dataclass(frozen=True, slots=True)
class Setting:
    name: str  # chunking.window
    value: str  # as it stands in the file
    scales: bool = False  # with how much this house writes
    bears_load: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    settings: tuple[Setting, ...] = ()
    wordiness: int = 1

    @classmethod
    def draw(cls, chance: random.Random) -> "Site":
        window, step = chance.choice(WINDOWS)
        names = chance.sample(sorted(HARMLESS), chance.randint(*DIFFERENCES))
        settings = [Setting(name, chance.choice(HARMLESS[name])) for name in sorted(names)]
        budget = chance.choice(BUDGETS)
        sizes = {"chunking.window": window, "chunking.step": step, "prompt.budget_tokens": budget}
        settings += [
            Setting(name, str(value), scales=True, bears_load=name.startswith("chunking."))
            for name, value in sizes.items()
        ]
        return cls(tuple(settings), WORDINESS)

    def applied(self, tree: Mapping[str, bytes], published: Mapping[str, bytes]) -> dict[str, bytes]:
        """What a fault has changed stays changed, to what does as much harm to passages as long as these."""
        text, usual = tree[CONFIG].decode(), _values(published[CONFIG].decode())
        now = _values(text)
        for setting in self.settings:
            if now[setting.name] == usual[setting.name]:
                text = _with(text, setting)
            elif setting.scales:
                text = _with(text, replace(setting, value=str(round(LONGER * int(now[setting.name])))))
        after = _values(text)
        if after != now:
            overlap = int(after["chunking.window"]) - int(after["chunking.step"])
            text = IN_BOTH.sub(f"so that {max(0, overlap)} stand in both", text)
        return {**tree, CONFIG: text.encode()}

    def without(self, *names: str) -> "Site":
        """The same house with some of its settings as they are published."""
        return replace(self, settings=tuple(one for one in self.settings if one.name not in names))

    def pack(self, pack: Pack, chance: random.Random) -> Pack:
        """Several sentences for one, put together anew."""
        if self.wordiness == 1:
            return pack
        fillers = [" ".join(chance.sample(pack.fillers, self.wordiness)) for _ in pack.fillers]
        return replace(pack, fillers=tuple(fillers))


def _values(text: str) -> dict[str, str]:
    """By table and key. Values of ours are written on one line."""
    found = {}
    table = ""
    for line in text.splitlines():
        if header := re.fullmatch(r"\[(\w+)\]\s*", line):
            table = header[1]
        elif pair := re.match(r"(\w+) = (\S+)", line):
            found[f"{table}.{pair[1]}"] = pair[2]
    return found


def _with(text: str, setting: Setting) -> str:
    table, _, key = setting.name.partition(".")
    header = text.index(f"[{table}]")
    end = text.find("\n[", header)
    part = text[header : end if end >= 0 else len(text)]

    def line(found: re.Match[str]) -> str:
        """With its comment where it was, if there is room."""
        padded = f"{key} = {setting.value}".ljust(len(found[0]) - 1)
        return f"{padded} " if found[0].endswith(" ") else padded.rstrip()

    changed = re.sub(rf"(?m)^{key} = \S+ *", line, part, count=1)
    return text.replace(part, changed, 1)
