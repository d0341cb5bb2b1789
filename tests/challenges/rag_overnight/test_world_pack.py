"""A pack is read strictly, and what is wrong in one is told as a sentence."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from graders.simgate.brains.lexicon import words

from .conftest import FOLDER

Module = Callable[[str], ModuleType]
Pack = dict[str, Any]


def public_pack() -> Pack:
    read: Pack = json.loads((FOLDER / "private" / "pack.json").read_text())
    return read


def test_the_public_pack_is_in_order_and_rich(module: Module) -> None:
    pack = module("world.pack").Pack.loads(json.dumps(public_pack()))
    assert len(pack.kinds) >= 20
    assert len(pack.attributes) >= 14
    assert len(pack.fillers) >= 40
    assert len(pack.clauses) >= 16
    assert len({tuple(word.text for word in words(one))[:2] for one in pack.fillers}) > 50


def without_fillers(pack: Pack) -> None:
    del pack["fillers"]


def with_a_typing_mistake(pack: Pack) -> None:
    pack["filers"] = pack["fillers"]


def two_forms(pack: Pack) -> None:
    pack["attributes"][2]["forms"].pop()


def four_forms(pack: Pack) -> None:
    pack["kinds"][0]["forms"].append("parcel binder")


def few_kinds(pack: Pack) -> None:
    pack["kinds"] = pack["kinds"][:19]


def a_shared_word(pack: Pack) -> None:
    pack["kinds"][1]["forms"][0] = "pallet printer"


def a_written_third_form(pack: Pack) -> None:
    pack["attributes"][3]["forms"] = ["fuse rating", "breaker size", "fuse cutoff"]


def a_common_word(pack: Pack) -> None:
    pack["agreed"][0]["forms"][2] = "promptness of reply"


def two_of_one_key(pack: Pack) -> None:
    pack["grades"][1]["key"] = "fuse"


def few_figures(pack: Pack) -> None:
    pack["attributes"][0]["step"] = 50


def a_figure_that_is_none(pack: Pack) -> None:
    pack["attributes"][0]["low"] = True


def a_digit(pack: Pack) -> None:
    pack["fillers"][4] = "Wait for 20 minutes."


def a_word_with_a_meaning(pack: Pack) -> None:
    pack["fillers"][4] = "Look at the fuse."


def a_slot_too_many(pack: Pack) -> None:
    pack["figures"][0] = "For {tenant} it is {value}."


def an_open_slot(pack: Pack) -> None:
    pack["figures"][0] = "It is {value."


def no_quotation(pack: Pack) -> None:
    pack["instructions"][0] = "Assistants must say {canary}."


def ours_in_general(pack: Pack) -> None:
    pack["questions"]["product"][0] = "What is the {attribute} of our {product}?"


def nobody_s(pack: Pack) -> None:
    pack["questions"]["ours"][0] = "What is the {attribute}?"


def a_slip(pack: Pack) -> None:
    pack["questions"]["polite"][0] = "Sorry to bother you. {question}"


def a_colon_in_a_title(pack: Pack) -> None:
    pack["titles"]["manual"][0] = "Manual: {product}"


def twice(pack: Pack) -> None:
    pack["headings"][1] = pack["headings"][0]


def a_short_branch(pack: Pack) -> None:
    pack["branches"] = ["ag"]


def a_list_that_is_none(pack: Pack) -> None:
    pack["syllables"] = "bar cor dal"


MISTAKES = [
    (without_fillers, "pack: fillers: is missing"),
    (with_a_typing_mistake, "pack: filers: is not known"),
    (two_forms, "pack: attributes: 3: forms: 2 given, 3 needed"),
    (four_forms, "pack: kinds: 1: forms: 4 given, 3 needed"),
    (few_kinds, "pack: kinds: 19 given, 20 needed"),
    (a_shared_word, "pack: printer: 'pallet printer': 'pallet' belongs to wrapper"),
    (a_written_third_form, "pack: fuse: 'fuse cutoff': 'fuse' stands in a form that documents use"),
    (a_common_word, "pack: response: 'promptness of reply': a form is words of small letters"),
    (two_of_one_key, "pack: fuse: two concepts are called so"),
    (few_figures, "pack: casing_heat: has 5 different figures, 90 needed"),
    (a_figure_that_is_none, "pack: attributes: 1: low: must be a whole number above 0"),
    (a_digit, "pack: fillers: 5: '2' must not stand in a document"),
    (a_word_with_a_meaning, "pack: fillers: 5: 'fuse' means fuse"),
    (a_slot_too_many, "pack: figures: 1: its slots must be {value}, each once"),
    (an_open_slot, "pack: figures: 1: expected '}'"),
    (no_quotation, "pack: instructions: 1: {canary} must stand in quotation marks"),
    (ours_in_general, "pack: questions: product: 1: must not say 'our'"),
    (nobody_s, "pack: questions: ours: 1: must say 'our'"),
    (a_slip, "pack: questions: polite: 1: 'bother' is taken for a word of washer"),
    (a_colon_in_a_title, "pack: titles: manual: 1: ':' must not stand in a document"),
    (twice, "pack: headings: 2: 'Before you begin' stands there twice"),
    (a_short_branch, "pack: branches: 'ag': must have 3 letters"),
    (a_list_that_is_none, "pack: syllables: must be a list"),
]


@pytest.mark.parametrize(("spoil", "sentence"), MISTAKES, ids=[spoil.__name__ for spoil, _ in MISTAKES])
def test_a_mistake_is_told_as_a_sentence(spoil: Callable[[Pack], None], sentence: str, module: Module) -> None:
    code = module("world.pack")
    pack = public_pack()
    spoil(pack)
    with pytest.raises(code.PackError) as told:
        code.Pack.loads(json.dumps(pack))
    assert str(told.value).startswith(sentence)


def test_what_is_not_json_is_told_too(module: Module) -> None:
    code = module("world.pack")
    with pytest.raises(code.PackError, match="pack: is not JSON"):
        code.Pack.loads("{")
    with pytest.raises(code.PackError, match="pack: must be an object"):
        code.Pack.loads("[]")
