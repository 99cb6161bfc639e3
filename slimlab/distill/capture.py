"""Floor 1. Outputs of a model's layers, read by hooks that are removed whatever happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import DistillError, nearest
from slimlab.layers import sublayers


@contextmanager
def captured(
    model: Layer, names: Iterable[str], *, role: str = "model"
) -> Iterator[dict[str, Tensor]]:
    """Collect the outputs of layers in the forward passes inside the block.

    A layer that is called several times gives the output of its last call; one that is not called
    gives nothing. Hooks see calls (``self.conv(x)``), not ``self.conv.forward(x)``.

    Parameters
    ----------
    model
        It has no hook of this left afterwards, also after an exception.
    names
        Structured names of layers.
    role
        What error sentences call the model.

    Yields
    ------
    dict
        Name to output; filled in by the forward pass. Gradients flow through it.

    Raises
    ------
    DistillError
        For a layer that does not exist, or gives something other than a tensor.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.distill import captured
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> with captured(model, ["classifier"]) as seen:
    ...     _ = model(task.example)
    >>> tuple(seen["classifier"].shape)
    (1, 10)
    """
    layers = sublayers(model)
    seen: dict[str, Tensor] = {}
    handles = []
    try:
        for name in dict.fromkeys(names):
            if name not in layers:
                msg = f"The {role} has no layer {name!r}. {nearest(name, filter(None, layers))}"
                raise DistillError(msg, layer=name, role=role)
            hook = _Keep(seen, name, role)
            handles.append(layers[name].register_forward_post_hook(hook))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


class _Keep:
    """A hook that keeps a layer's output under a name."""

    def __init__(self, seen: dict[str, Tensor], name: str, role: str) -> None:
        self._seen, self._name, self._role = seen, name, role

    def __call__(self, layer: Layer, inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            msg = (
                f"Layer {self._name!r} of the {self._role} gives a {type(output).__name__}, not a "
                "tensor; choose a layer inside or after it."
            )
            raise DistillError(msg, layer=self._name, role=self._role)
        # A copy: an activation that works in place would change what was kept.
        self._seen[self._name] = output.clone()
