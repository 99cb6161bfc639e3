"""Floor 2. Microsoft's ONNX Runtime on the processor: the fastest in float32 and int8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slimlab.runtimes.base import Array, Compiled, refused, runtime

_QUIET = 3  # errors only


@runtime("onnxruntime")
class OnnxRuntime:
    """Runs networks with `onnxruntime.InferenceSession`."""

    name = "onnxruntime"
    channels_last = False
    dtypes = ("float32",)

    def compile(
        self, model: Any, *, dtype: str = "float32", threads: int | None = None
    ) -> Compiled:
        """Make a session; `dtype` is always float32 here."""
        # It starts threads, so it is not imported with `import slimlab`.
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _QUIET
        options.intra_op_num_threads = threads or 0
        # A network's segments are run one after the other: threads of one that is done must not
        # keep a core busy waiting while the next one runs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no common class but this
            raise refused(self.name, error) from error
        return _Session(session)


class _Session:
    def __init__(self, session: Any) -> None:
        self._session = session
        self._names = [one.name for one in session.get_inputs()]

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        try:
            return list(self._session.run(None, dict(zip(self._names, inputs, strict=True))))
        except Exception as error:
            raise refused(OnnxRuntime.name, error) from error

    def rest(self) -> None:
        """Keep it: a session's memory goes with the session."""
