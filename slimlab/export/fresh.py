"""Floor 2. An exported file in a fresh process, which runs it and knows nothing of the model."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slimlab.errors import ExportError
from slimlab.export import child

Array = NDArray[np.float32]


class Fresh:
    """A file that a process of its own has loaded.

    Parameters
    ----------
    process
        Runs `child.py`.
    what
        File and runtime in words.
    errors
        Where the process writes what goes wrong.
    """

    def __init__(self, process: subprocess.Popen[bytes], what: str, errors: Any) -> None:
        self._process, self._what, self._errors = process, what, errors

    def run(self, inputs: Sequence[Array], values: Sequence[str] = ()) -> list[Array]:
        """The outputs for these inputs, or the values of these names.

        Raises
        ------
        ExportError
            When the runtime can't.
        """
        return self.ask({"values": list(values), "runs": 0}, inputs)[1]

    def seconds(self, inputs: Sequence[Array], runs: int) -> list[float]:
        """Times of one pass, in seconds."""
        return list(self.ask({"values": [], "runs": runs}, inputs)[0]["seconds"])

    def ask(
        self, request: Mapping[str, Any], arrays: Sequence[Array]
    ) -> tuple[dict[str, Any], list[Array]]:
        """Send a request and wait for its reply."""
        reply = None
        if self._process.stdin is not None and self._process.stdout is not None:
            try:
                child.write(self._process.stdin, dict(request), list(arrays))  # type: ignore[arg-type]
                reply = child.read(self._process.stdout)  # type: ignore[arg-type]
            except OSError:
                reply = None
        if reply is None:
            self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
            ended = f"its process ended with {self._process.returncode}"
            reply = {"error": ": ".join([ended, *last]), "type": "crash"}, []
        head, found = reply
        if "error" in head:
            first = str(head["error"]).strip().splitlines()
            msg = f"{self._what} can't run: {' '.join(first)[:500]}"
            raise ExportError(msg, reason=head["error"])
        return head, found


@contextmanager
def loaded(
    file: Path, runtime: str, *, plain: bool = False, values: Sequence[str] = ()
) -> Iterator[Fresh]:
    """Load a file in a fresh process, which ends with the block.

    Parameters
    ----------
    file
        The model's first file.
    runtime
        Such as `"onnxruntime"`.
    plain
        Without the runtime's own changes of the graph.
    values
        Names of inner values that will be asked for.

    Raises
    ------
    ExportError
        When the runtime can't load it.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, str(Path(child.__file__).absolute())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "GLOG_minloglevel": "2"},
            start_new_session=True,  # a Ctrl-C in the terminal is for the parent alone
        )
        fresh = Fresh(process, f"{file.name} in {runtime}", errors)
        try:
            request = {"runtime": runtime, "file": str(file.absolute()), "plain": plain}
            fresh.ask({**request, "values": list(values)}, [])
            yield fresh
        finally:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):  # it is gone already
                        stream.close()
            process.kill()
            process.wait()
