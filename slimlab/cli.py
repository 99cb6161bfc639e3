"""Floor 6. The `slimlab` command: reads its arguments, calls the library, writes to the terminal.

Knows every floor below and nothing of Jupyter. What can be typed is known without the library,
which takes seconds to import: help, versions and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import sys
from collections.abc import Callable, Sequence

from slimlab.commands import ALL
from slimlab.errors import SlimLabError

EPILOG = """\
examples:
  slimlab recipe list                    recipes that ship
  slimlab run digits                     carry one out, or your own.yaml; go on after a crash
  slimlab scan vgg --task digits         how much each layer loses at each pruning ratio
  slimlab compare vgg small --task digits            a network and a saved one, side by side
  slimlab export small files --format onnx-int8      a file for a runtime, checked
  slimlab lab                            open JupyterLab on the quickstart
  slimlab lab --no-browser --port 9999   only print the address; any option of JupyterLab works
  slimlab app --model vgg                the workbench as a page without code cells

`slimlab COMMAND --help` says what each takes. A command that is refused says why in a sentence, and
exits with 1; one that was stopped exits with 130.
"""


def parser() -> argparse.ArgumentParser:
    """Give the parser of the whole command line.

    Examples
    --------
    >>> from slimlab.cli import parser
    >>> parser().parse_args(["lab", "--work", "lessons"]).work.name
    'lessons'
    """
    # Abbreviations would swallow options that are JupyterLab's.
    root = argparse.ArgumentParser(
        prog="slimlab",
        description="Compress PaddlePaddle models: prune, distil, quantize, compare.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = importlib.metadata.version("slimlab")
    root.add_argument("--version", action="version", version=f"slimlab {version}")
    commands = root.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for command in ALL:
        command.add(commands)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv
        Arguments without the command's name; those of the process by default.

    Returns
    -------
    int
        0, 1 where SlimLab refused with a sentence, or 2 for a command line that can't be read.
    """
    root = parser()
    arguments, others = root.parse_known_args(argv)
    if arguments.command is None:
        root.print_help()
        return 2
    if others and not getattr(arguments, "passes_on", False):
        root.error(f"unrecognized arguments: {' '.join(others)}")
    try:
        run = _found(arguments.run)
        if getattr(arguments, "passes_on", False):
            return run(arguments, others)
        return run(arguments)
    except SlimLabError as error:
        sys.stderr.write(f"slimlab: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _found(name: str) -> Callable[..., int]:
    """Import the function that carries a command out, and all of the library before."""
    importlib.import_module("slimlab.public")  # what registers itself on import is there then
    module, _, function = name.rpartition(".")
    found: Callable[..., int] = getattr(importlib.import_module(module), function)
    return found


if __name__ == "__main__":
    sys.exit(main())
