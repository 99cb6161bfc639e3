"""What tests of exports share: running the lines of a README, and networks of a user's own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
from paddle import nn


def run_readme(folder: Path, images: np.ndarray, place: Path) -> np.ndarray:
    """Logits that the three lines of the README give, in a process of its own in the folder."""
    found = re.search(r"```python\n(.*?)\n```", (folder / "README.md").read_text(), re.DOTALL)
    assert found is not None
    lines = found[1].splitlines()
    assert len(lines) == 3
    np.save(place / "images.npy", images)
    given = f"import numpy; images = numpy.load({str(place / 'images.npy')!r})"
    taken = f"numpy.save({str(place / 'logits.npy')!r}, numpy.asarray(logits))"
    code = "\n".join([given, *lines, taken])
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    return np.load(place / "logits.npy")


def logits_of(model: nn.Layer, images: np.ndarray) -> np.ndarray:
    model.eval()
    with paddle.no_grad():
        return model(paddle.to_tensor(images)).numpy()


class Joined(nn.Layer):
    """Two inputs, a residual addition, a concatenation, and a reshape with the batch size."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2D(3, 6, 3, padding=1)
        self.right = nn.Conv2D(2, 6, 3, padding=1, bias_attr=False)
        self.turn = nn.Conv2DTranspose(12, 4, 2, stride=2)
        self.last = nn.Linear(4 * 64, 5)

    def forward(self, x, z):
        both = self.left(x)
        both = paddle.concat([both, both + self.right(z)], axis=1)
        made = nn.functional.relu(self.turn(both))
        return self.last(made.reshape([x.shape[0], -1]))


class Batched(nn.Layer):
    """Divides by the batch size, which no file can know."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(x) / x.shape[0]
