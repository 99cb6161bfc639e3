"""Top floor. What the controls say, and how ratios and folders are written in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from slimlab import QuantConfig
from slimlab.errors import PlanError, SlimLabError
from slimlab_widgets.pairs import LOSSES


@dataclass(frozen=True)
class Settings:
    """What the controls of the workbench say.

    Attributes
    ----------
    images
        Test images used by each measurement of a scan; None for all.
    ratios
        The scan's pruning ratios, as a person writes them: `0.1:0.9:0.1` or `0.3, 0.5`.
    criterion
        How channels are ranked.
    epochs, learning_rate, teacher
        Of fine-tuning; `teacher` adds the soft labels of the unpruned model.
    folder
        Where Save writes; empty for a folder that is named for the chosen model.
    uniform, drop
        The last uniform ratio and accepted drop (points) that were asked for.
    remove_macs, remove_bytes, remove_latency
        Shares of the network that a budget removes; 0 where it is free.
    weight, weight_bits, activation_bits, layer_bits, equalize, quant_epochs
        Of quantization: as `QuantConfig` has them, and epochs of training on the grids.
    pair_loss, pair_weight
        What paired layers are compared by, `"attention"` or `"l2"`, and how much it counts.
    """

    images: int | None = 1000
    ratios: str = "0.1:0.9:0.2"
    criterion: str = "l1_norm"
    epochs: int = 3
    learning_rate: float = 5e-3
    teacher: bool = False
    folder: str = ""
    uniform: float = 0.5
    drop: float = 1.0
    remove_macs: float = 0.5
    remove_bytes: float = 0.0
    remove_latency: float = 0.0
    weight: str = "channel_wise_abs_max"
    weight_bits: int = 8
    activation_bits: int = 8
    layer_bits: Mapping[str, int] = field(default_factory=dict)
    equalize: bool = False
    quant_epochs: int = 0
    pair_loss: str = "attention"
    pair_weight: float = 3.0

    @property
    def grids(self) -> QuantConfig:
        """How the controls quantize.

        Raises
        ------
        PlanError
            For bits that there are no grids of.
        """
        return QuantConfig(
            weight=cast("Any", self.weight),
            weight_bits=self.weight_bits,
            activation_bits=self.activation_bits,
            layer_bits=dict(self.layer_bits),
            equalize=self.equalize,
        )

    @property
    def budget(self) -> dict[str, float]:
        """The shares to remove by the names that the core has for them."""
        return {
            "macs": self.remove_macs,
            "bytes": self.remove_bytes,
            "latency": self.remove_latency,
        }

    def with_facts(self, facts: Mapping[str, Any]) -> Settings:
        """New settings from those facts of an event that are settings, checked."""
        known = {key: facts[key] for key in facts if key in self.__dataclass_fields__}
        new = replace(self, **known)
        parse_ratios(new.ratios)
        checks = {
            "images": new.images is None or new.images >= 1,
            "epochs": new.epochs >= 1,
            "learning_rate": new.learning_rate > 0,
            "uniform": 0 <= new.uniform < 1,
            "drop": new.drop >= 0,
            "quant_epochs": new.quant_epochs >= 0,
            "pair_loss": new.pair_loss in LOSSES,
            "pair_weight": new.pair_weight >= 0,
            **{f"remove_{name}": 0 <= share < 1 for name, share in new.budget.items()},
        }
        for name, good in checks.items():
            if not good:
                msg = f"{getattr(new, name)!r} can't be used for {name.replace('_', ' ')}."
                raise SlimLabError(msg, setting=name)
        if known.keys() & {"weight", "weight_bits", "activation_bits", "layer_bits"}:
            _ = new.grids  # refuses what can't be used
        return replace(new, epochs=int(new.epochs), images=new.images and int(new.images))


def parse_ratios(text: str) -> tuple[float, ...]:
    """Read pruning ratios as a person writes them.

    Parameters
    ----------
    text
        `from:to:step`, or numbers between commas or spaces.

    Raises
    ------
    PlanError
        When they are not numbers between 0 and 1.

    Examples
    --------
    >>> from slimlab_widgets.settings import parse_ratios
    >>> parse_ratios("0.1:0.5:0.2")
    (0.1, 0.3, 0.5)
    >>> parse_ratios("0.5, 0.3")
    (0.3, 0.5)
    """
    msg = (
        f"{text!r} are not pruning ratios. Write from:to:step, such as 0.1:0.9:0.1, or a list "
        "such as 0.3, 0.5, 0.7; every ratio lies between 0 and 1."
    )
    try:
        if ":" in text:
            start, stop, step = (float(part) for part in text.split(":"))
            count = int((stop - start) / step + 1e-6) + 1 if step > 0 else 0
            ratios = [round(start + n * step, 6) for n in range(min(count, 100))]
        else:
            ratios = [float(part) for part in text.replace(",", " ").replace(";", " ").split()]
    except ValueError:
        raise PlanError(msg, ratios=text) from None
    if not ratios or not all(0 < ratio < 1 for ratio in ratios):
        raise PlanError(msg, ratios=text)
    return tuple(sorted(set(ratios)))


def write_ratios(ratios: tuple[float, ...]) -> str:
    """Write ratios so that `parse_ratios` reads them back."""
    return ", ".join(f"{ratio:g}" for ratio in ratios)


def folder_for(name: str) -> str:
    """Where a model of this name is saved when nobody says otherwise.

    Examples
    --------
    >>> from slimlab_widgets.settings import folder_for
    >>> folder_for("drop at most 1.0")
    'models/drop-at-most-1.0'
    """
    safe = "".join(c if c.isalnum() or c in ".-_" else "-" for c in name).strip("-.")
    return f"models/{safe or 'model'}"
