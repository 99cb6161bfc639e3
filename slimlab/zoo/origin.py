"""Floor 1. Where a model came from: the constructor that makes its architecture again.

Knows which constructors may be called by name; refuses every other, so that a file can't make this
program call something else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from paddle.nn import Layer

from slimlab.errors import ArtifactError, nearest
from slimlab.zoo.mobilenet import mobilenet_v1
from slimlab.zoo.resnet import resnet20
from slimlab.zoo.vgg import vgg

CONSTRUCTORS = {"mobilenet_v1": mobilenet_v1, "resnet20": resnet20, "vgg": vgg}
ZOO, VISION = "zoo", "paddle.vision.models"
ATTRIBUTE = "_slimlab_origin"


@dataclass(frozen=True)
class Origin:
    """A constructor's name and arguments.

    Attributes
    ----------
    constructor
        ``"zoo:mobilenet_v1"``, or ``"paddle.vision.models:resnet18"``.
    kwargs
        Its keyword arguments; all are JSON values.

    Examples
    --------
    >>> from slimlab.zoo.origin import Origin, build
    >>> tuple(build(Origin("zoo:vgg", {"width": 2, "size": 8})).classifier.weight.shape)
    (16, 10)
    """

    constructor: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            kwargs = json.loads(json.dumps(dict(self.kwargs)))
        except (TypeError, ValueError) as error:
            msg = f"The arguments of {self.constructor} can't be written as JSON: {error}."
            raise ArtifactError(msg, constructor=self.constructor) from error
        object.__setattr__(self, "kwargs", MappingProxyType(kwargs))

    def __deepcopy__(self, memo: dict[int, object]) -> Origin:
        # Immutable, and a mapping proxy can't be copied: models are deep-copied with their origin.
        return self

    def to_dict(self) -> dict[str, Any]:
        """Give a value for JSON."""
        return {"constructor": self.constructor, "kwargs": dict(self.kwargs)}

    @classmethod
    def from_dict(cls, value: object) -> Origin:
        """Read what `to_dict` gave; raises `ArtifactError` for anything else."""
        if (
            not isinstance(value, Mapping)
            or set(value) != {"constructor", "kwargs"}
            or not isinstance(value["constructor"], str)
            or not isinstance(value["kwargs"], Mapping)
        ):
            msg = f"{value!r} is not an origin: a constructor's name and its kwargs are expected."
            raise ArtifactError(msg, value=value)
        return cls(value["constructor"], value["kwargs"])


def set_origin(model: Layer, origin: Origin) -> None:
    """Note on a model which constructor made it; deep copies keep the note."""
    object.__setattr__(model, ATTRIBUTE, origin)


def origin_of(model: Layer) -> Origin | None:
    """Give the note of `set_origin`; None for a model that has none, such as a user's own."""
    origin = getattr(model, ATTRIBUTE, None)
    return origin if isinstance(origin, Origin) else None


def build(origin: Origin) -> Layer:
    """Make the model of an origin, with random weights and the origin noted on it.

    Raises
    ------
    ArtifactError
        When the constructor is unknown or doesn't take the arguments.
    """
    constructor = _constructor(origin)
    try:
        model = constructor(**origin.kwargs)
    except TypeError as error:
        msg = f"{origin.constructor} can't be called with {dict(origin.kwargs)}: {error}."
        raise ArtifactError(msg, constructor=origin.constructor) from error
    set_origin(model, origin)
    return model


def vision_names() -> tuple[str, ...]:
    """Give the names of the network functions in ``paddle.vision.models``, such as resnet18."""
    from paddle.vision import models

    return tuple(
        name for name in models.__all__ if name.islower() and callable(getattr(models, name))
    )


def _constructor(origin: Origin) -> Any:
    place, _, name = origin.constructor.partition(":")
    if place == ZOO and name in CONSTRUCTORS:
        return CONSTRUCTORS[name]
    if place == VISION and name in vision_names():
        from paddle.vision import models

        return getattr(models, name)
    known = [f"{ZOO}:{n}" for n in CONSTRUCTORS] + [f"{VISION}:{n}" for n in vision_names()]
    msg = (
        f"There is no constructor {origin.constructor!r}. {nearest(origin.constructor, known)} "
        "Load a network of your own with model=."
    )
    raise ArtifactError(msg, constructor=origin.constructor)
