"""Top floor. Where a workbench keeps the file of its scan; knows nothing of what is in it."""

from __future__ import annotations

import tempfile
from pathlib import Path


class Scratch:
    """A folder that goes with the workbench, and one scan file after the other in it.

    Examples
    --------
    >>> from slimlab_widgets.scratch import Scratch
    >>> scratch = Scratch()
    >>> scratch.scan == scratch.scan, scratch.scan == scratch.new_scan()
    (True, False)
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="slimlab-")
        self._scans = 0

    @property
    def scan(self) -> Path:
        """The file of the present scan, which goes on from what it holds."""
        return Path(self._folder.name) / f"scan-{self._scans}.db"

    def new_scan(self) -> Path:
        """A file that nothing was measured for: an earlier scan is forgotten."""
        self._scans += 1
        return self.scan
