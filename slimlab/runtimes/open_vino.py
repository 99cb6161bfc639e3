"""Floor 2. Intel's OpenVINO on the processor: float32, and bfloat16 where the processor has it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from slimlab.runtimes.base import Array, Compiled, refused, runtime

_PRECISION = {"float32": "f32", "bfloat16": "bf16"}


@runtime("openvino")
class OpenVino:
    """Runs networks with `openvino.Core`."""

    name = "openvino"
    channels_last = True

    @cached_property
    def _core(self) -> Any:
        # It starts threads, so it is not imported with `import slimlab`.
        import openvino

        return openvino.Core()

    @cached_property
    def dtypes(self) -> tuple[str, ...]:
        """float32, and bfloat16 if the processor multiplies it."""
        able = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return ("float32", "bfloat16") if "BF16" in able else ("float32",)

    def compile(
        self, model: Any, *, dtype: str = "float32", threads: int | None = None
    ) -> Compiled:
        """Compile for one request at a time, in the given precision."""
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _PRECISION[dtype],
            "PERFORMANCE_HINT": "LATENCY",
            # Bound to a core, the threads of two processes would share the first one.
            "ENABLE_CPU_PINNING": False,
        }
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            network = self._core.read_model(model.SerializeToString(), b"")
            return _Request(self._core.compile_model(network, "CPU", settings))
        except RuntimeError as error:
            raise refused(self.name, error) from error


class _Request:
    def __init__(self, network: Any) -> None:
        self._network = network
        self._request = network.create_infer_request()

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        request = self._request
        try:
            request.infer(list(inputs), share_inputs=True)
        except RuntimeError as error:
            raise refused(OpenVino.name, error) from error
        outputs = request.model_outputs
        # The request's own memory is written over by the next call.
        return [np.array(request.get_tensor(one).data) for one in outputs]

    def rest(self) -> None:
        """Give back what lies between its layers."""
        self._network.release_memory()
