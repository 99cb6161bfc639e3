"""Floor 1. The weights that ship and the index that says what they are; checks what it reads.

The index also holds each network's measured accuracy, which a test measures again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from paddle.nn import Layer
from safetensors import SafetensorError
from safetensors.numpy import load

from slimlab.errors import ArtifactError

WEIGHTS = Path(__file__).parent / "weights"
INDEX = "index.json"
QUICK_IMAGES = 2000  # test images of the accuracy that a test can measure again in seconds


@dataclass(frozen=True)
class Entry:
    """One file of weights.

    Attributes
    ----------
    file, sha256
        Its name, and the hash of its bytes.
    constructor, kwargs
        Of the network; see `slimlab.zoo.origin.Origin`.
    parameters
        Trained parameters, without BatchNorm statistics.
    top1, top1_quick
        Accuracy in percent on all test images, and on the first 2,000 (or all, if fewer).
    images
        Test images in all.
    epochs, seed
        Of its training.
    """

    file: str
    sha256: str
    constructor: str
    kwargs: Mapping[str, Any]
    parameters: int
    top1: float
    top1_quick: float
    images: int
    epochs: int
    seed: int


SHAPE = ("num_classes", "in_channels", "size")  # follow from the task
PAGE = """# The model zoo

Three small networks with trained weights for the two built-in tasks. `sl.load_model(name, task)`
loads them; nothing is downloaded.

| network | task | made with | parameters | bytes | top-1, % | of the first 2,000, % | epochs |
|---|---|---|---|---|---|---|---|
{rows}

Parameters are the trained ones, without BatchNorm statistics. Top-1 is measured on all test images:
359 for digits, 10,000 for Fashion-MNIST; the next column on the first 2,000 of them (all, for
digits), which is quick to measure again.

The weights were made by

```
python -m slimlab.zoo.train --table docs/zoo.md
```

on one core, with momentum, a cosine learning rate and the task's augmentation; see
`slimlab/zoo/train.py`. `--network` and `--task` choose some; `--only-table` writes this page
anew. `tests/zoo/test_shipped.py` measures the accuracies again and compares this page with them.
"""

Index = dict[tuple[str, str], Entry]  # (network, task) -> entry


def sha256(content: bytes) -> str:
    """Give the hash that the index holds."""
    return hashlib.sha256(content).hexdigest()


def read_index(folder: Path = WEIGHTS) -> Index:
    """Read what weights there are; an empty index when the folder has none.

    Raises
    ------
    ArtifactError
        When the index is damaged.
    """
    path = folder / INDEX
    if not path.is_file():
        return {}
    try:
        rows = list(json.loads(path.read_text(encoding="utf-8")))
        names = {field.name for field in fields(Entry)}
        return {(row["network"], row["task"]): Entry(**{n: row[n] for n in names}) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        msg = f"The index of weights {path} is damaged ({error!r}); install SlimLab again."
        raise ArtifactError(msg, path=str(path)) from error


def write_index(index: Index, folder: Path = WEIGHTS) -> None:
    """Write the index, one entry for each file, sorted."""
    rows = [
        {"network": network, "task": task, **asdict(entry)}
        for (network, task), entry in sorted(index.items(), key=lambda pair: pair[0])
    ]
    text = json.dumps(rows, indent=2) + "\n"
    (folder / INDEX).write_text(text, encoding="utf-8")


def load_weights(model: Layer, entry: Entry, folder: Path = WEIGHTS) -> None:
    """Put an entry's weights into a network of its constructor.

    Raises
    ------
    ArtifactError
        When the file is missing, cut off, changed, or belongs to another network.
    """
    path = folder / entry.file
    if not path.is_file():
        msg = f"The weights {path} are missing; install SlimLab again."
        raise ArtifactError(msg, path=str(path))
    content = path.read_bytes()
    if sha256(content) != entry.sha256:
        msg = (
            f"The weights {path} ({len(content):,} bytes) are damaged or cut off: their SHA-256 is "
            f"{sha256(content)[:12]}..., not {entry.sha256[:12]}...; install SlimLab again."
        )
        raise ArtifactError(msg, path=str(path), expected=entry.sha256, found=sha256(content))
    try:
        weights = load(content)
    except SafetensorError as error:
        msg = f"The weights {path} are not a safetensors file ({error})."
        raise ArtifactError(msg, path=str(path)) from error
    _check_keys(path, weights, model.state_dict())
    model.set_state_dict(weights)


def _check_keys(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    wrong = set(found) ^ set(expected)
    wrong |= {k for k in set(found) & set(expected) if [*found[k].shape] != [*expected[k].shape]}
    if wrong:
        msg = f"The weights {path} belong to another network; they differ in {sorted(wrong)[:3]}."
        raise ArtifactError(msg, path=str(path), keys=tuple(sorted(wrong)))


def accuracy_table(index: Index, folder: Path = WEIGHTS) -> str:
    """Give the page that documents the weights, as Markdown."""
    rows = [
        f"| `{network}` | {task} | {_arguments(entry)} | {entry.parameters:,} | "
        f"{(folder / entry.file).stat().st_size:,} | {entry.top1:.2f} | {entry.top1_quick:.2f} | "
        f"{entry.epochs} |"
        for (network, task), entry in sorted(index.items(), key=lambda pair: pair[0][::-1])
    ]
    return PAGE.format(rows="\n".join(rows))


def _arguments(entry: Entry) -> str:
    return ", ".join(f"`{k}={v}`" for k, v in entry.kwargs.items() if k not in SHAPE)
