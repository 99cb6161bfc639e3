"""Floor 2. What was put where: the structure of a quantized model, as a frozen value for JSON.

A quantized model on disk is its constructor's network, cut to its shapes, with this put in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paddle.nn import Layer

from slimlab.errors import ArtifactError, PlanError, nearest
from slimlab.layers import Tensors, sublayers
from slimlab.quantize.config import QuantConfig
from slimlab.quantize.equalizing import equalizable
from slimlab.quantize.folding import add_bias, fold, foldable, freeze_named
from slimlab.quantize.quantized import (
    INPUT,
    OUT_AXIS,
    OUTPUT,
    WEIGHT,
    Quantized,
    put_in,
    weight_quantizer,
)
from slimlab.quantize.quantizers import ActivationQuantizer
from slimlab.quantize.survey import Survey, own_weights
from slimlab.recalibrate import batch_norms

NOTE = "_slimlab_quantized"  # the layout, noted on a quantized model


@dataclass(frozen=True)
class Placed:
    """The quantizers of one layer.

    Attributes
    ----------
    layer
        Its name.
    weight_bits
        Of its weight; 0 where that stays in float.
    takes, gives
        Whether its input, and its output, are put on a grid.
    """

    layer: str
    weight_bits: int
    takes: bool
    gives: bool


@dataclass(frozen=True)
class Layout:
    """What was done to a network's structure to quantize it.

    Attributes
    ----------
    config
        What was asked for.
    folded
        Pairs (layer, BatchNorm that became part of it).
    frozen
        BatchNorms that keep their statistics in training.
    placed
        Layers with quantizers, in execution order.
    shapes
        Pairs (tensor, its shape) of the float model.
    biased
        Layers that were given a bias, to be corrected.
    equalized
        Pairs of layers between which channels were scaled.
    fed
        Pairs (layer, the layer whose output on its grid it reads), where there is one.
    """

    config: QuantConfig
    folded: tuple[tuple[str, str], ...]
    frozen: tuple[str, ...]
    placed: tuple[Placed, ...]
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    biased: tuple[str, ...] = ()
    equalized: tuple[tuple[str, str], ...] = ()
    fed: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A value for JSON."""
        return {
            "config": self.config.to_dict(),
            "folded": [list(pair) for pair in self.folded],
            "frozen": list(self.frozen),
            "placed": [list(vars(each).values()) for each in self.placed],
            "shapes": {name: list(shape) for name, shape in self.shapes},
            "biased": list(self.biased),
            "equalized": [list(pair) for pair in self.equalized],
            "fed": [list(pair) for pair in self.fed],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Layout:
        """Read what `to_dict` gave.

        Raises
        ------
        ArtifactError
            When it is something else.
        """
        try:
            return cls(
                QuantConfig.from_dict(value["config"]),
                tuple((str(layer), str(norm)) for layer, norm in value["folded"]),
                tuple(map(str, value["frozen"])),
                tuple(
                    Placed(str(layer), int(bits), bool(takes), bool(gives))
                    for layer, bits, takes, gives in value["placed"]
                ),
                tuple((str(n), tuple(map(int, s))) for n, s in value["shapes"].items()),
                tuple(map(str, value.get("biased", ()))),
                tuple((str(one), str(other)) for one, other in value.get("equalized", ())),
                tuple((str(one), str(other)) for one, other in value.get("fed", ())),
            )
        except (KeyError, TypeError, ValueError, PlanError) as error:
            msg = f"This says of no quantized model what is in it: {type(error).__name__}: {error}"
            raise ArtifactError(msg) from error


def layout_of(model: Layer) -> Layout | None:
    """What was done to quantize a model; None for one in float."""
    return getattr(model, NOTE, None)


def lay_out(model: Layer, found: Survey, config: QuantConfig) -> Layout:
    """Decide what goes where in a float model, which is not changed.

    Raises
    ------
    PlanError
        When no layer is to be quantized, or a layer of `layer_bits` can't be.
    """
    layers, own = sublayers(model), own_weights(model)
    may = [n for n in found.order if type(layers[n]) in OUT_AXIS and n in own]
    for name in config.bits_by_layer:
        if name not in may:
            msg = f"layer_bits: there is no layer {name!r} to quantize. {nearest(name, may)}"
            raise PlanError(msg, layer=name)
    bits = {name: config.bits_of(name) for name in may}
    weights = {name: number for name, number in bits.items() if number is not None}
    if not weights:
        msg = (
            f"No layer of {type(model).__name__} would be quantized (include={config.include!r}, "
            f"exclude={config.exclude!r}). {nearest(config.include, may)}"
        )
        raise PlanError(msg, include=config.include, exclude=config.exclude)
    pairs = foldable(model, found, own) if config.batch_norm == "fold" else ()
    pairs = tuple(pair for pair in pairs if pair[0] in weights)
    folded = {norm for _, norm in pairs}
    frozen = tuple(name for name in batch_norms(model) if name not in folded)
    gives = _joined(found, weights, config) if config.joins else set()
    placed, fed = [], []
    for name in found.order:
        feeders = [found.feeder(c) for c in found.calls if c.layer == name]
        on_grid = all(feeder is not None and feeder.layer in gives for feeder in feeders)
        sources = {feeder.layer for feeder in feeders if feeder is not None}
        if on_grid and name in weights and len(sources) == 1:
            fed.append((name, sources.pop()))
        if name in weights or name in gives:
            takes = name in weights and not on_grid
            placed.append(Placed(name, weights.get(name, 0), takes, name in gives))
    tensors = model.state_dict()
    shapes = tuple((name, tuple(tensors[name].shape)) for name in Tensors.of(model).slots)
    has_bias = {n for n in weights if layers[n].bias is not None} | {n for n, _ in pairs}
    biased = tuple(n for n in weights if n not in has_bias) if config.correct_bias else ()
    scaled = equalizable(model, found, own, folded) if config.equalize else ()
    return Layout(config, pairs, frozen, tuple(placed), shapes, biased, scaled, tuple(fed))


def _joined(found: Survey, weights: Mapping[str, int], config: QuantConfig) -> set[str]:
    """Layers whose output meets another in an addition or a concatenation next to quantized ones.

    What makes a value on a grid need not be asked again: the nearest layer back from the join, with
    only moves of values between.
    """
    gives: set[str] = set()
    for values in found.joins:
        if not any(found.ancestor(value, weights) for value in values):
            continue
        for value in values:
            call = found.source(value)
            # bits_of knows the scope, and of `layer_bits` what stays in float.
            if call is not None and config.bits_of(call.layer) is not None:
                gives.add(call.layer)
    return gives


def install(model: Layer, layout: Layout) -> None:
    """Carry a layout out on a float model, in place: its scales are still those of nothing."""
    fold(model, layout.folded)
    freeze_named(model, layout.frozen)
    layers = sublayers(model)
    for name in layout.biased:
        add_bias(layers[name])
    for each in layout.placed:
        layer = layers[each.layer]
        if each.weight_bits:
            put_in(layer, WEIGHT, weight_quantizer(layer, each.weight_bits, layout.config))
        if each.takes:
            put_in(layer, INPUT, ActivationQuantizer(layout.config))
        if each.gives:
            put_in(layer, OUTPUT, ActivationQuantizer(layout.config))
    object.__setattr__(model, NOTE, layout)


def is_quantized(model: Layer) -> bool:
    """Whether a model has quantizers."""
    return any(isinstance(layer, Quantized) for layer in model.sublayers(include_self=True))
