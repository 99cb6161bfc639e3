"""docs/recipes.md: its lists of keys are the schema's, and its recipes can be read."""

from __future__ import annotations

import re

import pytest
import recipe_page

import slimlab as sl

TEXT = recipe_page.PAGE.read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def test_the_lists_are_those_of_the_schema():
    assert recipe_page.with_keys(TEXT) == TEXT, "run: python tools/recipe_page.py"


def test_every_key_of_every_part_is_explained():
    for line in recipe_page.page_keys().splitlines():
        if line.startswith("| `"):
            key, _, _, meaning = line.strip("| ").replace("\\|", "").split(" | ")[:4]
            assert len(meaning.strip()) > 3, f"{key} is not explained"


@pytest.mark.parametrize("text", blocks("yaml"))
def test_its_recipes_can_be_read_and_written(text):
    recipe = sl.Recipe.from_yaml(text)
    assert sl.Recipe.from_yaml(recipe.to_yaml()) == recipe


def test_what_it_says_of_1x_names_keys_that_there_are():
    known = set(re.findall(r"^\| `(\w+)`", recipe_page.page_keys(), flags=re.MULTILINE))
    known |= {"uniform", "sensitivity", "auto", "fsp", "l2", "soft_label", "prune", "quantize"}
    known |= {"method", "--checkpoint-dir", "NAME", "true", "Compressor(teachers=", ")"}
    table = TEXT.partition("| 1.x | here |")[2].partition("\n\n")[0]
    for row in table.splitlines()[2:]:
        here = row.split(" | ")[1]
        for words in re.findall(r"`([^`]+)`", here):
            for word in re.split(r"[.:{} ]+", words.strip(" .{}")):
                assert word in known or not word, f"{word!r} in {row}"


def test_the_recipes_that_it_names_ship():
    for name in re.findall(r"imagenet_\w+", TEXT):
        assert name in sl.shipped_recipes()
