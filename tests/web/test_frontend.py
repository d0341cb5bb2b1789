"""What browsers load of ours: the modules as they are written, and one bundle whose origin can be checked."""

import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Final

import pytest
from flask.testing import FlaskClient

from web.static_files import StaticFiles

PROJECT: Final = Path(__file__).parents[2]
FRONTEND: Final = PROJECT / "frontend"
STATIC: Final = PROJECT / "web" / "static"
IMPORTED: Final = re.compile(r'^(?:import|export) .* from "([^"]+)";$', re.MULTILINE)


def test_the_committed_bundle_is_the_one_that_was_built() -> None:
    lines = [line.split("  ") for line in (FRONTEND / "checksums.txt").read_text().splitlines()]
    listed = {name: digest for digest, name in lines}
    assert set(listed) == {"web/static/editor.js", "web/static/editor.licences.txt"}
    for name, digest in listed.items():
        assert hashlib.sha256((PROJECT / name).read_bytes()).hexdigest() == digest


def test_each_package_of_the_bundle_is_locked_by_its_hash_and_names_no_place() -> None:
    packages = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
    locked = {name: one for name, one in packages.items() if name}
    assert [name for name, one in locked.items() if not one["integrity"].startswith("sha512-")] == []
    assert [name for name, one in locked.items() if "resolved" in one] == []
    assert locked["node_modules/codemirror"]["version"] == "6.0.2"


def test_each_package_in_the_bundle_has_its_licence_beside_it() -> None:
    licences = (STATIC / "editor.licences.txt").read_text()
    named = dict(re.findall(r"^(\S+) (\d+\.\d+\.\d+\S*) \(MIT\)$", licences, re.MULTILINE))
    packages = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
    assert {"codemirror", "@codemirror/view", "@lezer/python"} <= named.keys()
    assert {name: packages[f"node_modules/{name}"]["version"] for name in named} == named


def test_a_script_is_served_as_one(client: FlaskClient) -> None:
    static = StaticFiles(STATIC)
    answer = client.get(static.address("workspace.js"))
    assert answer.status_code == 200
    assert answer.mimetype == "text/javascript"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_who_can_unpack_gets_a_script_packed(client: FlaskClient) -> None:
    address = StaticFiles(STATIC).address("editor.js")
    plain = client.get(address)
    packed = client.get(address, headers={"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) * 2 < len(plain.data)
    again = client.get(address, headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert packed.headers["ETag"] != plain.headers["ETag"]


def test_every_module_finds_what_it_imports_under_the_name_of_its_content(client: FlaskClient) -> None:
    static = StaticFiles(STATIC)
    asked, seen = [static.address("workspace.js")], set()
    while asked:
        address = asked.pop()
        seen.add(address)
        answer = client.get(address)
        assert answer.status_code == 200, address
        asked += [one for one in IMPORTED.findall(answer.text) if one not in seen]
    assert static.address("editor.js") in seen
    assert all(re.fullmatch(r"/static/[\w-]+\.[0-9a-f]{16}\.js", address) for address in seen)


def test_the_licences_are_not_served(client: FlaskClient) -> None:
    assert client.get("/static/editor.licences.txt").status_code == 404


def test_a_module_that_changes_changes_the_address_of_those_that_import_it(tmp_path: Path) -> None:
    (tmp_path / "one.js").write_text('import { two } from "./two.js";\n')
    (tmp_path / "two.js").write_text("export const two = 2;\n")
    before = StaticFiles(tmp_path)
    (tmp_path / "two.js").write_text("export const two = 3;\n")
    after = StaticFiles(tmp_path)
    assert before.address("one.js") != after.address("one.js")


def test_a_module_that_imports_what_is_not_there_is_noticed_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "one.js").write_text('import { two } from "./two.js";\n')
    with pytest.raises(FileNotFoundError):
        StaticFiles(tmp_path)
