"""Floor 2. All that a training's next steps depend on, as arrays under structured names.

Paddle names an optimizer's tensors after parameters whose names count what the process has made;
here they are named after the place in the model, so that another process finds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import ArtifactError, nearest
from slimlab.layers import Tensors

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Snapshot:
    """A training between two steps.

    Attributes
    ----------
    student, average
        Tensors of the model, and of the average of its weights where there is one.
    optimizer
        What the optimizer keeps: ``"moment1 layer.weight"`` and so on.
    adapters
        Tensors of each distillation adapter.
    updates
        How often the average was updated.
    """

    student: Arrays
    optimizer: Arrays = field(default_factory=dict)
    adapters: Mapping[str, Arrays] = field(default_factory=dict)
    average: Arrays | None = None
    updates: int = 0


def arrays_of(model: Layer) -> Arrays:
    """Copy a model's tensors, each once, under its structured name."""
    state = model.state_dict()
    return {name: np.array(state[name].numpy()) for name in Tensors.of(model).slots}


def fill(model: Layer, arrays: Mapping[str, NDArray[Any]], what: str) -> None:
    """Put arrays into a model's tensors.

    Raises
    ------
    ArtifactError
        When names or shapes differ; the first difference is named.
    """
    state = model.state_dict()
    slots = list(Tensors.of(model).slots)
    for name in slots:
        found = arrays.get(name)
        if found is None or list(found.shape) != list(state[name].shape):
            have = "missing" if found is None else list(found.shape)
            msg = f"Of {what}, tensor {name!r} is {have}; {list(state[name].shape)} is needed."
            raise ArtifactError(msg, parameter=name)
    for name in arrays:
        if name not in slots:
            msg = f"There is a tensor {name!r}, which {what} does not have. {nearest(name, slots)}"
            raise ArtifactError(msg, parameter=name)
    for name in slots:
        state[name].set_value(_tensor(arrays[name], state[name]))


def optimizer_arrays(optimizer: Any, parameters: Mapping[str, Tensor]) -> Arrays:
    """Copy what an optimizer keeps of each parameter."""
    names = {parameter.name: name for name, parameter in parameters.items()}
    return {
        f"{kind} {names[parameter]}": np.array(tensor.numpy())
        for kind, kept in optimizer._accumulators.items()
        for parameter, tensor in kept.items()
    }


def fill_optimizer(
    optimizer: Any, parameters: Mapping[str, Tensor], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Put arrays into an optimizer that has taken no step yet.

    Raises
    ------
    ArtifactError
        When they are of another kind of optimizer or of other parameters.
    """
    wanted = {key.split(" ", 1)[1] for key in arrays}
    unknown = sorted(wanted - set(parameters))
    if unknown:
        msg = (
            f"The optimizer's state is of parameter {unknown[0]!r}, which is not trained here. "
            f"{nearest(unknown[0], parameters)}"
        )
        raise ArtifactError(msg, parameter=unknown[0])
    # In the model's order, as the first step would have made them.
    trained = [parameter for name, parameter in parameters.items() if name in wanted]
    if trained:
        # The block is not used in dynamic mode, but some optimizers ask whether it is one.
        block = paddle.base.framework.default_main_program().global_block()
        optimizer._create_accumulators(block, trained)
    made = optimizer_arrays(optimizer, parameters)
    if made.keys() != arrays.keys():
        differing = sorted(made.keys() ^ arrays.keys())
        msg = (
            f"The optimizer's state is of another kind of optimizer: {differing[0]!r} is in one of "
            "the two only."
        )
        raise ArtifactError(msg, kept=differing[0])
    places = {parameter.name: name for name, parameter in parameters.items()}
    for kind, kept in optimizer._accumulators.items():
        for parameter, tensor in kept.items():
            array = arrays[f"{kind} {places[parameter]}"]
            if list(array.shape) != list(tensor.shape):
                msg = (
                    f"The optimizer's {kind} of {places[parameter]!r} has shape "
                    f"{list(array.shape)}; {list(tensor.shape)} is needed."
                )
                raise ArtifactError(msg, parameter=places[parameter])
            tensor.set_value(_tensor(array, tensor))


def _tensor(array: NDArray[Any], like: Tensor) -> Tensor:
    return paddle.to_tensor(array, dtype=like.dtype)
