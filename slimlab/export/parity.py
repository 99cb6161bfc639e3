"""Floor 2. How far a file in its runtime is from the model that it was made from."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import ExportError
from slimlab.evaluate import inference
from slimlab.export.fresh import Fresh, loaded
from slimlab.export.outputs import layer_outputs
from slimlab.export.trials import Trials
from slimlab.steps import Step

CLOSE = 1e-3  # the largest difference of an output in float, relative to an image's largest output
# Values next to the middle between two steps of a grid are rounded either way by float32's own
# noise, so that single images differ; most must not, and none by much.
TYPICAL, FAR = 5e-3, 0.05
POINTS = 0.1  # of an accuracy
SHARE = 0.01  # of a metric that is no percentage
INSPECTED = 4  # images whose inner values are compared


@dataclass(frozen=True)
class Elsewhere:
    """What a file gives in a runtime that it is not checked in, as users run it there.

    Attributes
    ----------
    runtime
        Such as `"openvino"`.
    largest, typical
        As in `Parity`.
    value
        The task's main metric; NaN without a task.
    """

    runtime: str
    largest: float
    typical: float
    value: float = float("nan")


@dataclass(frozen=True)
class Parity:
    """A file compared with its model on the same inputs.

    Attributes
    ----------
    images
        How many inputs.
    largest, typical
        Largest and mean difference of an image's outputs, as a share of its largest output. The
        runtime's own changes of the graph are off.
    exact
        Whether the model computes on no grid, where outputs must be `CLOSE` for every image.
    metric, unit
        The task's main metric; empty without a task.
    model_value, file_value, default_value
        That of the model, of the file as it is, and of the file in the runtime as users run it.
    first_difference
        The first layer whose output differs, where the parity doesn't hold; else empty.
    elsewhere
        What other runtimes that read the file make of it. It is measured and told; the parity holds
        or not without it.
    """

    images: int
    largest: float
    typical: float
    exact: bool
    metric: str = ""
    unit: str = ""
    model_value: float = float("nan")
    file_value: float = float("nan")
    default_value: float = float("nan")
    first_difference: str = ""
    elsewhere: tuple[Elsewhere, ...] = ()

    @property
    def outputs_agree(self) -> bool:
        """Whether the outputs are as close as can be asked."""
        if self.exact:
            return self.largest <= CLOSE
        return self.largest <= FAR and self.typical <= TYPICAL

    @property
    def allowed(self) -> float:
        """How far the metric may be off: 0.1 points, or one image where that is more."""
        if self.unit == "%":
            return max(POINTS, 100 / self.images) + 1e-9
        return SHARE * max(abs(self.model_value), SHARE)

    @property
    def metric_agrees(self) -> bool:
        """Whether the metric is that of the model, with the runtime's changes and without."""
        values = (self.file_value, self.default_value)
        return not self.metric or all(abs(v - self.model_value) <= self.allowed for v in values)

    @property
    def differing(self) -> tuple[Elsewhere, ...]:
        """Other runtimes in which the metric, or without one the outputs, are not the model's."""
        far = CLOSE if self.exact else TYPICAL
        return tuple(
            one
            for one in self.elsewhere
            if not (
                abs(one.value - self.model_value) <= self.allowed
                if self.metric
                else one.typical <= far
            )
        )

    @property
    def holds(self) -> bool:
        """Whether the file is what it was made from."""
        return self.outputs_agree and self.metric_agrees

    def __str__(self) -> str:
        words = (
            f"outputs of {self.images:,} images differ by {self.largest:.2g} at most and "
            f"{self.typical:.2g} on average (of an image's largest output)"
        )
        if self.metric:
            words += (
                f"; {self.metric} is {self.file_value:.4g}{self.unit} against the model's "
                f"{self.model_value:.4g}{self.unit}, and {self.default_value:.4g}{self.unit} with "
                "the runtime's own optimizations"
            )
        for one in self.differing:
            found = f"outputs differ by {one.typical:.2g} on average"
            if self.metric:
                found = f"{self.metric} is {one.value:.4g}{self.unit}"
            words += f"; {one.runtime} computes something else of it: there {found}"
        if self.first_difference:
            words += f"; the first layer that differs is {self.first_difference!r}"
        return words


def iter_parity(
    model: Layer,
    file: Path,
    runtime: str,
    trials: Trials,
    *,
    exact: bool,
    others: Sequence[str] = (),
) -> Generator[Step[Parity], None, Parity]:
    """Compare outputs and metric, batch by batch, in fresh processes: two, and one a runtime of
    `others`; of those that can't load the file nothing is told.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(loaded(file, runtime, plain=True))]
        files += [stack.enter_context(loaded(file, runtime))]
        named = []
        for name in others:
            if name != runtime:
                with suppress(ExportError):
                    files.append(stack.enter_context(loaded(file, name)))
                    named.append(name)
        tally = _Tally(trials, exact, named)
        for inputs, labels in trials.batches():
            tally.add(model, files, inputs, labels)
            yield Step(tally.images, trials.images, "check", tally.parity())
    return tally.parity()


class _Tally:
    """Sums over batches: of the model, then of the files in their order."""

    def __init__(self, trials: Trials, exact: bool, others: Sequence[str]) -> None:
        self.trials, self.exact, self.others = trials, exact, others
        self.images = 0
        self.largest, self.total, self.scores = np.zeros((3, 3 + len(others)))

    def add(
        self, model: Layer, files: Sequence[Fresh], inputs: Sequence[Tensor], labels: Any
    ) -> None:
        """Run a batch through model and files."""
        arrays = [x.numpy() for x in inputs]
        own = outputs(model, inputs)
        for place, made in enumerate((own, *(file.run(arrays) for file in files))):
            errors = np.max([differences(a, b) for a, b in zip(made, own, strict=True)], axis=0)
            self.largest[place] = max(self.largest[place], float(errors.max()))
            self.total[place] += float(errors.sum())
            if labels is not None:
                scores = self.trials.scores(made[0], labels)
                self.scores[place] += scores.sum(dtype=np.float64)
        self.images += len(own[0])

    def parity(self) -> Parity:
        """What there is so far."""
        metric, count = self.trials.metric, max(1, self.images)
        typical = (self.total / count).tolist()
        values, name, unit = [float("nan")] * len(typical), "", ""
        if metric is not None:
            values = (self.scores / count * metric.scale).tolist()
            name, unit = metric.name, metric.unit
        largest = self.largest.tolist()
        rest = zip(self.others, largest[3:], typical[3:], values[3:], strict=True)
        return Parity(
            self.images,
            largest[1],
            typical[1],
            self.exact,
            metric=name,
            unit=unit,
            model_value=values[0],
            file_value=values[1],
            default_value=values[2],
            elsewhere=tuple(Elsewhere(*one) for one in rest),
        )


def outputs(model: Layer, inputs: Sequence[Tensor]) -> list[NDArray[np.float32]]:
    """The model's own outputs."""
    with inference(model):
        made = model(*inputs)
    return [t.numpy() for t in paddle.utils.flatten(made) if isinstance(t, Tensor)]


def differences(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float64]:
    """Largest difference of each image, ``(n,)``, as a share of its largest wanted number."""
    if found.shape != wanted.shape:
        return np.full(len(wanted), np.inf)
    axes = tuple(range(1, wanted.ndim))
    apart = np.abs(np.subtract(found, wanted, dtype=np.float64))
    apart = np.where(np.isnan(found) & np.isnan(wanted), 0, apart)
    scale = np.maximum(np.abs(np.nan_to_num(wanted)).max(axis=axes), 1e-6)
    share: NDArray[np.float64] = apart.max(axis=axes) / scale
    return np.where(np.isnan(share), np.inf, share)


def first_difference(
    model: Layer, file: Path, runtime: str, trials: Trials, layers: Mapping[str, str]
) -> str:
    """The first layer, in execution order, whose output differs by more than `CLOSE`; or `""`.

    On a few images, whose inner values the file's runtime is asked for with its own changes off.
    """
    names = list(dict.fromkeys(layers.values()))
    if not names:
        return ""
    inputs, _ = next(iter(trials.batches(INSPECTED)))
    wanted = layer_outputs(model, inputs, layers)
    with loaded(file, runtime, plain=True, values=names) as fresh:
        found = dict(zip(names, fresh.run([x.numpy() for x in inputs], names), strict=True))
    for layer, name in layers.items():
        # Some values are a layer's without what its forward does next: nothing to compare.
        same = layer in wanted and found[name].shape == wanted[layer].shape
        if same and differences(found[name], wanted[layer]).max() > CLOSE:
            return layer
    return ""
