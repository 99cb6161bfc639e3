"""Results with known numbers, without measuring anything."""

from __future__ import annotations

import slimlab as sl
from slimlab.profile import LayerProfile
from slimlab.sensitivity import Fingerprint


def table(drops: dict[str, list[float]], ratios: tuple[float, ...]) -> sl.Sensitivity:
    cells = tuple(
        sl.Cell(layer, ratio, 90 - drop, drop, drop - 1, drop + 1, 100)
        for layer, values in drops.items()
        for ratio, drop in zip(ratios, values, strict=False)
    )
    return sl.Sensitivity(
        cells=cells,
        layers=tuple(drops),
        ratios=ratios,
        baseline=90.0,
        metric="top1",
        unit="%",
        criterion="l1_norm",
        images=100,
        fingerprint=Fingerprint("m", "t"),
    )


def trial(name: str, top1: float, macs: int, size: int) -> sl.Trial:
    profile = sl.Profile((LayerProfile("a", "Conv2D", 10, macs, size),))
    return sl.Trial(name, sl.Scores({"top1": top1}, 100), "top1", True, profile, size)
