"""Floor 1. Zero indices of a model's tensors, or cut them off. Knows nothing of groups or plans.

Works on copies only.
"""

from __future__ import annotations

import contextlib
import copy
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.base.framework import EagerParamBase
from paddle.nn import Layer

from slimlab.layers import Tensors, sublayers

_NO_SIZES: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Cut:
    """Indices of one axis of one tensor that channels own.

    Attributes
    ----------
    parameter
        Name of the tensor, as in `state_dict`.
    axis
        The axis.
    length
        Its length before pruning.
    removed
        Indices that go, ascending.
    """

    parameter: str
    axis: int
    length: int
    removed: tuple[int, ...]


def zero(model: Layer, cuts: Sequence[Cut]) -> None:
    """Zero the removed indices of a model in place (of a scratch copy, never of a user's model)."""
    tensors = model.state_dict()
    for name, own in _by_parameter(cuts).items():
        if name.endswith("._variance"):
            continue  # a variance of zero would divide; the scale beside it is zero already
        tensor = tensors[name]
        value = np.array(tensor.numpy())
        for cut in own:
            np.moveaxis(value, cut.axis, 0)[list(cut.removed)] = 0
        tensor.set_value(value)


def _by_parameter(cuts: Sequence[Cut]) -> dict[str, list[Cut]]:
    found: dict[str, list[Cut]] = {}
    for cut in cuts:
        found.setdefault(cut.parameter, []).append(cut)
    return found


def cut_copy(
    model: Layer,
    cuts: Sequence[Cut],
    *,
    values: Mapping[str, NDArray[np.float32]] | None = None,
    sizes: Mapping[str, int] = _NO_SIZES,
) -> Layer:
    """Copy a model without some indices of its tensors.

    Parameters
    ----------
    model
        Not changed.
    cuts
        What to leave out; tensors that layers share are cut once.
    values
        Values to use for some tensors, before the cut, instead of their own.
    sizes
        Numbers that layers remember, as `"layer.attribute"`, and what they are after the cut.
    """
    tensors = model.state_dict()
    slots = Tensors.of(model).slots
    by_parameter = _by_parameter(cuts)
    # What `deepcopy` finds in its memo it takes instead of copying.
    memo: dict[int, Tensor] = {}
    touched: dict[str, tuple[int, ...]] = {}
    given = values or {}
    for name in dict.fromkeys((*by_parameter, *given)):
        tensor = tensors[name]
        value = given[name] if name in given else tensor.numpy()
        for cut in by_parameter.get(name, ()):
            value = np.delete(value, cut.removed, axis=cut.axis)
        memo[id(tensor)] = _like(tensor, np.ascontiguousarray(value))
        if name in by_parameter:
            for slot in slots[name]:
                if slot.attribute in _WEIGHTS:
                    touched[slot.layer] = tuple(tensor.shape)
    small = copy.deepcopy(model, memo)
    layers = sublayers(small)
    for layer_name, old in touched.items():
        _set_sizes(layers[layer_name], old)
    for path, size in sizes.items():
        _hold(layers, path, size)
    return small


def held_size(layers: Mapping[str, Layer], path: str) -> int | None:
    """The number that a layer remembers; `None` if it does not.

    It is given as `"layer.attribute"`, or `"layer.attribute[2]"` in a list.
    """
    layer, attribute, place = _parts(path)
    found = vars(layers[layer]).get(attribute) if layer in layers else None
    if place is not None:
        whole = isinstance(found, (list, tuple)) and place < len(found)
        found = found[place] if whole and found is not None else None
    return found if type(found) is int else None


def _parts(path: str) -> tuple[str, str, int | None]:
    layer, _, name = path.rpartition(".")
    attribute, _, place = name.rstrip("]").partition("[")
    return layer, attribute, int(place) if place.isdigit() else None


def _hold(layers: Mapping[str, Layer], path: str, size: int) -> tuple[dict[str, Any], str, Any]:
    """Let a layer remember another number; give where it was held, and what was there."""
    layer, attribute, place = _parts(path)
    own = vars(layers[layer])
    before = own[attribute]
    # Another list: layers may share one.
    own[attribute] = (
        size if place is None else type(before)([*before[:place], size, *before[place + 1 :]])
    )
    return own, attribute, before


def _like(tensor: Tensor, value: NDArray[np.float32]) -> Tensor:
    """A tensor of the same kind (parameter, buffer, trainable or not) with another value."""
    fresh = paddle.to_tensor(value, dtype=tensor.dtype)
    if not isinstance(tensor, EagerParamBase):
        fresh.stop_gradient = tensor.stop_gradient
        return fresh
    parameter = EagerParamBase.from_tensor(
        fresh,
        trainable=tensor.trainable,
        optimize_attr=tensor.optimize_attr,
        regularizer=tensor.regularizer,
        need_clip=tensor.need_clip,
    )
    parameter.stop_gradient = tensor.stop_gradient
    return parameter


def _set_sizes(layer: Layer, old: tuple[int, ...]) -> None:
    """Bring the sizes a layer remembers in line with its weight (used by its forward and repr)."""
    weight = getattr(layer, "weight", getattr(layer, "_weight", None))
    if weight is None:
        return
    if hasattr(layer, "_groups") and len(old) > 2:
        _set_convolution_sizes(layer, weight, old)
    if hasattr(layer, "_num_groups"):  # GroupNorm loses whole groups
        layer._num_groups = layer._num_groups * weight.shape[0] // old[0]
    for name, axis in _REMEMBERED.items():
        if hasattr(layer, name) and len(old) > axis and getattr(layer, name) == old[axis]:
            setattr(layer, name, weight.shape[axis])


_REMEMBERED = {
    "_num_features": 0,
    "_num_channels": 0,
    "_num_parameters": 0,
    "_embedding_dim": 1,
    "in_features": 0,
    "out_features": 1,
}
_WEIGHTS = frozenset({"weight", "_weight"})
_SIZES = (*_REMEMBERED, "_groups", "_num_groups", "_out_channels", "_in_channels")


def _set_convolution_sizes(layer: Layer, weight: Tensor, old: tuple[int, ...]) -> None:
    transposed = "Transpose" in type(layer).__name__
    per_group = old[0] // layer._groups if transposed else old[1]
    if layer._groups > 1 and per_group == 1:  # depthwise: a group a channel
        # A group keeps its number of filters; a transposed one has them on the second axis.
        layer._groups = layer._groups * weight.shape[0] // old[0]
    out_axis, in_axis = (1, 0) if transposed else (0, 1)
    layer._out_channels = weight.shape[out_axis] * (layer._groups if transposed else 1)
    layer._in_channels = weight.shape[in_axis] * (1 if transposed else layer._groups)


class Scratch:
    """A copy of a model that is run again and again with other values for some of its tensors.

    All other parameters are the model's own: a large network is not worth copying for a run.

    Parameters
    ----------
    model
        Not changed.
    names
        The tensors that will be given values, of any shape.
    """

    def __init__(self, model: Layer, names: Collection[str]) -> None:
        self._origin = model
        tensors = self._tensors = model.state_dict()
        slots = Tensors.of(model).slots
        self._shapes = {name: tuple(tensors[name].shape) for name in names}
        self._weights = [
            (slot.layer, name) for name in names for slot in slots[name]
            if slot.attribute in _WEIGHTS
        ]  # fmt: skip
        self._copy()

    def _copy(self) -> None:
        tensors = self._tensors
        # Where all of the model lies.
        where = next(iter(tensors.values())).place
        self._place = (
            paddle.CUDAPlace(where.gpu_device_id()) if where.is_gpu_place() else paddle.CPUPlace()
        )
        self._stand_ins = {name: _empty_like(tensors[name]) for name in self._shapes}
        memo = {id(p): p for p in self._origin.parameters()}
        memo.update({id(tensors[name]): t for name, t in self._stand_ins.items()})
        for layer in self._origin.sublayers(include_self=True):
            memo.update(_quick_copies(layer))
        self._model = copy.deepcopy(self._origin, memo)
        self._model.eval()
        layers = sublayers(self._model)
        self._named = layers
        self._sized = [(layers[layer], name) for layer, name in self._weights]
        self._sizes = [
            {name: vars(layer)[name] for name in _SIZES if name in vars(layer)}
            for layer, _ in self._sized
        ]
        # Paddle's own layers keep nothing of what passes through them in evaluation mode.
        self._layers = [
            v for v in layers.values() if not type(v).__module__.startswith("paddle.nn")
        ]
        self._as_made = self._state()

    def _state(self) -> list[object]:
        """What layers hold, by identity: a forward that keeps something is told from this."""
        held: list[object] = []
        for layer in self._layers:
            values = vars(layer).values()
            held += map(id, values)
            for value in values:
                if isinstance(value, dict) and value:
                    held.append([*map(id, value.values())])
                elif isinstance(value, (list, set)) and value:
                    held.append([*map(id, value)])
        return held

    def run(
        self,
        values: Mapping[str, NDArray[np.float32]],
        inputs: Sequence[Tensor],
        held: Mapping[str, int] = _NO_SIZES,
    ) -> list[NDArray[np.float32]]:
        """The outputs with these values, one for each of the tensors named when this was made.

        `held` are numbers that layers remember, as `"layer.attribute"`.
        """
        for name, value in values.items():
            self._stand_ins[name].get_tensor().set(np.ascontiguousarray(value), self._place)
        for (layer, name), sizes in zip(self._sized, self._sizes, strict=True):
            vars(layer).update(sizes)
            if values[name].shape != self._shapes[name]:
                _set_sizes(layer, self._shapes[name])
        before = [_hold(self._named, path, size) for path, size in held.items()]
        try:
            return outputs(self._model, inputs)
        finally:
            for own, attribute, old in reversed(before):
                own[attribute] = old
            for (layer, _), sizes in zip(self._sized, self._sizes, strict=True):
                vars(layer).update(sizes)
            if self._state() != self._as_made:
                self._copy()


def _quick_copies(layer: Layer) -> dict[int, object]:
    """Copies by identity of what each layer of Paddle's has and `deepcopy` is slow with."""
    held = vars(layer)
    found: dict[int, object] = {
        id(v): OrderedDict() for v in held.values() if type(v) is OrderedDict and not v
    }
    for name in ("_helper", "_op_recorder"):  # how it was made, and what is recorded in static mode
        if name in held:
            found[id(held[name])] = copy.copy(held[name])
    return found


def _empty_like(tensor: Tensor) -> Tensor:
    """A tensor of the same kind and dtype, to be filled."""
    if isinstance(tensor, EagerParamBase):
        return EagerParamBase([1], tensor.dtype, trainable=tensor.trainable)
    return paddle.zeros([1], dtype=tensor.dtype)


def random_inputs(inputs: Sequence[tuple[tuple[int, ...], str]]) -> list[Tensor]:
    """The same random tensors each time, of the given shapes and dtypes; whole numbers are 0."""
    rng = np.random.default_rng(0)
    made = []
    for shape, dtype in inputs:
        floating = "float" in dtype
        value = rng.standard_normal(shape) if floating else np.zeros(shape)
        made.append(paddle.to_tensor(value.astype("float32" if floating else "int64"), dtype=dtype))
    return made


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Draw the same random numbers inside each time, and leave the user's generators alone."""
    state = paddle.get_rng_state()
    paddle.seed(0)
    try:
        yield
    finally:
        paddle.set_rng_state(state)


def outputs(model: Layer, inputs: Sequence[Tensor]) -> list[NDArray[np.float32]]:
    """Every tensor that a model gives, in the order in which its containers hold them."""
    with repeatable(), paddle.no_grad():
        made = model(*inputs)
    return [np.asarray(t.numpy()) for t in paddle.utils.flatten(made) if isinstance(t, Tensor)]
