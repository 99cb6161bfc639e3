"""Writes the lists of keys in docs/recipes.md from the JSON Schema of recipes.

python tools/recipe_page.py            writes the page
python tools/recipe_page.py --check    says whether it is as it should be
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import slimlab as sl

PAGE = Path(__file__).resolve().parents[1] / "docs" / "recipes.md"
START, END = "<!-- keys: tools/recipe_page.py -->", "<!-- end -->"
TITLES = {
    "ModelSource": "`model`",
    "TaskSettings": "`task`",
    "TrainingSettings": "`training`",
    "ScheduleSettings": "`training.schedule`",
    "CheckpointSettings": "`checkpoint`",
    "Prune": "`strategies`: `prune`",
    "ScopeSettings": "`prune.scope`",
    "ScanSettings": "`prune.scan`",
    "SearchSettings": "`prune.search`",
    "FineTune": "`strategies`: `fine_tune`",
    "Distill": "`strategies`: `distill`",
    "TeacherSource": "`distill.teachers.NAME`",
    "Quantize": "`strategies`: `quantize`",
}


def page_keys() -> str:
    """Give a table of keys for each part of a recipe."""
    schema = sl.recipe_schema()
    missing = set(schema["$defs"]) ^ set(TITLES)
    if missing:
        message = f"TITLES and the schema differ in {sorted(missing)}"
        raise ValueError(message)
    parts = ["### The recipe", "", *_table(schema)]
    for name, title in TITLES.items():
        part = schema["$defs"][name]
        parts += ["", f"### {title}", "", _words(part["description"]), "", *_table(part)]
        if name == "Distill":
            parts += _losses(part["properties"]["losses"]["items"]["oneOf"])
    return "\n".join(parts)


def _losses(losses: list[dict[str, Any]]) -> Iterator[str]:
    """Each loss by its own keys, after those that all of them have."""
    shared = set.intersection(*(set(loss["properties"]) for loss in losses))
    yield from ("", "### `distill.losses`", "", "Every loss has these keys:", "")
    kinds = [loss["properties"]["loss"]["const"] for loss in losses]
    every = {**losses[0]["properties"]["loss"], "enum": kinds}
    del every["const"]
    properties = {**losses[0]["properties"], "loss": every}
    yield from _table({**losses[0], "properties": properties}, only=shared)
    for loss in losses:
        own = set(loss["properties"]) - shared
        yield from ("", f"#### `{loss['properties']['loss']['const']}`", "")
        yield _words(loss["description"])
        if own:
            yield from ("", *_table(loss, only=own))


def _table(part: dict[str, Any], only: set[str] | None = None) -> Iterator[str]:
    yield "| key | takes | default | what it is |"
    yield "|---|---|---|---|"
    properties = part["properties"]
    for key in sorted(properties, key=lambda key: key not in ("strategy", "loss")):
        value = properties[key]
        if only is not None and key not in only:
            continue
        default = "needed" if key in part.get("required", ()) else _default(value)
        yield f"| `{key}` | {_takes(value)} | {default} | {_words(value.get('description', ''))} |"


def _default(value: dict[str, Any]) -> str:
    found = value.get("default")
    return "" if found is None or found in ([], "") else f"`{str(found).lower()}`"


def _takes(value: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{word}`" for word in value["enum"])
    if "$ref" in value:
        return _part(value)
    if "oneOf" in value:
        return "one of those below"
    if "anyOf" in value:
        kinds = [_takes(one) for one in value["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if value["type"] == "array":
        items = value.get("prefixItems")
        inner = ", ".join(map(_takes, items)) if items else f"list of {_takes(value['items'])}"
        return f"[{inner}]" if items else inner
    if value["type"] == "object":
        return f"names with {_takes(value['additionalProperties'])}"
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true, false",
    }
    return words[value["type"]] + _range(value)


def _part(value: dict[str, Any]) -> str:
    return TITLES[value["$ref"].removeprefix("#/$defs/")]


def _range(value: dict[str, Any]) -> str:
    found = []
    for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"),
                      ("exclusiveMaximum", "<")):  # fmt: skip
        if key in value and abs(value[key]) < 10_000:
            found.append(f"{sign} {value[key]:g}")
    return f", {', '.join(found)}" if found else ""


def _words(text: str) -> str:
    first = text.split("\n\n")[0]
    return " ".join(first.split()).replace("|", "\\|").replace("``", "`")


def with_keys(text: str) -> str:
    """Put the tables between the page's marks."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n\n{page_keys()}\n\n{END}{rest.partition(END)[2]}"


def main() -> int:
    """Write the page, or check it."""
    text = PAGE.read_text(encoding="utf-8")
    made = with_keys(text)
    if "--check" in sys.argv[1:]:
        return int(text != made)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
