"""An ordinary script around `paddle.Model.fit`; the five lines that end in `# added` make
a compression run of it.

A recipe prunes the trained network, lets it learn from what it was, and quantizes it, with
checkpoints from which the same script goes on. Run it with `python docs/scripts/model_fit.py`.
"""

from pathlib import Path

import numpy as np
import paddle
from paddle import nn
from sklearn.datasets import load_digits

import slimlab as sl  # added


class Digits(paddle.io.Dataset):
    """Images of 8 by 8 pixels that show digits."""

    def __init__(self, part: slice) -> None:
        digits = load_digits()
        order = np.random.default_rng(0).permutation(len(digits.target))[part]
        self.images = (digits.images[order, None] / 16).astype("float32")
        self.labels = digits.target[order].astype("int64")

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Give an image and its label."""
        return self.images[index], self.labels[index : index + 1]

    def __len__(self) -> int:
        """Give the number of images."""
        return len(self.labels)


paddle.seed(0)
np.random.seed(0)  # noqa: NPY002 - what Paddle's own samplers draw from
train, test = Digits(slice(300, None)), Digits(slice(300))
network = nn.Sequential(
    nn.Conv2D(1, 32, 3), nn.BatchNorm2D(32), nn.ReLU(),
    nn.Conv2D(32, 64, 3, stride=2), nn.BatchNorm2D(64), nn.ReLU(),
    nn.Flatten(), nn.Linear(256, 10),
)  # fmt: skip
model = paddle.Model(network)
optimizer = paddle.optimizer.Adam(2e-3, parameters=network.parameters())
model.prepare(optimizer, nn.CrossEntropyLoss(), paddle.metric.Accuracy())
model.fit(train, test, epochs=8, batch_size=64, verbose=0)
print("accuracy", 100 * model.evaluate(test, verbose=0)["acc"])

task = sl.Task.from_datasets(train, test, num_classes=10, name="mine")  # added
recipe = Path(__file__).with_name("recipe.yaml")  # added
small = sl.Compressor(recipe, network, task, folder="run").run(progress=False)  # added
print(small.to_frame().to_string())  # added
