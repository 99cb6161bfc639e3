"""Floor 6. The `slimlab` command: reads its arguments, calls the library, writes to the terminal.

Knows every floor below and nothing of Jupyter: `slimlab lab` hands over to the widgets package,
which is optional.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path

from slimlab.commands import ALL
from slimlab.errors import SlimLabError

EPILOG = """\
examples:
  slimlab recipe list                    recipes that ship
  slimlab run uniform_pruning            carry one of them out, or your own.yaml
  slimlab scan vgg --task digits         how much each layer loses at each pruning ratio
  slimlab lab                            open JupyterLab on the quickstart
  slimlab lab --no-browser --port 9999   only print the address; any option of JupyterLab works
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
    lab = commands.add_parser(
        "lab",
        help="open JupyterLab on the quickstart notebook",
        description=(
            "Open JupyterLab on the quickstart notebook. It listens on this machine only, and"
            " prints its address with the token that opens it. Options that are not listed here go"
            " to JupyterLab, such as --no-browser or --port 9999."
        ),
        allow_abbrev=False,
    )
    lab.add_argument(
        "--work",
        type=Path,
        default=Path("slimlab-work"),
        metavar="FOLDER",
        help=(
            "folder to work in: the notebooks are copied there, and files that are there already"
            " are never overwritten (default: %(default)s)"
        ),
    )
    lab.set_defaults(run=run_lab, passes_on=True)
    return root


def run_lab(arguments: argparse.Namespace, others: Sequence[str]) -> int:
    """Carry out `slimlab lab`.

    Raises
    ------
    SlimLabError
        When JupyterLab or the widgets are not installed.
    """
    try:
        # By name: the core must not depend on the widgets, and works without them.
        lab = importlib.import_module("slimlab_widgets.lab")
        importlib.import_module("jupyterlab")
    except ModuleNotFoundError as missing:
        msg = (
            f"`slimlab lab` needs {missing.name}, which is not installed:"
            " pip install 'slimlab[widgets]'."
        )
        raise SlimLabError(msg, missing=missing.name) from missing
    lab.launch(arguments.work, others)
    return 0


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
        if getattr(arguments, "passes_on", False):
            return int(arguments.run(arguments, others))
        return int(arguments.run(arguments))
    except SlimLabError as error:
        sys.stderr.write(f"slimlab: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
