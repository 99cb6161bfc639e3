"""Floor 1. What a `paddle.nn.Layer` is made of: its layers, their tensors, and its mode.

A layer is its structured name (`"layer1.0.conv1"`), a tensor is `layer + "." + attribute`: the key
it has in `state_dict`. `Parameter.name` is not used outside `trace`, because `copy.deepcopy`
changes it. Knows nothing of graphs or pruning.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import paddle
from paddle import Tensor
from paddle.nn import Layer, RNNCellBase
from paddle.nn.layer.rnn import RNNBase


@dataclass(frozen=True)
class Slot:
    """One place in a model that holds a tensor.

    Attributes
    ----------
    layer
        Structured name of the layer; `""` for the model itself.
    attribute
        Name of the tensor inside the layer, such as `"weight"`.
    """

    layer: str
    attribute: str

    @property
    def name(self) -> str:
        """The key the tensor has in `state_dict`."""
        return f"{self.layer}.{self.attribute}" if self.layer else self.attribute


@dataclass(frozen=True)
class Tensors:
    """Every tensor of a model, each once, with all the places it lies in.

    Attributes
    ----------
    slots
        Name of a tensor (its first place, in structured order) to all of its places. A parameter
        that two layers share has two.
    """

    slots: Mapping[str, tuple[Slot, ...]]

    @classmethod
    def of(cls, model: Layer) -> Tensors:
        """Collect the parameters and persistable buffers of a model, in structured order."""
        places: dict[int, list[Slot]] = {}
        for layer_name, layer in model.named_sublayers(include_self=True):
            for attribute, _ in own_tensors(layer):
                tensor = getattr(layer, attribute)
                places.setdefault(id(tensor), []).append(Slot(layer_name, attribute))
        return cls(MappingProxyType({where[0].name: tuple(where) for where in places.values()}))


def own_tensors(layer: Layer) -> list[tuple[str, Tensor]]:
    """The tensors that lie directly in a layer and are saved with it: parameters, then buffers."""
    held = [(name, p) for name, p in layer._parameters.items() if p is not None]
    lost = layer._non_persistable_buffer_names_set
    return held + [(n, b) for n, b in layer._buffers.items() if b is not None and n not in lost]


def sublayers(model: Layer) -> dict[str, Layer]:
    """Structured name to layer, the model itself under `""`; a layer used twice has one name."""
    return dict(model.named_sublayers(include_self=True))


def remembered(model: Layer) -> dict[str, dict[str, int]]:
    """Layer to its attributes that say how many channels, or heads of attention, it has.

    Attributes such as `num_heads`, `n_head` and `heads`, but not `head_dim`: a forward that splits
    channels into heads reads them. Of recurrent layers, the sizes of what they take and make.

    Examples
    --------
    >>> import paddle
    >>> from slimlab.layers import remembered
    >>> remembered(paddle.nn.MultiHeadAttention(8, 2))
    {'': {'num_heads': 2}}
    """
    found = {}
    for name, layer in sublayers(model).items():
        recurrent = isinstance(layer, (RNNBase, RNNCellBase))
        counts = {
            attribute: value
            for attribute, value in vars(layer).items()
            if type(value) is int
            and value > 1
            and (_is_head_count(attribute) or (recurrent and attribute in _RECURRENT))
        }
        if counts:
            found[name] = counts
    return found


_RECURRENT = frozenset({"hidden_size", "input_size"})


def _is_head_count(attribute: str) -> bool:
    words = attribute.lower()
    return "head" in words and not any(w in words for w in ("dim", "size", "width", "d_", "chan"))


def is_trainable(tensor: Tensor) -> bool:
    """Whether a tensor is a parameter that training changes (BatchNorm's statistics are not)."""
    return bool(getattr(tensor, "trainable", False))


def item_bytes(tensor: Tensor) -> int:
    """Bytes one element takes on disk."""
    return _item_bytes(tensor.dtype)


@functools.cache
def _item_bytes(dtype: paddle.dtype) -> int:
    return int(paddle.empty([0], dtype=dtype).element_size())


def stored_bytes(layer: Layer, attribute: str, tensor: Tensor, elements: int) -> int:
    """Bytes that elements of a layer's tensor take on disk.

    A layer that stores a tensor in fewer bits says so: `layer.stored_bits(attribute)`.
    """
    asked = getattr(layer, "stored_bits", None)
    bits = None if asked is None else asked(attribute)
    return elements * item_bytes(tensor) if bits is None else -(-elements * int(bits) // 8)


def count(tensor: Tensor) -> int:
    """Number of elements of a tensor."""
    return math.prod(tensor.shape)


@contextlib.contextmanager
def evaluating(model: Layer) -> Iterator[Layer]:
    """Put a model into evaluation mode and give every layer its own mode back on exit.

    `model.eval()` followed by `model.train()` would unfreeze layers that the user had frozen.

    Examples
    --------
    >>> import paddle
    >>> from slimlab.layers import evaluating
    >>> model = paddle.nn.Sequential(paddle.nn.Dropout(), paddle.nn.Dropout())
    >>> model[0].training = False
    >>> with evaluating(model):
    ...     model[1].training
    False
    >>> model[0].training, model[1].training
    (False, True)
    """
    modes = [(layer, layer.training) for layer in model.sublayers(include_self=True)]
    model.eval()
    try:
        yield model
    finally:
        for layer, training in modes:
            layer.training = training
