"""An ordinary training script; the five lines that end in `# added` make a compression run of it.

Half of the multiply-adds are pruned, and the script's own loop trains what is left. Run it with
`python docs/scripts/plain_loop.py`.
"""

import numpy as np
import paddle
from paddle import nn
from sklearn.datasets import load_digits

import slimlab as sl  # added

EPOCHS = 8


class Digits(paddle.io.Dataset):
    """Images of 8 by 8 pixels that show digits."""

    def __init__(self, part: slice) -> None:
        digits = load_digits()
        order = np.random.default_rng(0).permutation(len(digits.target))[part]
        self.images = (digits.images[order, None] / 16).astype("float32")
        self.labels = digits.target[order]

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """Give an image and its label."""
        return self.images[index], int(self.labels[index])

    def __len__(self) -> int:
        """Give the number of images."""
        return len(self.labels)


def train(model: nn.Layer, epochs: int) -> None:
    """Train with the loop that everybody writes."""
    optimizer = paddle.optimizer.Adam(2e-3, parameters=model.parameters())
    model.train()
    for _ in range(epochs):
        for x, labels in train_loader:
            loss = nn.functional.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()


@paddle.no_grad()
def accuracy(model: nn.Layer) -> float:
    """Give the share of test images that are told right, in percent."""
    model.eval()
    right = [(model(x).argmax(axis=1) == labels).numpy() for x, labels in test_loader]
    return 100 * float(np.concatenate(right).mean())


paddle.seed(0)
np.random.seed(0)  # noqa: NPY002 - what Paddle's own samplers draw from
train_loader = paddle.io.DataLoader(Digits(slice(300, None)), batch_size=64, shuffle=True)
test_loader = paddle.io.DataLoader(Digits(slice(300)), batch_size=100)
model = nn.Sequential(
    nn.Conv2D(1, 32, 3), nn.BatchNorm2D(32), nn.ReLU(),
    nn.Conv2D(32, 64, 3, stride=2), nn.BatchNorm2D(64), nn.ReLU(),
    nn.Flatten(), nn.Linear(256, 10),
)  # fmt: skip
train(model, EPOCHS)
print(f"accuracy {accuracy(model):.1f}")

task = sl.Task.from_datasets(train_loader, test_loader, num_classes=10, name="mine")  # added
graph = sl.trace(model, task.example)  # added
model = sl.prune(model, sl.plan_pruning(model, graph, sl.uniform_ratios(graph, macs=0.5)))  # added
train(model, EPOCHS)  # added
print(f"accuracy {accuracy(model):.1f}")
paddle.save(model.state_dict(), "model.pdparams")
