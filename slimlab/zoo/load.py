"""Floor 1. Models by name: the zoo's with trained weights, Paddle's own with random ones."""

from __future__ import annotations

import inspect
from typing import Any

from paddle.nn import Layer

from slimlab.errors import SlimLabError, TaskError, nearest
from slimlab.task import Task
from slimlab.zoo.origin import CONSTRUCTORS, VISION, ZOO, Origin, build, vision_names
from slimlab.zoo.shipped import load_weights, read_index

PADDLES = "vision:"  # before a name: Paddle's network, not the zoo's


def load_model(
    name: str | Layer, task: Task | None = None, *, pretrained: bool = True, **kwargs: Any
) -> Layer:
    """Give a model in evaluation mode, by name or as it is.

    Parameters
    ----------
    name
        - ``"mobilenet_v1"``, ``"resnet20"``, ``"vgg"``: the zoo's networks, with the weights
          trained for `task`. Without a task, or with ``pretrained=False``, they are random.
        - The name of a network function in ``paddle.vision.models``, such as ``"resnet18"``: random
          weights, whatever `pretrained` says. Nothing is ever downloaded. ``"vision:"`` before it
          means Paddle's network where the zoo has one of that name (``"vision:mobilenet_v1"``).
        - A layer of your own: it is given back, switched to evaluation mode.
    task
        What the model is for: its name chooses the trained weights; its classes (and for the zoo's
        networks the channels and size of its images) shape a network with random weights.
    pretrained
        False for random weights of a zoo network, as a task without trained weights needs.
    **kwargs
        For the constructor, such as ``width=0.5``. The trained weights fit their own width only.

    Raises
    ------
    SlimLabError
        When there is no such name (the nearest ones are shown), or the constructor doesn't take
        an argument.
    TaskError
        When the zoo has no weights for the task or for these arguments, naming what it has.
    ArtifactError
        When a file of weights is damaged.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> tuple(sl.load_model("vgg", task).classifier.weight.shape)
    (64, 10)
    >>> tuple(sl.load_model("vgg", task, pretrained=False, width=2).classifier.weight.shape)
    (16, 10)
    """
    if isinstance(name, Layer):
        model = name
    elif name in CONSTRUCTORS:
        model = _zoo_model(name, task, pretrained=pretrained, kwargs=kwargs)
    elif name.removeprefix(PADDLES) in vision_names():
        classes = {} if task is None else {"num_classes": task.num_classes}
        constructor = f"{VISION}:{name.removeprefix(PADDLES)}"
        model = build(Origin(constructor, {**classes, **kwargs, "pretrained": False}))
    else:
        known = [*CONSTRUCTORS, *vision_names()]
        msg = f"There is no model {name!r} in the zoo or in {VISION}. {nearest(str(name), known)}"
        raise SlimLabError(msg, name=name)
    model.eval()
    return model


def _zoo_model(name: str, task: Task | None, *, pretrained: bool, kwargs: dict[str, Any]) -> Layer:
    _check_arguments(name, kwargs)
    shape: dict[str, Any] = {}
    if task is not None:
        channels, size = task.example.shape[1:3]
        shape = {"num_classes": task.num_classes, "in_channels": channels, "size": size}
    if task is None or not pretrained:
        return build(Origin(f"{ZOO}:{name}", _complete(name, {**shape, **kwargs})))
    index = read_index()
    entry = index.get((name, task.name))
    if entry is None:
        have = sorted(known for network, known in index if network == name)
        msg = (
            f"The zoo has no weights of {name} for task {task.name!r}; it has them for {have}. "
            "Use pretrained=False for random weights, and train them with sl.fine_tune."
        )
        raise TaskError(msg, network=name, task=task.name, available=tuple(have))
    wanted = {**shape, **kwargs}
    differing = {k: v for k, v in wanted.items() if entry.kwargs.get(k) != v}
    if differing:
        trained = {k: entry.kwargs.get(k) for k in differing}
        msg = (
            f"The weights of {name} for {task.name!r} were trained with {trained}, not with "
            f"{differing}. Leave these out, or use pretrained=False for random weights."
        )
        raise TaskError(msg, network=name, task=task.name, trained=trained, wanted=differing)
    model = build(Origin(entry.constructor, entry.kwargs))
    load_weights(model, entry)
    return model


def _complete(name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Fill in the constructor's defaults, so that an origin outlives a change of them."""
    parameters = inspect.signature(CONSTRUCTORS[name]).parameters
    return {k: kwargs.get(k, parameter.default) for k, parameter in parameters.items()}


def _check_arguments(name: str, kwargs: dict[str, Any]) -> None:
    known = list(inspect.signature(CONSTRUCTORS[name]).parameters)
    for key in kwargs:
        if key not in known:
            msg = f"{name} takes no argument {key!r}. {nearest(key, known)}"
            raise SlimLabError(msg, network=name, argument=key)
