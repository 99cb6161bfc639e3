"""Floor 2. How a model is to be quantized, as a frozen value. Knows no model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from slimlab.errors import PlanError, nearest

WEIGHTS = ("abs_max", "channel_wise_abs_max")
ACTIVATIONS = ("abs_max", "range_abs_max", "moving_average_abs_max")
OBSERVERS = ("abs_max", "average", "percentile", "histogram", "kl", "mse")
BATCH_NORMS = ("fold", "freeze")
FLOAT_BITS = 32  # in `layer_bits`: the layer stays as it is

Weight = Literal["abs_max", "channel_wise_abs_max"]
Activation = Literal["abs_max", "range_abs_max", "moving_average_abs_max"]
ObserverName = Literal["abs_max", "average", "percentile", "histogram", "kl", "mse"]


@dataclass(frozen=True)
class QuantConfig:
    """How weights and activations are put on grids of few bits.

    A grid of ``b`` bits is symmetric: ``clip(round(x / scale * n), -n - 1, n) * scale / n`` with
    ``n = 2 ** (b - 1) - 1``.

    Attributes
    ----------
    weight
        One scale a tensor (`"abs_max"`), or one an output channel (`"channel_wise_abs_max"`).
    activation
        `"abs_max"`: the scale of each batch, when the model runs too (dynamic). The others keep
        one scale (static): in training the largest of the last `window` batches
        (`"range_abs_max"`), or a moving average of their largest (`"moving_average_abs_max"`).
    weight_bits, activation_bits
        Bits, 2 to 8.
    include, exclude
        Regular expressions, searched for in layer names. A layer stays in float when `include` is
        not found in its name, or `exclude` is.
    layer_bits
        Bits of the weights of single layers, 2 to 8, by name; 32 for a layer that stays in float.
    calibration_images
        Images that choose the static scales at the start; all when 0.
    observer
        What chooses them: the largest magnitude (`"abs_max"`), the mean of the batches' largest
        (`"average"`), the mean of the batches' percentiles (`"percentile"`), the percentile of
        all (`"histogram"`), the least divergence of the distributions (`"kl"`, Migacz 2017, of
        the ranges that don't raise the squared error), or the least squared error (`"mse"`).
    percentile
        Of `"percentile"` and `"histogram"`, in percent.
    joins
        Also put what meets in an addition or a concatenation on a grid.
    batch_norm
        `"fold"`: a BatchNorm behind a convolution becomes part of its weights, and others keep
        their statistics in training; `"freeze"`: all of them stay layers and keep theirs.
    lsq
        Train the scales with the weights (Esser et al. 2020, 1902.08153); needs epochs.
    decay, window
        Of the moving average, and of the range.
    follow
        Batches of training that a static scale follows; then it stays what it is. All when None,
        and none when 0: the scales are those that calibration chose.
    equalize
        Scale the channels between neighbouring layers first, which changes nothing in float (Nagel
        et al. 2019, 1906.04721), so that rounding adds as little as possible to what calibration
        images give (see `slimlab.quantize.noise`). With depthwise convolutions it wins back most of
        what is lost. Features inside the network change their ranges, so losses that compare them
        with a teacher's do not go with it.
    correct_bias
        Take what rounding adds to the mean of each channel off the biases, when the scales are
        chosen (the same paper).
    adaround
        Learn on calibration images which weights are rounded up and which down, with so many
        steps a layer (Nagel et al. 2020, 2004.10568); 0 for none. Only without epochs. With few
        bits, 200 to 1,000 are worth their time.

    Raises
    ------
    PlanError
        When an attribute can't be used.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.QuantConfig(weight="abs_max", activation="abs_max").weight_bits
    8
    >>> sl.QuantConfig(observer="entropy")
    Traceback (most recent call last):
    slimlab.errors.PlanError: There is no observer 'entropy'. Known: 'abs_max', 'average', \
'percentile', 'histogram', 'kl', 'mse'.
    """

    weight: Weight = "channel_wise_abs_max"
    activation: Activation = "moving_average_abs_max"
    weight_bits: int = 8
    activation_bits: int = 8
    include: str = ""
    exclude: str | None = None
    layer_bits: Mapping[str, int] | tuple[tuple[str, int], ...] = ()
    calibration_images: int = 256
    observer: ObserverName = "mse"
    percentile: float = 99.99
    joins: bool = True
    batch_norm: Literal["fold", "freeze"] = "fold"
    lsq: bool = False
    decay: float = 0.9
    window: int = 1000
    follow: int | None = None
    equalize: bool = False
    correct_bias: bool = False
    adaround: int = 0

    def __post_init__(self) -> None:
        # Pairs, so that the value can be hashed and copied.
        pairs = self.layer_bits.items() if isinstance(self.layer_bits, Mapping) else self.layer_bits
        object.__setattr__(self, "layer_bits", tuple(sorted((str(n), int(b)) for n, b in pairs)))
        for word, asked, known in (
            ("weight quantizer", self.weight, WEIGHTS),
            ("activation quantizer", self.activation, ACTIVATIONS),
            ("observer", self.observer, OBSERVERS),
            ("treatment of BatchNorm", self.batch_norm, BATCH_NORMS),
        ):
            if asked not in known:
                msg = f"There is no {word} {asked!r}. {nearest(str(asked), known)}"
                raise PlanError(msg, asked=asked)
        self._check_numbers()
        for word, pattern in (("include", self.include), ("exclude", self.exclude)):
            try:
                re.compile(pattern or "")
            except (re.error, OverflowError, RecursionError) as error:
                msg = f"QuantConfig {word}={pattern!r} is no regular expression: {error}."
                raise PlanError(msg, pattern=pattern) from None

    def _check_numbers(self) -> None:
        for name, found, fits, range_ in (
            ("weight_bits", self.weight_bits, _is_bits(self.weight_bits), "2 to 8"),
            ("activation_bits", self.activation_bits, _is_bits(self.activation_bits), "2 to 8"),
            *(
                (f"layer_bits[{name!r}]", bits, _is_bits(bits) or bits == FLOAT_BITS, "2 to 8, or "
                 "32 for float")
                for name, bits in self.bits_by_layer.items()
            ),
            ("calibration_images", self.calibration_images, self.calibration_images >= 0, "0 or "
             "more"),
            ("percentile", self.percentile, 50 <= self.percentile <= 100, "from 50 to 100"),
            ("decay", self.decay, 0 <= self.decay < 1, "in [0, 1)"),
            ("window", self.window, self.window >= 1, "at least 1"),
            ("follow", self.follow, self.follow is None or self.follow >= 0, "0 or more, or None"),
            ("adaround", self.adaround, self.adaround >= 0, "0 or more"),
        ):  # fmt: skip
            if not fits:
                msg = f"QuantConfig {name} is {found}; it must be {range_}."
                raise PlanError(msg, setting=name, found=found)

    @property
    def bits_by_layer(self) -> dict[str, int]:
        """`layer_bits` as a dictionary."""
        return dict(self.layer_bits)

    def bits_of(self, layer: str) -> int | None:
        """Bits of a layer's weights; None for a layer that stays in float."""
        bits = self.bits_by_layer.get(layer, self.weight_bits)
        wanted = re.search(self.include, layer) is not None
        barred = self.exclude is not None and re.search(self.exclude, layer) is not None
        return None if barred or not wanted or bits == FLOAT_BITS else bits

    def to_dict(self) -> dict[str, Any]:
        """A value for JSON."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**own, "layer_bits": self.bits_by_layer}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> QuantConfig:
        """Read what `to_dict` gave.

        Raises
        ------
        PlanError
            For a name or a value that it doesn't have.
        """
        known = [field.name for field in fields(cls)]
        for name in value:
            if name not in known:
                msg = f"QuantConfig has no setting {name!r}. {nearest(str(name), known)}"
                raise PlanError(msg, setting=name)
        return cls(**value)


def _is_bits(bits: object) -> bool:
    return isinstance(bits, int) and not isinstance(bits, bool) and 2 <= bits <= 8
