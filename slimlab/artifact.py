"""Floor 2. A model on disk that reloads without its scan: JSON architecture and safetensors.

The file says which constructor made the network, what it looked like then, the shapes its
tensors have now, and what was quantized. Loading builds it, cuts it to those shapes, puts the
quantizers in and fills all tensors in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle.nn import Layer
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from slimlab.errors import ArtifactError, PlanError
from slimlab.layers import Tensors
from slimlab.prune import ARCHITECTURE, SIZES, architecture, resize
from slimlab.quantize.layout import Layout, install, layout_of
from slimlab.quantize.storing import stored, unstored
from slimlab.store import read_folder, write_folder
from slimlab.zoo.origin import Origin, build, origin_of

WEIGHTS = "model.safetensors"
# What a manifest that was written by hand can lead to.
_UNUSABLE = (KeyError, TypeError, ValueError, AttributeError, SafetensorError, PlanError)


def save(model: Layer, folder: str | Path) -> Path:
    """Save a model, pruned or not, so that it reloads in a fresh process.

    Parameters
    ----------
    model
        A zoo model, a network of `paddle.vision.models` made by `load_model`, or your own.
    folder
        Where; it appears whole or not at all. An earlier model of ours there is replaced.

    Returns
    -------
    Path
        The folder: `slimlab.json` and `model.safetensors`.

    Raises
    ------
    ArtifactError
        When the place is taken by something else or can't be written.

    Examples
    --------
    >>> import tempfile, paddle, slimlab as sl
    >>> model = sl.load_model("vgg", sl.load_task("digits"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = sl.load(sl.save(model, folder + "/small"))
    >>> x = paddle.randn([1, 1, 8, 8])
    >>> bool((model(x) == again(x)).all())
    True
    """
    origin = origin_of(model)
    now = architecture(model)
    layout = layout_of(model)
    facts = {
        "version": 1,
        "made_with": {name: version(name) for name in ("slimlab", "paddlepaddle")},
        "model": type(model).__name__,
        "origin": origin.to_dict() if origin else None,
        "built": getattr(model, ARCHITECTURE, now),
        "shapes": now["tensors"],
        "sizes": getattr(model, SIZES, {}),
        "quantized": layout.to_dict() if layout is not None else None,
    }
    return write_folder(folder, "model", facts, {WEIGHTS: weight_bytes(model)})


def weight_bytes(model: Layer) -> bytes:
    """The content of the model's weight file: each tensor once, under its structured name.

    Quantized weights are whole numbers of their bits, `int8` or packed.
    """
    return save_tensors(stored(model))


def load(folder: str | Path, model: Layer | None = None) -> Layer:
    """Load a saved model, in evaluation mode.

    Parameters
    ----------
    folder
        What `save` wrote.
    model
        For a network of your own: a fresh one from the constructor it was made with. It is not
        changed.

    Raises
    ------
    ArtifactError
        When a file is missing, damaged or edited, or the constructor makes another network (the
        first difference is named).

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.load("no/such/folder")
    Traceback (most recent call last):
    slimlab.errors.ArtifactError: no/such/folder is no SlimLab folder: there is no such folder.
    """
    manifest, files = read_folder(folder, "model")
    try:
        built, shapes = manifest["built"], manifest["shapes"]
        arrays = load_tensors(files[WEIGHTS])
        fresh = model if model is not None else build(_origin(folder, manifest))
        _check_same(folder, built, architecture(fresh))
        small, tensors = _shaped(fresh, manifest, shapes, arrays)
    except _UNUSABLE as error:
        msg = f"{folder} holds no model that can be loaded: {type(error).__name__}: {error}"
        raise ArtifactError(msg, path=str(folder)) from error
    state = small.state_dict()
    for name in Tensors.of(small).slots:
        if name not in tensors or list(tensors[name].shape) != list(state[name].shape):
            have = list(tensors[name].shape) if name in tensors else "missing"
            msg = f"{folder}: tensor {name!r} is {have}; {list(state[name].shape)} is needed."
            raise ArtifactError(msg, path=str(folder), parameter=name)
        state[name].set_value(paddle.to_tensor(tensors[name]))
    object.__setattr__(small, ARCHITECTURE, built)
    small.eval()
    return small


def _shaped(
    fresh: Layer,
    manifest: Mapping[str, Any],
    shapes: Mapping[str, Sequence[int]],
    arrays: Mapping[str, np.ndarray],
) -> tuple[Layer, Mapping[str, np.ndarray]]:
    """Cut a fresh network to shape, put quantizers in, and give the tensors that belong there."""
    quantized, sizes = manifest.get("quantized"), manifest.get("sizes", {})
    if quantized is None:
        return resize(fresh, shapes, sizes), arrays
    layout = Layout.from_dict(quantized)
    small = resize(fresh, dict(layout.shapes), sizes)
    install(small, layout)
    return small, unstored(small, arrays)


def _origin(folder: str | Path, manifest: Mapping[str, Any]) -> Origin:
    if manifest["origin"] is None:
        msg = (
            f"{folder} holds a {manifest['model']}, a network of your own, whose constructor "
            "SlimLab does "
            f"not know. Pass a fresh one: sl.load(folder, model={manifest['model']}(...))."
        )
        raise ArtifactError(msg, path=str(folder), model=manifest["model"])
    return Origin.from_dict(manifest["origin"])


def _check_same(folder: str | Path, saved: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Compare two architectures and name the first difference."""
    for what in ("layers", "tensors"):
        pairs = zip_longest(saved[what].items(), found[what].items(), fillvalue=("nothing", ""))
        for theirs, ours in pairs:
            if _plain(theirs) != _plain(ours):
                msg = (
                    f"{folder} was saved from another network: the first difference is in its "
                    f"{what}, "
                    f"{_words(theirs)} there and {_words(ours)} here. Use the constructor and the "
                    "arguments it was made with."
                )
                raise ArtifactError(msg, path=str(folder), saved=theirs, found=ours)


def _plain(item: Sequence[Any]) -> list[Any]:
    return [list(part) if isinstance(part, (list, tuple)) else part for part in item]


def _words(item: Sequence[Any]) -> str:
    return f"{item[0] or 'the model itself'!s} {item[1]}".strip()
