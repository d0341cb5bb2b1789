"""What `assay new` writes: a challenge that passes `assay check` at once, for its author to change bit by bit.

The files beside this one end in .new, so that no tool takes them for code of ours.
"""

import re
from pathlib import Path
from typing import Final

from graders.contract import ChallengeInvalid

__all__ = ["write_challenge"]

TEMPLATES: Final = Path(__file__).resolve().parent
ENDING: Final = ".new"
SLUG: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_SLUG: Final = 60


def write_challenge(slug: str, into: Path) -> list[Path]:
    """Write a new challenge below `into`; the paths of its files. An existing folder is not touched."""
    if not SLUG.fullmatch(slug) or len(slug) > LONGEST_SLUG:
        raise ChallengeInvalid(
            f"slug: {slug!r}: it becomes part of addresses: at most {LONGEST_SLUG} small letters, digits and single "
            'hyphens, a letter first, like "rag-overnight"'
        )
    folder = into / slug
    if folder.exists() or folder.is_symlink():
        raise ChallengeInvalid(f"{folder}: there is one already: choose another name, or another folder with --into")
    title = slug.replace("-", " ").capitalize()
    written = []
    for template in sorted(TEMPLATES.rglob(f"*{ENDING}")):
        path = folder / template.relative_to(TEMPLATES).as_posix().removesuffix(ENDING)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template.read_text().replace("TITLE", title).replace("SLUG", slug))
        written.append(path)
    return written
