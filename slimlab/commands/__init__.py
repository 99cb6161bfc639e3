"""Floor 6. The parts of the `slimlab` command: what can be typed here, what is done in `doing`.

A module has a function `add(commands)`, which adds its parsers with `add_command` and imports
nothing but `argparse`, so that help appears at once. Each parser names a function of `doing`, which
takes the parsed arguments (with `passes_on` also those that are nobody's here) and gives the exit
code. To add a command, write both and put the module into `ALL`.
"""

from __future__ import annotations

from slimlab.commands import compare, export, pages, recipe, run, scan

ALL = (run, recipe, scan, compare, export, pages)

__all__ = ["ALL"]
