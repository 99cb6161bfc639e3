"""Top floor. `Quantizing`: the quantization tab of the workbench, and the look at weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab_widgets import works
from slimlab_widgets.jobs import Work
from slimlab_widgets.picking import Picking
from slimlab_widgets.script import Quantized, Tuned
from slimlab_widgets.state import BASELINE, Candidate

if TYPE_CHECKING:
    from paddle.nn import Layer


class Quantizing(Picking):
    """A bench on which models are quantized; see `Workbench` for its parameters."""

    def quantize(self, name: str | None = None, **settings: Any) -> None:
        """Put a copy of a candidate, or of the baseline, on grids of few bits.

        Parameters
        ----------
        name
            Of a candidate, or `"baseline"`; the candidate that is chosen when None.
        **settings
            `weight=`, `weight_bits=`, `activation_bits=`, `layer_bits=`, `equalize=`,
            `quant_epochs=`.
        """
        self.change(**settings)
        state = self._state
        source = self._whole() if name == BASELINE else state.candidate(name)
        if source.quantized:
            msg = f"'{source.name}' is quantized already. Choose a model in float."
            raise SlimLabError(msg, name=source.name)
        before = sum(deed.epochs for deed in source.deeds if isinstance(deed, Tuned))
        deed = Quantized(state.settings.grids, state.settings.quant_epochs, before)
        free = state.free_name(f"{source.name} int{deed.config.weight_bits}")

        def done(candidate: Candidate, partial: bool) -> str:
            if partial:
                return "Stopped; the model stays in float."
            self._update(lambda s: s.with_candidate(candidate))
            share = 1 - candidate.preview.bytes / max(1, self.graph.bytes)
            return f"Quantized '{free}': {share:.0%} of the bytes removed. Compare it in step 5."

        steps = lambda: works.quantized(self.task, source, free, deed)  # noqa: E731
        self._jobs.start(Work("quantize", f"Quantizing '{source.name}'", steps, done))

    def look_at_weights(self, name: str = BASELINE) -> None:
        """Show the weights of a candidate, or of the baseline, in the quantization tab."""
        known = name if name == BASELINE else self._state.candidate(name).name
        self._update(lambda s: replace(s, weights=known))

    def _whole(self) -> Candidate:
        nothing = sl.preview(self.graph, {}, self._state.sensitivity, self._state.times)
        model: Layer = self.model
        return Candidate(BASELINE, model, sl.Ratios(), nothing)
