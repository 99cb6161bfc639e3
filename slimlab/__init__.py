"""SlimLab: compress PaddlePaddle models, and see what each step costs and saves.

Its names are in `slimlab.public`, which takes seconds to import, for Paddle does. They are loaded
when the first of them is asked for, all at once.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slimlab.public import *  # noqa: F403 - a type checker sees all names at once

# Functions that are called as the modules they come from: `slimlab.trace` is the function.
SHADOWING = frozenset(
    {"compare", "evaluate", "export", "profile", "prune", "quantize", "report", "trace"}
)


class _Package(ModuleType):
    """A package that loads its names when they are asked for."""

    def __getattr__(self, name: str) -> Any:
        if name not in SHADOWING and importlib.util.find_spec(f"{__name__}.{name}"):
            return importlib.import_module(f"{__name__}.{name}")
        if name == "__all__" or not name.startswith(
            "__"
        ):  # what Python itself asks for is not ours
            self._load()
        if name not in self.__dict__:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return self.__dict__[name]

    def __dir__(self) -> list[str]:
        self._load()  # for completion
        return sorted(self.__dict__)

    def __setattr__(self, name: str, value: Any) -> None:
        # Python puts each module that was imported into its package, over a function of its name.
        if not (name in SHADOWING and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def _load(self) -> None:
        public = importlib.import_module(f"{__name__}.public")
        for name in ("__all__", *public.__all__):
            self.__dict__.setdefault(name, getattr(public, name))


sys.modules[__name__].__class__ = _Package
