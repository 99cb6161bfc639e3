"""Floor 6. The parts of the `slimlab` command, one module each.

A module has a function `add(commands)`, which adds its parser with a `run` that takes the parsed
arguments and gives the exit code. To add a command, write such a module and put it into `ALL`.
"""

from __future__ import annotations

from slimlab.commands import compare, recipe, run, scan

ALL = (run, recipe, scan, compare)

__all__ = ["ALL"]
