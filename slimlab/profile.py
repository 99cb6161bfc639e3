"""Floor 1. What each layer costs: parameters, multiply-adds, bytes.

One multiply-add is one MAC; FLOPs are twice that. MACs count convolutions, linear and recurrent
layers, and products in attention, as the tables in the literature do; biases, normalisation,
activations and pooling count none.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class LayerProfile:
    """Cost of one layer.

    Attributes
    ----------
    layer, type
        Structured name and class.
    params
        Trainable parameters.
    macs
        Multiply-adds an image.
    bytes
        Bytes of its tensors on disk, BatchNorm's statistics included.
    output
        Shape of what it puts out, batch first; empty where it has no MACs.
    """

    layer: str
    type: str
    params: int
    macs: int
    bytes: int
    output: tuple[int, ...] = ()


@dataclass(frozen=True)
class Profile:
    """The table of layers of a model, in structured order; layers without tensors are left out.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> profile = sl.profile(model, task.example)
    >>> list(profile.to_frame().columns)
    ['layer', 'params', 'macs', 'bytes', 'type', 'output']
    """

    layers: tuple[LayerProfile, ...]

    @property
    def params(self) -> int:
        """Trainable parameters of the model."""
        return sum(row.params for row in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds an image of the model."""
        return sum(row.macs for row in self.layers)

    @property
    def bytes(self) -> int:
        """Bytes of all tensors that are saved with the model."""
        return sum(row.bytes for row in self.layers)

    def to_frame(self) -> pd.DataFrame:
        """One row a layer: `layer, params, macs, bytes, type, output`."""
        rows = [(r.layer, r.params, r.macs, r.bytes, r.type, list(r.output)) for r in self.layers]
        return pd.DataFrame(rows, columns=["layer", "params", "macs", "bytes", "type", "output"])

    def __repr__(self) -> str:
        return (
            f"Profile({len(self.layers)} layers, {self.params:,} parameters, "
            f"{self.macs:,} MACs, {self.bytes:,} bytes)"
        )
