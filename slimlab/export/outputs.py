"""Floor 2. Which value of a traced program each layer gives, and what the model's layers give."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import Layer

from slimlab.evaluate import inference
from slimlab.layers import sublayers
from slimlab.trace import Op, Program, Value


def layer_values(program: Program) -> dict[str, Value]:
    """The last value in which each layer's own tensors have a part, in execution order.

    Layers without tensors have none here; of a layer that is called twice it is the last call's.
    """
    owners: dict[int, str] = {}  # values made of parameters and constants alone
    found: dict[str, Value] = {}
    for op in program.ops:
        taken = [v for v in op.inputs if v is not None]
        flowing = [v for v in taken if not v.parameter and v.id not in owners]
        layers = [_owner(v, owners) for v in taken]
        named = [name for name in layers if name]
        if not flowing:
            for value in op.outputs:
                if value is not None:
                    owners[value.id] = named[0] if named else ""
        elif named:
            _note(op, named[-1], found)
    return found


def _owner(value: Value, owners: dict[int, str]) -> str:
    if value.parameter:
        return value.parameter.rpartition(".")[0]
    return owners.get(value.id, "")


def _note(op: Op, layer: str, found: dict[str, Value]) -> None:
    value = op.outputs[0] if op.outputs else None
    if value is not None and value.dtype == "float32":
        found.pop(layer, None)
        found[layer] = value


def layer_outputs(
    model: Layer, inputs: Sequence[Tensor], layers: Collection[str]
) -> dict[str, NDArray[np.float32]]:
    """What some layers give for these inputs; a layer that gives no single tensor is left out.

    Hooks are put on the model for that time.
    """
    found: dict[str, NDArray[np.float32]] = {}

    def note(name: str) -> Any:
        def hook(layer: Layer, taken: Any, made: Any) -> None:
            if isinstance(made, Tensor):
                found[name] = made.numpy()

        return hook

    known = sublayers(model)
    hooks = [known[name].register_forward_post_hook(note(name)) for name in layers if name in known]
    try:
        with inference(model):
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found
