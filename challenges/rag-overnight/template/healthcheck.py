"""Looks at a bundle (see CONTRACT.md) and says what is wrong with it.

python healthcheck.py BUNDLE
"""

import json
import sys
from pathlib import Path


def check(bundle_dir: str | Path) -> list[dict[str, str]]:
    """Findings, each with stage, severity and reason. So far it counts documents."""
    bundle = Path(bundle_dir)
    manifest = json.loads((bundle / "index" / "manifest.json").read_text(encoding="utf-8"))
    files = [path for path in (bundle / "corpus" / "docs").iterdir() if path.is_file()]
    documents = len(manifest["documents"])
    if not documents:
        return [{"stage": "index", "severity": "error", "reason": "the index is empty"}]
    said = f"{documents} documents are indexed, of {len(files)} files"
    return [{"stage": "index", "severity": "ok", "reason": said}]


if __name__ == "__main__":
    for finding in check(sys.argv[1]):
        sys.stdout.write(f"{finding['severity']:6} {finding['stage']:9} {finding['reason']}\n")
