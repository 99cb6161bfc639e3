"""Floor 4. Carries the strategy `Quantize` out: quantizers in and calibrated, then made final."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, cast

from paddle.nn import Layer

from slimlab.compressor.scene import Facts, Scene
from slimlab.compressor.timetable import Act
from slimlab.errors import ArtifactError
from slimlab.prune import ARCHITECTURE, architecture
from slimlab.quantize import Layout, install, layout_of
from slimlab.quantize.calibration import calibrate
from slimlab.quantize.quantized import weight_quantizers
from slimlab.quantize.quantizers import ActivationQuantizer
from slimlab.quantize.run import learn_scales, prepared, settled
from slimlab.recipe import Quantize
from slimlab.steps import Step


class Quantizer:
    """The actor of `Quantize`: act 0 puts quantizers in, every later one makes them final."""

    def act(
        self, model: Layer, act: Act, scene: Scene
    ) -> Generator[Step[Any], None, tuple[Layer, Facts]]:
        """See `Actor.act`."""
        if act.number:
            yield Step(0, 1, "final scales")
            return settled(model), {}
        strategy = cast("Quantize", scene.recipe.strategies[act.strategy])
        config = strategy.build()
        fresh = prepared(model, scene.task, config)
        yield from calibrate(fresh, scene.task, config)
        if config.lsq:
            learn_scales(fresh)
        layout = layout_of(fresh)
        final = [name for name, each in weight_quantizers(fresh).items() if each.settled]
        return fresh, {"layout": None if layout is None else layout.to_dict(), "final": final}

    def rebuild(self, model: Layer, act: Act, facts: Facts, scene: Scene) -> Layer:
        """See `Actor.rebuild`."""
        if act.number:
            return settled(model)
        was = architecture(model)
        layout = Layout.from_dict(facts["layout"])
        install(model, layout)
        if layout.config.lsq:
            learn_scales(model)
        for name in facts.get("final", ()):  # weights whose rounding was chosen
            weight_quantizers(model)[name].settle()
        model.eval()
        if not hasattr(model, ARCHITECTURE):
            object.__setattr__(model, ARCHITECTURE, was)
        return model


def followed(model: Layer) -> dict[str, Any]:
    """What activation quantizers remember of the batches they saw, beside their scales: JSON."""
    return {
        name: layer.followed
        for name, layer in model.named_sublayers()
        if isinstance(layer, ActivationQuantizer)
    }


def follow_on(model: Layer, remembered: Mapping[str, Any]) -> None:
    """Give activation quantizers what `followed` told.

    Raises
    ------
    ArtifactError
        When it is of another model.
    """
    layers = dict(model.named_sublayers())
    mine = {n for n, layer in layers.items() if isinstance(layer, ActivationQuantizer)}
    if mine != set(remembered):
        differing = sorted(mine ^ set(remembered))
        msg = f"The quantizers' state is of another model: {differing[0]!r} is in one of the two."
        raise ArtifactError(msg, layer=differing[0])
    for name in mine:
        layers[name].follow_on(remembered[name])
