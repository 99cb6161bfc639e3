"""Floor 2. Programs that run an ONNX network fast: ONNX Runtime and OpenVINO, behind one call.

Knows ONNX models and NumPy arrays; knows neither Paddle nor what a network is for. Which one is
used where was chosen by measurement: see `benchmarks/runtimes.py`.
"""

from slimlab.runtimes import onnx_runtime, open_vino  # noqa: F401 - they register themselves
from slimlab.runtimes.base import RUNTIMES, Compiled, Runtime, fastest, runtime

__all__ = ["RUNTIMES", "Compiled", "Runtime", "fastest", "runtime"]
