"""Files that attack whoever looks at them: a notebook's fields, each with each attack, and texts and names with them.

What runs sets `pwned`; what loads asks a host below `.invalid`, which a watching browser notices.
"""

import base64
import json
from typing import Any, Final

RUN: Final = "window.pwned=1"
BEACON: Final = "http://elsewhere.invalid/beacon"

# HTML that runs or loads, wherever it is taken for HTML. Some begin by closing what they expect to stand in.
HTML: Final = (
    f"<script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f"<svg onload={RUN}>",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={RUN}&gt;'>",
    f"<form><math><mtext></form><form><mglyph><style></math><img src onerror={RUN}>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"</title></textarea></style></pre></code><script>{RUN}</script>",
    f"--><script>{RUN}</script><!--",
    f"]]><script>{RUN}</script>",
    f"'\"><img src=x onerror={RUN}>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<iframe src='javascript:parent.{RUN}'></iframe>",
    f"<object data='{BEACON}'></object><embed src='{BEACON}'>",
    f"<details open ontoggle={RUN}>a</details>",
    f"<input autofocus onfocus={RUN}>",
    f"<video poster='{BEACON}'><source src=x onerror={RUN}></video>",
    f"<link rel=stylesheet href='{BEACON}'>",
    f"<style>@import '{BEACON}'; * {{ background: url({BEACON}) }}</style>",
    f"<p style='background: url({BEACON})'>a</p>",
    f"<img src='{BEACON}' srcset='{BEACON} 2x'>",
    f"<table background='{BEACON}'><tr><td background='{BEACON}'></table>",
    f"<base href='http://elsewhere.invalid/'><meta http-equiv=refresh content='0;url={BEACON}'>",
    f"<form action='{BEACON}'><input type=submit autofocus></form>",
    f"<a href='javascript:{RUN}' ping='{BEACON}'>click</a>",
    f"<template shadowrootmode=open><script>{RUN}</script></template>",
    f"<x-a is=script slot=a contenteditable onfocus={RUN} tabindex=1 autofocus>",
    f"{{{{constructor.constructor('{RUN}')()}}}}<% {RUN} %>${{{RUN}}}",
    f"\x00<scr\x00ipt>{RUN}</scr\x00ipt>",
    f"<scr<script>ipt>{RUN}</scr</script>ipt>",
    f"\ufeff\u2028<ſcript>{RUN}</ſcript>＜script＞{RUN}＜/script＞",  # noqa: RUF001
)

SVG: Final = base64.b64encode(f"<svg xmlns='http://www.w3.org/2000/svg' onload='{RUN}'/>".encode()).decode()

# Markdown that becomes an attack only when it is set.
MARKDOWN: Final = (
    f"[a](javascript:{RUN})",
    f"[a](JaVaScRiPt:{RUN})",
    f"[a](&#x6a;avascript:{RUN})",
    f"[a](java&#10;script:{RUN})",
    f"[a](\\j\\avascript:{RUN})",
    f"[a](<java\tscript:{RUN}>)",
    f"[a](\x01javascript:{RUN})",
    f"[a](data:text/html;base64,{SVG})",
    f"[a](vbscript:{RUN})",
    f"[a]\n\n[a]: javascript:{RUN}",
    f"[a]\n\n[a]: <javascript:{RUN}> 'title'",
    f"<javascript:{RUN}>",
    f'<http://a.invalid/"onmouseover="{RUN}>',
    f'[a](http://a.invalid/" onmouseover="{RUN})',
    f"[a](http://a.invalid/ 'b\" onmouseover=\"{RUN}')",
    f"![a]({BEACON}.png)",
    "![a](//elsewhere.invalid/beacon.png)",
    f"![a][b]\n\n[b]: {BEACON}",
    f"![a](data:image/svg+xml;base64,{SVG})",
    f"![a](x' onerror='{RUN})",
    f'![" onerror="{RUN}](x.png)',
    "![a](attachment:x.png)\n![b](attachment:../../x)",
    f'```"><script>{RUN}</script>\ncode\n```',
    f"```html\n<script>{RUN}</script>\n```",
    f"    <script>{RUN}</script>",
    f"`<script>{RUN}</script>`",
    f"| a |\n|:-:|\n| <img src=x onerror={RUN}> |",
    f"[a](http://a.invalid 'a'onclick={RUN})",
    f"<div>\n\n[a](javascript:{RUN})\n\n</div>",
    f"<!--\n--!><script>{RUN}</script>\n-->",
    f"<?php <script>{RUN}</script> ?><!A <script>{RUN}</script>><![CDATA[<script>{RUN}</script>]]>",
    f"&lt;script&gt;{RUN}&lt;/script&gt; &amp;lt;script&amp;gt;",
    f"a <b\nonclick={RUN}>b</b>",
    f"[*a*<script>{RUN}</script>](http://a.invalid)",
)

NAMES: Final = (
    f"<img src=x onerror={RUN}>.py",
    f"</title><script>{RUN}</script>.md",
    f"\"'><svg onload={RUN}>.ipynb",
    "report\u202egpj.exe",
    "\u2066\u2067\u2068.md",
    f"javascript:{RUN}",
    "{{ 7 * 7 }}.txt",
    "$(id) `id` ;id|id.sh",
)

KINDS: Final = (
    *("text/html", "text/markdown", "text/latex", "text/vnd.mermaid", "application/javascript", "image/svg+xml"),
    *("application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json", "application/pdf"),
)


def cells_of(attack: str) -> list[dict[str, Any]]:
    """The attack in every field of a cell that a notebook viewer has ever believed."""
    encoded = base64.b64encode(attack.encode("utf-8", "replace")).decode()
    everywhere = dict.fromkeys(KINDS, attack)
    outputs: list[dict[str, Any]] = [
        {"output_type": "stream", "name": attack, "text": [attack, attack]},
        {"output_type": "display_data", "data": everywhere, "metadata": {"text/html": {"isolated": attack}}},
        {"output_type": "display_data", "data": {"text/plain": attack, attack: attack}},
        {"output_type": "display_data", "data": {"text/markdown": attack}},
        {"output_type": "display_data", "data": {"image/png": attack}},
        {"output_type": "display_data", "data": {"image/png": encoded}},
        {"output_type": "display_data", "data": {"image/jpeg": ["\n", encoded], "image/gif": encoded}},
        {"output_type": "execute_result", "execution_count": attack, "data": {"text/plain": [attack]}},
        {"output_type": "error", "ename": attack, "evalue": attack, "traceback": [f"\x1b[31m{attack}\x1b[0m"]},
        {"output_type": "error", "ename": attack, "evalue": attack, "traceback": []},
        {"output_type": attack, "text": attack},
    ]
    return [
        {"cell_type": "markdown", "id": attack, "source": [attack], "metadata": {"tags": [attack], "style": attack}},
        {
            "cell_type": "markdown",
            "source": "![a](attachment:x.png) ![b](attachment:y.png)",
            "attachments": {"x.png": {"image/png": attack}, "y.png": {"image/svg+xml": encoded, "image/png": encoded}},
        },
        {"cell_type": "raw", "source": attack, "metadata": {"format": "text/html", "raw_mimetype": "text/html"}},
        {"cell_type": "code", "source": attack, "execution_count": attack, "outputs": outputs},
        {"cell_type": attack, "source": attack},
        {"cell_type": "heading", "level": attack, "source": attack},
    ]


def notebook_of(*attacks: str) -> dict[str, Any]:
    metadata = {
        "title": attacks[0],
        "language_info": {"name": attacks[0], "codemirror_mode": attacks[0], "pygments_lexer": attacks[0]},
        "kernelspec": {"name": attacks[0], "display_name": attacks[0]},
        "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"a": {"model_module": BEACON}}}},
    }
    cells = [cell for attack in attacks for cell in cells_of(attack)]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def of_notebooks(attack: str) -> dict[str, bytes]:
    written = notebook_of(attack)
    return {
        "attack.ipynb": json.dumps(written).encode(),
        "old.ipynb": json.dumps(written | {"nbformat": 3, "worksheets": [{"cells": written["cells"]}]}).encode(),
        "broken.ipynb": json.dumps(written).encode()[:-1] + attack.encode("utf-8", "replace"),
    }


def corpus() -> list[tuple[str, bytes]]:
    """Names and contents."""
    files: list[tuple[str, bytes]] = []
    for attack in (*HTML, *MARKDOWN):
        said = attack.encode()
        files += of_notebooks(attack).items()
        files += [(name, said) for name in ("attack.md", "attack.py", "attack.html", "attack.json", "attack.svg")]
        files.append(("attack.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0" + said))
    files += [(name, b"# a\n") for name in NAMES]
    return files
