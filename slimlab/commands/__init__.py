"""Floor 6. The parts of the `slimlab` command, one module each.

A module has a function `add(commands)`, which adds its parsers, each with a `run` that takes the
parsed arguments (with `passes_on` also those that are nobody's here) and gives the exit code. To
add one, write such a module and put it into `ALL`.
"""

from __future__ import annotations

from slimlab.commands import compare, export, pages, recipe, run, scan

ALL = (run, recipe, scan, compare, export, pages)

__all__ = ["ALL"]
