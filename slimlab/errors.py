"""Floor 0. Every error a user can meet; knows nothing of models or files.

Each error says what was found, where, and what to do, and keeps the facts as attributes so that a
caller can react to them without parsing the sentence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SlimLabError(Exception):
    """Base of every error that SlimLab raises on purpose.

    Parameters
    ----------
    message
        One or two sentences: what was found, where, and what to do.
    **facts
        What the sentence is about; each becomes an attribute of the error.

    Examples
    --------
    >>> from slimlab import SlimLabError
    >>> error = SlimLabError("Ratio 1.2 for 'conv1' is outside [0, 1).", layer="conv1", ratio=1.2)
    >>> error.layer, error.ratio
    ('conv1', 1.2)
    """

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.facts = dict(facts)

    def __getattr__(self, name: str) -> object:
        # Only reached when ordinary lookup fails; `facts` itself may be missing while unpickling.
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        msg = f"{type(self).__name__} has no fact named {name!r}; it has {sorted(facts)}."
        raise AttributeError(msg)


class UnsupportedOpError(SlimLabError):
    """The model can't be traced, or a layer that was asked for can't be pruned correctly."""


class PlanError(SlimLabError):
    """Ratios, scopes, criteria or plans that don't fit each other or the model."""


class FrozenLayerError(PlanError, UnsupportedOpError):
    """Ratios for a layer that exists but can't be pruned; `reason` says why."""


class TaskError(SlimLabError):
    """Data that is missing, damaged or of the wrong shape; a loss or metric that can't be used."""


class DistillError(SlimLabError):
    """Distillation losses, layers or teachers that don't fit each other."""


class RecipeError(SlimLabError):
    """A recipe that can't be read or whose strategies can't be combined."""


class ArtifactError(SlimLabError):
    """A saved model, scan or checkpoint that is damaged, foreign, or belongs to something else."""


class ExportError(SlimLabError):
    """An export that is not what it was made from."""


class UnwritableError(ExportError, UnsupportedOpError):
    """An operator that the format of an export has no counterpart of."""


class WorkerError(SlimLabError):
    """A process of several that work together died, failed, or can't be started."""


class SlimLabWarning(UserWarning):
    """Something that a person should know, and that stops nothing."""


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """Give the end of an error sentence: the names closest to one that does not exist.

    Examples
    --------
    >>> from slimlab.errors import nearest
    >>> nearest("covn1", ["conv1", "conv2", "fc"])
    "Did you mean 'conv1' or 'conv2'?"
    >>> nearest("x", ["conv1", "fc"])
    "Known: 'conv1', 'fc'."
    """
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(name, names, n=most, cutoff=0.5)
    if close:
        *first, last = [repr(c) for c in close]
        return f"Did you mean {', '.join(first)} or {last}?" if first else f"Did you mean {last}?"
    if not names:
        return "There are none."
    shown = ", ".join(repr(n) for n in names[:8])
    return f"Known: {shown}{', ...' if len(names) > 8 else ''}."
