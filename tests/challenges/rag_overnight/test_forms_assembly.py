"""Which faults a form has, what its site has settled on, and how its repository looks."""

import ast
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

import pytest

Modules = Callable[[str], ModuleType]

FORMS: Final = range(6)


@pytest.fixture(scope="module")
def healthy(module: Modules) -> dict[str, bytes]:
    tree: dict[str, bytes] = module("bench.signatures").template()
    return tree


@pytest.fixture(scope="module")
def pool(module: Modules) -> Any:
    return module("faults.catalogue").ALL


@pytest.fixture(scope="module")
def blueprints(module: Modules, pool: Any, healthy: dict[str, bytes]) -> list[Any]:
    draw = module("forms.assembly").draw
    return [draw(random.Random(seed), pool, healthy) for seed in FORMS]


@pytest.fixture(scope="module")
def skin(module: Modules, pool: Any, healthy: dict[str, bytes]) -> Any:
    return module("forms.skins").Skin.draw(random.Random(5), module("forms.plan").versions(pool, healthy))


# ------------------------------------------------------------------------------------------------------------- faults


def test_a_draw_is_the_same_for_the_same_chance_and_another_for_another(
    module: Modules, pool: Any, healthy: dict[str, bytes], blueprints: list[Any]
) -> None:
    again = module("forms.assembly").draw(random.Random(0), pool, healthy)

    assert again.signature == blueprints[0].signature
    assert again.starter == blueprints[0].starter
    assert len({one.signature for one in blueprints}) == len(blueprints)


def test_a_form_has_eight_faults_of_many_stages_and_half_of_them_not_in_code(blueprints: list[Any]) -> None:
    for blueprint in blueprints:
        stages = Counter(one.fault.stage for one in blueprint.chosen)
        assert len(blueprint.keys) == 8
        assert len(stages) >= 6
        assert sum(one.fault.level for one in blueprint.chosen) == 17
        assert stages["ingest"] + stages["chunk"] >= 2
        assert stages["access"] + stages["cache"] >= 1
        assert stages["embed"] + stages["index"] >= 1
        assert stages["retrieve"] + stages["rerank"] >= 1
        assert stages["prompt"] + stages["cite"] + stages["security"] >= 1
        assert stages["monitor"] == 0
        assert sum(one.variant.kind in ("state", "feed") for one in blueprint.chosen) >= 4
        assert not any(blueprint.keys & set(one.fault.excludes) for one in blueprint.chosen)


def test_any_part_of_a_forms_faults_can_be_mended(blueprints: list[Any]) -> None:
    chance = random.Random(3)
    for blueprint in blueprints:
        trees = [blueprint.tree(frozenset(chance.sample(sorted(blueprint.keys), count))) for count in range(9)]
        assert trees[0] == blueprint.starter
        assert all(len(tree) == len(blueprint.healthy) for tree in trees)
        for path, content in trees[4].items():
            if path.endswith(".py"):
                ast.parse(content)


def test_whoever_takes_the_published_repository_has_mended_code_and_config_alone(blueprints: list[Any]) -> None:
    for blueprint in blueprints:
        in_code = frozenset(one.key for one in blueprint.everything if one.variant.breaks)
        assert blueprint.tree(in_code) == blueprint.healthy
        assert blueprint.oracle != blueprint.healthy


def test_a_fault_that_is_none_of_the_forms_cannot_be_mended(blueprints: list[Any]) -> None:
    with pytest.raises(ValueError, match="NOPE-1: is none of its faults"):
        blueprints[0].tree(frozenset({"NOPE-1"}))


def test_a_pool_without_a_form_is_refused(module: Modules, pool: Any, healthy: dict[str, bytes]) -> None:
    of_one_stage = [one for one in pool if one.stage == "ingest"] * 2

    with pytest.raises(ValueError, match="none of them is a form"):
        module("forms.assembly").draw(random.Random(1), of_one_stage, healthy)


# -------------------------------------------------------------------------------------------------------------- sites


def settings_in(text: str) -> dict[str, str]:
    found, table = {}, ""
    for line in text.splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            table = header[1]
        elif pair := re.match(r"(\w+) = (\S+)", line):
            found[f"{table}.{pair[1]}"] = pair[2]
    return found


def test_a_site_changes_what_it_says_and_keeps_the_file_a_settings_file(
    module: Modules, healthy: dict[str, bytes]
) -> None:
    usual = settings_in(healthy["config.toml"].decode())
    for seed in range(20):
        site = module("forms.sites").Site.draw(random.Random(seed))
        found = settings_in(site.applied(healthy, healthy)["config.toml"].decode())
        changed = {name: value for name, value in found.items() if value != usual[name]}
        assert found.keys() == usual.keys()
        assert changed == {one.name: one.value for one in site.settings}
        assert 6 <= len(changed) <= 10
        assert sum(one.bears_load for one in site.settings) == 2
        overlap = int(found["chunking.window"]) - int(found["chunking.step"])
        assert f"so that {overlap} stand in both" in site.applied(healthy, healthy)["config.toml"].decode()


def test_what_a_fault_has_changed_stays_changed_and_grows_with_the_passages(
    module: Modules, healthy: dict[str, bytes]
) -> None:
    sites = module("forms.sites")
    site = sites.Site.draw(random.Random(1))
    whole = settings_in(site.applied(healthy, healthy)["config.toml"].decode())
    changed = healthy["config.toml"].replace(b"window = 70", b"window = 20").replace(b"k1 = 1.2", b"k1 = 0.1")

    found = settings_in(site.applied({**healthy, "config.toml": changed}, healthy)["config.toml"].decode())

    assert int(found["chunking.window"]) == round(20 * sites.LONGER) < int(whole["chunking.window"])
    assert found["sparse.k1"] == "0.1"
    assert found["prompt.budget_tokens"] == whole["prompt.budget_tokens"]


def test_every_setting_of_a_site_is_one_of_the_published_repository_and_differs_from_it(
    module: Modules, healthy: dict[str, bytes]
) -> None:
    usual = settings_in(healthy["config.toml"].decode())
    for name, values in module("forms.sites").HARMLESS.items():
        assert name in usual
        assert usual[name] not in values


# -------------------------------------------------------------------------------------------------------------- skins


def defined(tree: dict[str, bytes]) -> Iterator[str]:
    for path, content in tree.items():
        if path.endswith(".py"):
            for node in ast.walk(ast.parse(content)):
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    yield node.name


def test_a_skin_is_the_same_to_the_byte_for_the_same_chance(
    module: Modules, pool: Any, healthy: dict[str, bytes], skin: Any
) -> None:
    again = module("forms.skins").Skin.draw(random.Random(5), module("forms.plan").versions(pool, healthy))

    assert again == skin
    assert again.dressed(healthy) == skin.dressed(healthy)


def test_a_skin_renames_many_names_and_a_few_modules_and_no_name_of_the_contract(
    healthy: dict[str, bytes], skin: Any
) -> None:
    dressed = skin.dressed(healthy)
    before, after = Counter(defined(healthy)), Counter(defined(dressed))

    assert len(skin.names) >= 45
    assert 3 <= len(dressed.keys() - healthy.keys()) == len(skin.modules) <= 4
    assert sum(before.values()) == sum(after.values())
    assert {"run", "load", "Desk", "ask", "reload", "check"} <= after.keys()
    assert {path for path in healthy if not path.endswith(".py")} <= dressed.keys()
    for old, new in skin.names.items():
        assert after[old] == 0
        assert after[new] == before[old]


def test_what_is_dressed_differs_only_where_the_tree_did(blueprints: list[Any], skin: Any) -> None:
    one, other = blueprints[0].starter, blueprints[0].oracle
    changed = {skin.path(path) for path in one if one[path] != other[path]}

    before, after = skin.dressed(one), skin.dressed(other)

    assert {path for path in before if before[path] != after[path]} == changed


def test_locations_follow_what_was_renamed(healthy: dict[str, bytes], skin: Any, pool: Any) -> None:
    dressed = skin.dressed(healthy)
    for location in {one for fault in pool for variant in fault.variants for one in variant.locations}:
        path, _, name = location.partition(":")
        if path.endswith(".py"):
            there, _, called = skin.location(location).partition(":")
            assert there in dressed
            assert bool(called) == bool(name)
            if re.search(rf"^ *(?:def|class) {name}\b", healthy[path].decode(), re.MULTILINE):
                assert re.search(rf"^ *(?:def|class) {called}\b", dressed[there].decode(), re.MULTILINE)
        else:
            assert skin.location(location) == location


def test_modules_that_are_renamed_are_not_named_by_their_old_names_anywhere(
    healthy: dict[str, bytes], skin: Any
) -> None:
    for old in skin.modules:
        path = old.replace(".", "/") + ".py"
        for name, content in skin.dressed(healthy).items():
            assert path not in content.decode(), name
            assert not re.search(rf"\b{re.escape(old)}\b", content.decode()), name


def test_names_in_texts_and_of_strangers_stay(module: Modules) -> None:
    source = (
        "import re\n\n\ndef parsed(found):\n    return re.sub('x', 'y', found)\n\n\n"
        "def newest(closest):\n    keys = {'closest': closest}\n"
        "    return f'{newest(keys)!r:>{len(keys)}} newest {{newest}}'\n"
    )
    skin = module("forms.skins").Skin.draw(random.Random(1), [{"ragdesk/one.py": source.encode()}])

    dressed = skin.dressed({"ragdesk/one.py": source.encode()})["ragdesk/one.py"].decode()

    assert set(skin.names) == {"parsed"}
    assert "closest" in dressed
    assert "newest" in dressed


def test_names_within_formatted_strings_are_renamed_with_the_others(module: Modules) -> None:
    fields = "{{verdicts}} {', '.join(verdicts)} {verdicts[0]:>{len(verdicts)}}"
    source = f'def has_digit(verdicts):\n    return f"{fields}"\n'
    skin = module("forms.skins").Skin(names={"verdicts": "decisions"})

    dressed = skin.dressed({"ragdesk/one.py": source.encode()})["ragdesk/one.py"].decode()

    assert dressed == source.replace("verdicts", "decisions").replace("{{decisions}}", "{{verdicts}}")
