"""Floor 2. An exponential moving average of a model's weights (Polyak and Juditsky, 1992)."""

from __future__ import annotations

import copy

import paddle
from paddle.nn import Layer


class AveragedModel:
    """A copy of a model whose tensors follow the model's, slowly.

    Parameters
    ----------
    model
        What is followed; it is not changed.
    decay
        Share of the average that stays at each update, in [0, 1).

    Examples
    --------
    >>> import paddle
    >>> from slimlab.train.averaging import AveragedModel
    >>> model = paddle.nn.Linear(1, 1)
    >>> model.weight.set_value(paddle.zeros([1, 1]))
    >>> averaged = AveragedModel(model, decay=0.5)
    >>> model.weight.set_value(paddle.ones([1, 1]))
    >>> averaged.update()
    >>> round(averaged.model.weight.item(), 4)  # 2 / 11 of the old value stay at the first update
    0.8182
    """

    def __init__(self, model: Layer, decay: float) -> None:
        self.model = copy.deepcopy(model)
        self.updates = 0
        self._decay = decay
        self._source = model

    def update(self) -> None:
        """Take one step towards the model: floating tensors, BatchNorm's statistics among them."""
        self.updates += 1
        # Early on the average would be the random start: forget it sooner.
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        source = self._source.state_dict()
        with paddle.no_grad():
            for name, tensor in self.model.state_dict().items():
                new = source[name]
                is_float = paddle.is_floating_point(new)
                tensor.set_value(tensor * decay + new * (1 - decay) if is_float else new)
