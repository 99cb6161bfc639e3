"""Thousands of malformed recipes: each ends in a sentence, none in another exception."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_values import mutations, odd

import slimlab as sl
from slimlab.recipe.text import write_yaml

SHIPPED = {name: path.read_text(encoding="utf-8") for name, path in sl.shipped_recipes().items()}
DATA = {name: yaml.safe_load(text) for name, text in SHIPPED.items()}


def check(text):
    """Read a text; what is refused is refused in words, with a line that exists."""
    error = None
    try:
        recipe = sl.Recipe.from_yaml(text)
    except sl.RecipeError as refused:
        error = refused
    if error is None:
        assert sl.Recipe.from_yaml(recipe.to_yaml()) == recipe
        return
    words = str(error)
    assert 10 < len(words) < 2000
    assert " " in words
    assert "Traceback" not in words
    assert error.line is None or 1 <= error.line <= len(text.splitlines()) + 1


@st.composite
def mutated(draw):
    """A shipped recipe with a few keys dropped, renamed, doubled, moved, or of other values."""
    return draw(mutations(DATA[draw(st.sampled_from(sorted(DATA)))]))


@given(mutated())
@settings(max_examples=600, deadline=None)
def test_mutated_values(data):
    try:
        text = write_yaml(data)
    except (UnicodeEncodeError, RecursionError, ValueError):
        return
    check(text)


@pytest.mark.slow
@given(mutated())
@settings(max_examples=10_000, deadline=None)
def test_many_more_mutated_values(data):
    try:
        text = write_yaml(data)
    except (UnicodeEncodeError, RecursionError, ValueError):
        return
    check(text)


@given(st.sampled_from(sorted(SHIPPED)), st.data())
@settings(max_examples=300, deadline=None)
def test_truncated_text(name, data):
    text = SHIPPED[name]
    check(text[: data.draw(st.integers(0, len(text)))])


@given(st.sampled_from(sorted(SHIPPED)), st.data())
@settings(max_examples=600, deadline=None)
def test_text_with_pieces_put_in(name, data):
    text = SHIPPED[name]
    piece = data.draw(
        st.one_of(
            st.text(max_size=5),
            st.sampled_from(
                ["!!python/object/apply:os.system [x]", "!!python/name:os.system ", "!!set {a}",
                 "!!omap [a: 1]", "!!timestamp 2001-01-01", "!!int x", "!!float x", "!!bool x",
                 "!!null x", "!!binary ==", "!x ", "!<tag:x> ", "&a ", "*a", "<<: ", "? ", "---\n",
                 "...\n", "%YAML 9.9\n", "%TAG ! x\n", "\t", "\x00", "\x85", "\ufeff", "[", "{",
                 "]", "}", ": ", "- ", "|", ">", "'", '"', "#", "\\", '"\\UFFFFFFFF"', '"\\x"',
                 "9" * 5000, "-.inf", ".nan", "1e999", "0o7", "0x1F", "1_0", "12:30", "\r", "\n"],
            ),
        )
    )  # fmt: skip
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 4))
    check(text[:at] + piece + text[at + cut :])


@pytest.mark.parametrize(
    "text", ["{key}: 1", "version: 1\n{key}: 2\n{key}: 2", "model: {{{key}: 1}}", "9{key}: 1"]
)
@pytest.mark.parametrize("letter", ["n", "9"])
def test_a_long_key_is_told_in_short(text, letter):
    check(text.format(key=letter * 5000))


@given(st.text(max_size=80))
@settings(max_examples=400, deadline=None)
def test_any_text(text):
    check(text if not text.endswith((".yaml", ".yml")) else text + "\n")


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_file(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    with pytest.raises(sl.RecipeError, match=r"any\.yaml"):
        sl.Recipe.from_yaml(path)


@given(st.dictionaries(st.sampled_from([*sl.Recipe.model_fields, "x"]), odd, max_size=7))
@settings(max_examples=300, deadline=None)
def test_made_in_python(values):
    with pytest.raises(sl.RecipeError):
        sl.Recipe(**values)


@given(
    st.sampled_from([sl.Prune, sl.Distill, sl.Quantize, sl.FineTune]),
    st.data(),
)
@settings(max_examples=500, deadline=None)
def test_strategies_made_in_python(kind, data):
    values = data.draw(st.dictionaries(st.sampled_from([*kind.model_fields, "x"]), odd, max_size=5))
    with contextlib.suppress(sl.RecipeError):
        kind(**values)


def test_nothing_is_run(tmp_path):
    mark = tmp_path / "mark"
    for tag in ("!!python/object/apply:pathlib.Path.touch", "!!python/object/new:open"):
        text = SHIPPED["digits"].replace("name: digits", f'name: {tag} ["{mark}"]', 1)
        with pytest.raises(sl.RecipeError, match="tag"):
            sl.Recipe.from_yaml(text)
    assert not mark.exists()
