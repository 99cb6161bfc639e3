"""Floor 4. Distillation losses in a recipe: every registered loss, by its own fields."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, create_model
from pydantic_core import core_schema

from slimlab.distill import LOSSES, DistillLoss, loss_to_dict
from slimlab.errors import SlimLabError, nearest
from slimlab.recipe.described import attribute_texts
from slimlab.recipe.settings import Settings, refuse, unknown_key


class _LossSettings(Settings):
    """A loss in a recipe."""

    # Its fields are not written down in any source, where pydantic would look for what they mean.
    model_config = ConfigDict(use_attribute_docstrings=False)


def loss_settings(kind: str) -> type[Settings]:
    """Give the model of a registered loss: its name under `loss`, then its fields."""
    loss = LOSSES[kind]
    hints, texts = get_type_hints(loss), attribute_texts(loss)
    members: dict[str, Any] = {"loss": (Literal[kind], Field(..., description="Which loss."))}
    for member in fields(loss):
        default = ... if member.default is MISSING else member.default
        described = Field(default, description=texts.get(member.name))
        members[member.name] = (hints[member.name], described)
    made: type[Settings] = create_model(
        f"{loss.__name__}Loss", __base__=_LossSettings, __doc__=(loss.__doc__ or "").split("\n")[0],
        **members,
    )  # fmt: skip
    return made


def read_loss(values: Any) -> DistillLoss:
    """Give a loss from a recipe's mapping; a loss is given back as it is."""
    if isinstance(values, DistillLoss):
        return values
    if not isinstance(values, dict):
        refuse("A distillation loss is a mapping with a key `loss`, such as {loss: soft_label}.")
    kind = values.get("loss")
    if not isinstance(kind, str) or kind not in LOSSES:
        asked = "" if kind is None else str(kind)[:60]
        refuse(f"There is no distillation loss {asked!r}. {nearest(asked, LOSSES)}", "loss")
    known = ["loss", *(member.name for member in fields(LOSSES[kind]))]
    for key in values:
        if key not in known:
            refuse(unknown_key(key, known), key)
    # As JSON: lists become tuples there even where types are strict.
    try:
        text = json.dumps(values)
    except (TypeError, ValueError):
        refuse("A distillation loss is made of words, numbers and lists.")
    found = loss_settings(kind).model_validate_json(text, strict=True)
    try:
        return LOSSES[kind](**{k: getattr(found, k) for k in values if k != "loss"})
    except SlimLabError as error:
        refuse(str(error))


class _LossField:
    """How pydantic reads, writes and describes a loss."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        write = core_schema.plain_serializer_function_ser_schema(loss_to_dict)
        return core_schema.no_info_plain_validator_function(read_loss, serialization=write)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        # Made when it is asked for: losses that a user registered are in it.
        return {"oneOf": [loss_settings(kind).model_json_schema() for kind in LOSSES]}


LossField = Annotated[DistillLoss, _LossField]
