"""Floor 4. The base of everything in a recipe: frozen, strict about keys, speaking in sentences.

Knows pydantic, and is the only module that turns its errors into words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, cast, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from slimlab.errors import RecipeError, nearest
from slimlab.recipe.text import Document

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _Meta
else:  # the name is private to pydantic, the class is not
    _Meta = type(BaseModel)

SHOWN = 60  # characters of a wrong value in a sentence


class _Speaking(_Meta):
    """Makes a constructor called from Python raise `RecipeError`."""

    def __call__(cls, *args: Any, **values: Any) -> Any:  # noqa: N805 - a metaclass
        try:
            return super().__call__(*args, **values)
        except ValidationError as error:
            raise recipe_error(error, cast("type[BaseModel]", cls)) from None


class Settings(BaseModel, metaclass=_Speaking):
    """Base of the values in a recipe."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what counts: without what belongs to something else, the kind of thing first."""
        values = {k: v for k, v in write(self).items() if k not in self.idle}
        first = {key: values.pop(key) for key in ("strategy",) if key in values}
        return {**first, **values}

    @property
    def idle(self) -> tuple[str, ...]:
        """Keys that have no meaning beside what was chosen; they hold their defaults."""
        return ()


def refuse(sentence: str, *at: str | int) -> NoReturn:
    """Refuse values from inside a validator.

    Parameters
    ----------
    sentence
        What was found and what to do.
    *at
        Keys and indices from the value in hand to the place that is meant.

    Raises
    ------
    PydanticCustomError
        Always.
    """
    kind, words = "refused", "{sentence}"
    raise PydanticCustomError(kind, words, {"sentence": sentence, "at": list(at)})


def unknown_key(key: object, known: Iterable[str]) -> str:
    """Give the sentence on a key that does not exist."""
    shown = str(key)[:SHOWN]
    return f"Unknown key {shown!r}. {nearest(shown, known)}"


def recipe_error(
    error: ValidationError,
    model: type[BaseModel],
    document: Document | None = None,
    source: str = "",
) -> RecipeError:
    """Give the first of pydantic's errors, in the order of the text, with path and line.

    Parameters
    ----------
    error
        Of `model`, which was being validated.
    document, source
        The text and the name of its file, where there are any.
    """
    details = error.errors(include_url=False)
    paths = [_full_path(each) for each in details]
    # An error inside a value says more than that the value is wrong; what is missing says least.
    inner = [i for i, path in enumerate(paths) if not any(_starts(p, path) for p in paths)]
    lines = [_line(each, document) for each in details]
    place = min(inner, key=lambda i: (details[i]["type"] == "missing", lines[i] or 0, i))
    detail, line = details[place], lines[place]
    path = _path(detail, document)
    where = " ".join(part for part in (source, f"line {line}" if line else "") if part)
    shown = _dotted(path)
    start = ": ".join(part for part in (where, shown) if part)
    sentence = _sentence(detail)
    if detail["type"] == "extra_forbidden":
        sentence = unknown_key(detail["loc"][-1], _known_keys(model, detail["loc"]))
    msg = f"{start}: {sentence}" if start else sentence
    return RecipeError(msg, line=line, path=shown, source=source or None)


def _known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that are known where the last element of a path lies."""
    models = [model]
    for element in path[:-1]:
        inside = [
            found
            for each in models
            if element in each.model_fields
            for found in _models_in(each.model_fields[str(element)].annotation)
        ]
        variants = [m for m in models if _variant(m) == element]
        models = inside or variants or models
    return list(dict.fromkeys(key for each in models for key in each.model_fields))


def _variant(model: type[BaseModel]) -> object:
    tag = model.model_fields.get("strategy")
    return None if tag is None else tag.default


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]


def _starts(longer: Sequence[str | int], path: Sequence[str | int]) -> bool:
    return len(longer) > len(path) and list(longer[: len(path)]) == list(path)


def _full_path(detail: Any) -> list[str | int]:
    at = detail.get("ctx", {}).get("at", [])
    return [*detail["loc"], *at]


def _path(detail: Any, document: Document | None) -> list[str | int]:
    """The path as it is in the text: without the names of variants that pydantic puts in."""
    full = _full_path(detail)
    if document is None:
        return full
    found: list[str | int] = []
    for place, element in enumerate(full):
        is_last = place == len(full) - 1
        if (*found, element) in document.lines or (is_last and detail["type"] == "missing"):
            found.append(element)
    return found


def _line(detail: Any, document: Document | None) -> int | None:
    return None if document is None else document.line_of(_full_path(detail))


def _dotted(path: Sequence[str | int]) -> str:
    text = ""
    for element in path:
        text += f"[{element}]" if isinstance(element, int) else f".{element[:SHOWN]}"
    return text.removeprefix(".")


def _sentence(detail: Any) -> str:
    kind, ctx, given = detail["type"], detail.get("ctx", {}), detail.get("input")
    shown = _shown(given)
    if kind == "refused":
        return str(ctx["sentence"])
    if kind == "missing":
        return f"{detail['loc'][-1]!r} is missing; give it a value."
    if kind in ("literal_error", "union_tag_invalid"):
        known = [w.strip(" '") for w in _words(ctx)]
        asked = str(ctx.get("tag", given))
        hint = nearest(asked, known) if isinstance(given, str) or "tag" in ctx else ""
        return (
            f"{asked[:SHOWN]!r} can't be used here; it is one of {', '.join(known)}. {hint}".strip()
        )
    if kind == "union_tag_not_found":
        return f"A key {ctx['discriminator']} is missing: it says what this is."
    return f"{detail['msg']} (found {shown})."


def _words(ctx: Mapping[str, Any]) -> list[str]:
    return str(ctx.get("expected", ctx.get("expected_tags", ""))).replace(" or ", ", ").split(",")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
