"""Floor 6. The parts of the `slimlab` command, one module each.

A module has a function `add(commands)`, which adds its parsers, each with a `run` that takes the
parsed arguments and gives the exit code. To add one, write such a module and put it into `ALL`.
"""

from __future__ import annotations

from slimlab.commands import compare, export, recipe, run, scan

ALL = (run, recipe, scan, compare, export)

__all__ = ["ALL"]
