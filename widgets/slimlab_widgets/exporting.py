"""Top floor. `Exporting`: files for runtimes, checked against their models before they are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import slimlab as sl
from slimlab_widgets.jobs import Work
from slimlab_widgets.restoring import Restoring
from slimlab_widgets.settings import folder_for

if TYPE_CHECKING:
    from slimlab import ExportReport


class Exporting(Restoring):
    """A bench that writes files for runtimes; see `Workbench` for its parameters."""

    def export(self, name: str | None = None, format: str = "onnx") -> None:
        """Write a candidate for a runtime, to a folder beside that of Save; see `sl.export`.

        Parameters
        ----------
        name
            Of the candidate; the one that is chosen when None.
        format
            Such as `"onnx"`, or `"onnx-int8"` for a quantized model.
        """
        candidate = self._state.candidate(name)
        where = f"{folder_for(candidate.name)}-{format}"

        def done(report: ExportReport, _partial: bool) -> str:
            key = (candidate.name, format)
            self._update(lambda s: replace(s, exports={**s.exports, key: report}))
            return f"Exported '{candidate.name}' to {where}: {report.parity}."

        steps = lambda: sl.iter_export(candidate.model, where, self.task, format=format)  # noqa: E731
        title = f"Exporting '{candidate.name}'"
        self._jobs.start(Work("export", title, steps, done, timed=True))
