"""The sixteen commits that a form's repository came about by, as files that `git am` takes, and to be read as they are.

    past = steps_of(plan, story)
    past[-1].tree == plan.starter
    patches(past)                 {"history/0001-import-ragdesk.patch": b"From ...", ..., "history/LOG.md": b"..."}

It begins with the healthy repository. What is wrong in code and settings rides in with something legitimate, among
changes that change nothing and two that look worse than they are.
"""

import ast
import difflib
import hashlib
import random
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime
from itertools import pairwise
from typing import Final

from ..faults.model import Author, Commit, Edit, Misfit, apply
from ..forms.assembly import Chosen
from ..forms.plan import Plan
from ..forms.skins import Skin
from .story import CACHE_LOOKS, COMMITS, EARLIER, SITE_CHANGES, Earlier, Story

__all__ = ["Step", "patches", "steps_of"]

FOLDER: Final = "history"
IMPORTS: Final[Sequence[tuple[str, tuple[str, ...]]]] = (
    ("Import ragdesk", ("ragdesk/", "config.toml", "pyproject.toml", "Makefile")),
    ("Import tests and health check", ("tests/", "healthcheck.py")),
    ("Import documentation", ("",)),
)
RENAMINGS: Final = 2  # at most, besides that of a module
WIDTH: Final = 72
ALIKE: Final = 0.5  # from which on a file that is gone and one that is new are one file
VERSION: Final = "2.43.0"  # of git, at the end of each patch
NAMELESS: Final = "0000000"


@dataclass(frozen=True)
class Step:
    number: int  # from 0
    author: Author
    at: datetime
    subject: str
    body: str
    tree: Mapping[str, bytes]  # after it
    brings: tuple[str, ...] = ()  # keys of faults


@dataclass(frozen=True)
class _Change:
    """What one commit does: what of the past ends with it, or what of the starter begins."""

    commit: Commit
    fault: Chosen | None = None
    settings: tuple[str, ...] = ()
    earlier: tuple[Edit, ...] = ()  # from what it is to what it was before this commit
    names: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    tidies: bool = False  # takes back what commits of faults changed beside


def steps_of(plan: Plan, story: Story) -> tuple[Step, ...]:
    """Three imports, and thirteen changes after them."""
    changes, trees = _that_change_something(plan, plan.form.random("history"))
    steps: list[Step] = []
    there: dict[str, bytes] = {}
    for number, (subject, parts) in enumerate(IMPORTS):
        there |= {path: content for path, content in trees[0].items() if path.startswith(parts)}
        steps.append(Step(number, Author.LENA, story.commits[number], subject, "", dict(there)))
    for number, (change, tree) in enumerate(zip(changes, trees[1:], strict=True), start=len(IMPORTS)):
        commit, brings = change.commit, (change.fault.key,) if change.fault else ()
        steps.append(Step(number, commit.author, story.commits[number], commit.subject, commit.body, tree, brings))
    return tuple(steps)


def _that_change_something(plan: Plan, chance: random.Random) -> tuple[list[_Change], list[dict[str, bytes]]]:
    """A setting that a fault has changed too, or words that a fault has replaced, may leave nothing to commit."""
    changes, spare = _changes(plan, chance)
    for _ in range(len(spare) + 1):
        past = _Past(plan, changes)
        trees = [past.tree(done) for done in range(len(changes))] + [dict(plan.starter)]
        empty = [place for place, (before, after) in enumerate(pairwise(trees)) if before == after]
        if not empty or not spare:
            break
        changes[empty[0]] = spare.pop()
    return changes, trees


# ------------------------------------------------------------------------------------------------------- what changes


def _changes(plan: Plan, chance: random.Random) -> tuple[list[_Change], list[_Change]]:
    """In the order in which they come, the house's settings first; and some more harmless ones."""
    faults = [_Change(one.variant.commit, fault=one) for one in plan.blueprint.everything if one.variant.commit]
    bearing = tuple(one.name for one in plan.site.settings if one.bears_load)
    suspicious, settled = _suspicious(plan, chance)
    others = tuple(one.name for one in plan.site.settings if one.name not in (*bearing, *settled))
    first = _Change(
        Commit(Author.PRIYA, "Long passages, and a context that holds them",
               "Our writers need more words for a section than others do. Cut in two, the half with the figure looked"
               " like any other one to the re-ranker."),
        settings=bearing,
    )  # fmt: skip
    load_test = Commit(Author.TOMAS, "Settings after the load test", "As we talked about on Thursday.")
    fixed = [*faults, *suspicious, _Change(load_test, settings=others)]
    tidying = any(_beside(one) for one in plan.blueprint.everything)
    renaming = _renamings(plan, chance)
    fitting = [one for one in EARLIER if _fits(plan, one)]
    harmless = [_Change(one.commit, earlier=one.edits) for one in chance.sample(fitting, len(fitting))]
    few = chance.randint(1, 1 + RENAMINGS)
    pool = [*renaming[:few], *harmless, *renaming[few:]]
    wanted = COMMITS - len(IMPORTS) - 1 - len(fixed) - tidying
    mixed = [*fixed, *pool[:wanted]]
    chance.shuffle(mixed)
    if tidying:
        words = Commit(Author.PRIYA, "Say it shorter", "Comments and docstrings only.")
        earliest = next(place for place, one in enumerate(mixed) if one.fault and _beside(one.fault))
        mixed.insert(chance.randint(earliest + 1, len(mixed)), _Change(words, tidies=True))
    return [first, *mixed], pool[wanted:]


def _suspicious(plan: Plan, chance: random.Random) -> tuple[list[_Change], tuple[str, ...]]:
    """Two that are innocent: a setting of this house that looks like a saving, and a look at the cache."""
    own = [one for one in plan.site.settings if one.name in SITE_CHANGES]
    found: list[_Change] = []
    settled: tuple[str, ...] = ()
    if own:
        setting = chance.choice(own)
        settled = (setting.name,)
        found.append(_Change(SITE_CHANGES[setting.name], settings=settled))
    fitting = [one for one in CACHE_LOOKS if _fits(plan, one)]
    looks = chance.sample(fitting, min(2 - len(found), len(fitting)))
    found += [_Change(one.commit, earlier=one.edits) for one in looks]
    return found, settled


def _fits(plan: Plan, earlier: Earlier) -> bool:
    """Whether the starter and what it began as both have what was worded otherwise before."""
    try:
        apply(plan.undressed(frozenset()), earlier.edits)
        apply(plan.blueprint.healthy, earlier.edits)
    except Misfit:
        return False
    return True


def _renamings(plan: Plan, chance: random.Random) -> list[_Change]:
    """Names that the repository has in this form, and did not always have."""
    healthy = plan.blueprint.healthy
    code = "\n".join(content.decode() for path, content in sorted(healthy.items()) if path.endswith(".py"))
    defined = [name for name in sorted(plan.skin.names) if re.search(rf"\n(?:class|def) {name}\b", code)]
    found = []
    for name in chance.sample(defined, min(RENAMINGS, len(defined))):
        new = plan.skin.names[name]
        commit = Commit(chance.choice(list(Author)), f"Call it {new}", f"{name} said what it was once.")
        found.append(_Change(commit, names={name: new}))
    for old in chance.sample(sorted(plan.skin.modules), min(1, len(plan.skin.modules))):
        new = plan.skin.modules[old]
        file = f"{new.rpartition('.')[2]}.py"
        found.append(_Change(Commit(chance.choice(list(Author)), f"Move it to {file}", ""), modules={old: new}))
    chance.shuffle(found)
    return found


def _beside(chosen: Chosen) -> tuple[Edit, ...]:
    """What a fault's commit changed besides, if that is nothing but words: it can be reworded again."""
    commit = chosen.variant.commit
    return tuple(edit for edit in commit.beside if _same_code(edit)) if commit else ()


def _same_code(edit: Edit) -> bool:
    one, other = (_code_of(text) for text in (edit.old, edit.new))
    return one is not None and one == other


def _code_of(text: str) -> str | None:
    """Without comments and without texts; None for what does not stand alone."""
    lines = [line.strip() for line in text.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError:
        return None
    kept = [
        node for node in tree.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]  # fmt: skip
    return ast.dump(ast.Module(kept, []))


# ------------------------------------------------------------------------------------------------------ trees of it


class _Past:
    def __init__(self, plan: Plan, changes: Sequence[_Change]) -> None:
        self._plan = plan
        self._changes = changes
        self._dressed: dict[tuple[str, bytes, int], dict[str, bytes]] = {}

    def tree(self, done: int) -> dict[str, bytes]:
        """The repository when so many of the changes had been made."""
        plan, before = self._plan, self._changes[done:]
        yet = {one.fault.key for one in before if one.fault}
        live = [one for one in plan.blueprint.everything if one.variant.breaks and one.key not in yet]
        text = apply(plan.blueprint.healthy, (edit for one in live for edit in one.variant.edits))
        if any(one.tidies for one in before):
            text = _where_it_fits(text, (edit for one in live for edit in _beside(one)))
        unset = [name for one in before for name in one.settings]
        text = plan.site.without(*unset).applied(text, plan.blueprint.healthy)
        text = _where_it_fits(text, (edit for one in before for edit in one.earlier))
        return self._in(self._skin(before), text)

    def _skin(self, before: Sequence[_Change]) -> Skin:
        names = {name for one in before for name in one.names}
        modules = {name for one in before for name in one.modules}
        skin = self._plan.skin
        return replace(
            skin,
            names={name: new for name, new in skin.names.items() if name not in names},
            modules={name: new for name, new in skin.modules.items() if name not in modules},
        )

    def _in(self, skin: Skin, tree: Mapping[str, bytes]) -> dict[str, bytes]:
        """Most files of two steps are the same."""
        look = len(skin.names) * 1000 + len(skin.modules)
        found: dict[str, bytes] = {}
        for path, content in tree.items():
            key = (path, content, look)
            if key not in self._dressed:
                self._dressed[key] = skin.dressed({path: content})
            found |= self._dressed[key]
        return found


def _where_it_fits(tree: Mapping[str, bytes], edits: Iterable[Edit]) -> dict[str, bytes]:
    text = dict(tree)
    for edit in edits:
        try:
            text = apply(text, [edit])
        except Misfit:
            continue
    return text


# ----------------------------------------------------------------------------------------------------------- patches


def patches(steps: Sequence[Step]) -> dict[str, bytes]:
    """As `git format-patch` writes them, and a list of them."""
    files: dict[str, bytes] = {}
    names = identities(steps)
    before: Mapping[str, bytes] = {}
    for step, name in zip(steps, names, strict=True):
        slug = re.sub(r"[^a-z0-9]+", "-", step.subject.lower()).strip("-")[:52]
        path = f"{FOLDER}/{step.number + 1:04}-{slug}.patch"
        files[path] = _patch(step, name, len(steps), differences(before, step.tree))
        before = step.tree
    files[f"{FOLDER}/LOG.md"] = _log(steps, names, sorted(files)).encode()
    return files


def identities(steps: Sequence[Step]) -> list[str]:
    """What stands for a commit in the logs."""
    found, parent = [], ""
    for step in steps:
        total = hashlib.sha1(f"{parent}|{step.author}|{step.at}|{step.subject}".encode(), usedforsecurity=False)
        for path in sorted(step.tree):
            total.update(f"{path}|{_blob(step.tree[path])}".encode())
        parent = total.hexdigest()
        found.append(parent)
    return found


def _patch(step: Step, name: str, count: int, changed: Sequence["_Difference"]) -> bytes:
    head = [
        f"From {name} Mon Sep 17 00:00:00 2001",
        f"From: {step.author}",
        f"Date: {format_datetime(step.at)}",
        f"Subject: [PATCH {step.number + 1:02}/{count}] {step.subject}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        *([*textwrap.wrap(step.body, WIDTH), ""] if step.body else []),
        "---",
        *(f" {one.shown} | {one.added + one.removed}" for one in changed),
        f" {len(changed)} {'file' if len(changed) == 1 else 'files'} changed,"
        f" {sum(one.added for one in changed)} insertions(+), {sum(one.removed for one in changed)} deletions(-)",
        "",
    ]
    text = "\n".join(head) + "\n" + "".join(one.text for one in changed) + f"-- \n{VERSION}\n"
    return text.encode()


@dataclass(frozen=True, slots=True)
class _Difference:
    shown: str
    text: str
    added: int
    removed: int


def differences(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[_Difference]:
    """File by file; one that was moved is compared with what it was."""
    moved = _moved(before, after)
    gone = [path for path in sorted(before) if path not in after and path not in moved.values()]
    there = [path for path in sorted(after) if after[path] != before.get(path)]
    found = [_difference(path, path, before[path], None) for path in gone]
    for path in there:
        old = moved.get(path, path)
        found.append(_difference(old, path, before.get(old), after[path]))
    return found


def _moved(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> dict[str, str]:
    """By the new path of a file its old one."""
    gone = [path for path in sorted(before) if path not in after]
    found: dict[str, str] = {}
    for path in sorted(after):
        for old in gone if path not in before else []:
            if old not in found.values() and path not in found and _likeness(before[old], after[path]) >= ALIKE:
                found[path] = old
    return found


def _likeness(one: bytes, other: bytes) -> float:
    return difflib.SequenceMatcher(None, one.splitlines(), other.splitlines(), autojunk=False).ratio()


def _difference(old: str, new: str, before: bytes | None, after: bytes | None) -> _Difference:
    one, other = ((content or b"").decode().splitlines(keepends=True) for content in (before, after))
    sources = "/dev/null" if before is None else f"a/{old}", "/dev/null" if after is None else f"b/{new}"
    hunks = list(difflib.unified_diff(one, other, *sources))
    body = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in hunks)
    head = [f"diff --git a/{old} b/{new}"]
    if before is None:
        head.append("new file mode 100644")
    elif after is None:
        head.append("deleted file mode 100644")
    elif old != new:
        likeness = int(100 * _likeness(before, after))
        head += [f"similarity index {likeness}%", f"rename from {old}", f"rename to {new}"]
    if before != after:
        mode = " 100644" if before is not None and after is not None else ""
        head.append(f"index {_blob(before)[:7]}..{_blob(after)[:7]}{mode}")
    added = sum(line.startswith("+") for line in hunks[2:])
    removed = sum(line.startswith("-") for line in hunks[2:])
    return _Difference(new if old == new else f"{old} => {new}", "\n".join(head) + "\n" + body, added, removed)


def _blob(content: bytes | None) -> str:
    """What git calls a file with this content."""
    if content is None:
        return NAMELESS
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _log(steps: Sequence[Step], names: Sequence[str], files: Sequence[str]) -> str:
    lines = [
        "# History",
        "",
        "The newest commit comes first. As a repository, with which git can blame and bisect:",
        "",
        "```",
        'git init /tmp/past && git -C /tmp/past am "$PWD"/history/*.patch',
        "```",
        "",
        "| | commit | when (UTC) | who | what |",
        "|---|---|---|---|---|",
    ]
    for step, name, file in reversed(list(zip(steps, names, files, strict=True))):
        who = step.author.partition(" <")[0]
        subject = f"[{step.subject}]({file.removeprefix(FOLDER + '/')})"
        lines.append(f"| {step.number + 1} | `{name[:9]}` | {step.at:%Y-%m-%d %H:%M} | {who} | {subject} |")
    return "\n".join(lines) + "\n"
