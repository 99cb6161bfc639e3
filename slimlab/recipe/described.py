"""Floor 4. What the attributes of a class mean, as its numpy docstring says."""

from __future__ import annotations

import inspect


def attribute_texts(kind: type) -> dict[str, str]:
    """Give name -> text of a class's attributes, those of its bases too.

    Examples
    --------
    >>> from slimlab.distill import FSP
    >>> from slimlab.recipe.described import attribute_texts
    >>> attribute_texts(FSP)["student"]
    'Two layers of each model.'
    """
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        lines = inspect.cleandoc(base.__dict__.get("__doc__") or "").splitlines()
        found |= _texts(_section(lines, "Attributes"))
    return found


def _section(lines: list[str], title: str) -> list[str]:
    """The lines of a section of a numpy docstring."""
    start = next((i for i, line in enumerate(lines[:-1]) if _is_title(lines, i, title)), None)
    if start is None:
        return []
    rest = lines[start + 2 :]
    end = next((i for i in range(len(rest) - 1) if _is_title(rest, i)), len(rest))
    return rest[:end]


def _is_title(lines: list[str], place: int, title: str | None = None) -> bool:
    under = lines[place + 1]
    return bool(under) and set(under) == {"-"} and (title is None or lines[place] == title)


def _texts(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    names: list[str] = []
    for line in lines:
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(":")[0].split(",")]
        elif line.strip():
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found
