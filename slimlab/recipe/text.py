"""Floor 4. YAML as plain data, bounded, with the line of every key; knows nothing of recipes.

Text is read as YAML 1.2's core schema: `1e-3` is a number, `yes` and `on` are words. Tags, merge
keys, doubled keys, and text that would grow when its aliases are filled in are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from slimlab.errors import RecipeError

MAX_CHARACTERS = 262_144
MAX_DEPTH = 24
MAX_VALUES = 20_000  # after all aliases were filled in
MAX_DIGITS = 40
SHOWN = 60  # characters of a wrong key in a sentence
Path = tuple[str | int, ...]

TAG = "tag:yaml.org,2002:"
IMPLICIT = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2."""


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would take for something other than a word."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write values out each time: aliases are for people."""
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    # PyYAML loses these line ends in all but double quotes.
    quoted = any(end in text for end in "\x85\u2028\u2029\ufeff")
    return dumper.represent_scalar(TAG + "str", text, style='"' if quoted else None)


_Dumper.add_representer(str, _represent_text)
_Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in IMPLICIT:
    for _class in (_Loader, _Dumper):
        _letters = [*_first, ""] if _name == "null" else list(_first)
        _class.add_implicit_resolver(TAG + _name, re.compile(f"^(?:{_pattern})$"), _letters)


@dataclass(frozen=True)
class Document:
    """What a YAML text says, and where.

    Attributes
    ----------
    data
        Dictionaries, lists, strings, numbers, booleans and None.
    lines
        Path of keys and indices -> line, counted from 1.
    """

    data: dict[str, Any]
    lines: dict[Path, int] = field(default_factory=dict)

    def line_of(self, path: Sequence[str | int]) -> int | None:
        """The line of a place, or of the nearest place around it that is in the text.

        Elements of `path` that are in no key, such as the name of a variant, are skipped.
        """
        found: Path = ()
        for element in path:
            if (*found, element) in self.lines:
                found = (*found, element)
        return self.lines.get(found)


def read_yaml(text: str) -> Document:
    r"""Read a YAML text whose top is a mapping.

    Raises
    ------
    RecipeError
        For anything else, with the line where there is one.

    Examples
    --------
    >>> from slimlab.recipe.text import read_yaml
    >>> document = read_yaml("a: 1e-3\nb: [yes, 2]")
    >>> document.data, document.line_of(("b", 1))
    ({'a': 0.001, 'b': ['yes', 2]}, 2)
    """
    if len(text) > MAX_CHARACTERS:
        msg = f"The text has {len(text):,} characters; a recipe has at most {MAX_CHARACTERS:,}."
        raise RecipeError(msg, characters=len(text), line=None)
    try:
        _check_events(text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        what = " ".join(str(part) for part in (error.context, error.problem) if part)
        msg = f"{at_line(line)}this is no YAML: {what}."
        raise RecipeError(msg, line=line) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        # PyYAML lets some through from Python, such as an escape beyond the last character.
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = f"This is no YAML: {first}."
        raise RecipeError(msg, line=None) from None
    if not isinstance(root, yaml.MappingNode):
        what = "empty" if root is None else "a " + type(root).__name__.removesuffix("Node").lower()
        msg = f"The text is {what}; a recipe is a mapping of keys to values, such as `version: 1`."
        raise RecipeError(msg, line=None)
    reading = _Reading()
    data = reading.value(root, ())
    return Document(data, reading.lines)


def write_yaml(data: dict[str, Any]) -> str:
    """Give plain data as YAML that `read_yaml` reads back equal."""
    return str(
        yaml.dump(
            data,
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=90,
            default_flow_style=None,
        )
    )


def at_line(line: int | None) -> str:
    """Give the beginning of a sentence about a line, or nothing."""
    return "" if line is None else f"Line {line}: "


def stop(sentence: str, line: int | None) -> NoReturn:
    """Refuse the text with a sentence that starts with the line.

    Raises
    ------
    RecipeError
        Always.
    """
    msg = f"{at_line(line)}{sentence}"
    raise RecipeError(msg, line=line)


def _check_events(text: str) -> None:
    """Refuse depth and size before anything recursive sees the text."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            stop(f"Values lie more than {MAX_DEPTH} deep.", _line(event.start_mark))
        if count > 2 * MAX_VALUES:
            stop(f"There are more than {MAX_VALUES:,} values.", _line(event.start_mark))


def _line(mark: Any) -> int:
    return int(mark.line) + 1


class _Reading:
    """Turns nodes into data, counting as it goes."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self._values = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._values += 1
        if self._values > MAX_VALUES or len(path) > MAX_DEPTH:
            stop(
                f"There are more than {MAX_VALUES:,} values, or they lie more than {MAX_DEPTH} "
                "deep, when the aliases (*name) are filled in.",
                line,
            )
        if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
            return [self.value(child, (*path, i)) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, line)
        stop(f"The tag {node.tag!r} is not for recipes; leave it out.", line)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != TAG + "str":
                given = getattr(key_node, "value", "")
                shown = repr(given[:SHOWN]) if isinstance(given, str) else "a collection"
                msg = f"Key {shown} is no word; put it into quotes if it is meant as one."
                stop(msg, line)
            key = key_node.value
            if key == "<<":
                stop("Merge keys (<<) are not for recipes; write the values out.", line)
            if key in found:
                before = self.lines[(*path, key)]
                stop(f"Key {key[:SHOWN]!r} is given twice, first in line {before}.", line)
            self.lines[(*path, key)] = line
            found[key] = self.value(child, (*path, key))
        return found


def _scalar(node: yaml.ScalarNode, line: int) -> Any:
    text, kind = node.value, node.tag.removeprefix(TAG)
    if kind == "str":
        return text
    if kind in ("int", "float") and len(text) > MAX_DIGITS:
        stop(f"The number {text[:20]}... has {len(text)} characters.", line)
    try:
        if kind == "null" and text in ("", "~", "null", "Null", "NULL"):
            return None
        if kind == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if kind == "int":
            return int(text)
        if kind == "float":
            number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            if math.isfinite(number):
                return number
            stop(f"{text} is no finite number.", line)
    except ValueError:
        pass
    stop(f"{text[:40]!r} with the tag {node.tag!r} is not for recipes.", line)
