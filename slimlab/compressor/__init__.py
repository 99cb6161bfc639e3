"""Floor 4. Carries recipes out: strategies over epochs, checkpoints, results."""

from __future__ import annotations

from slimlab.compressor.compressor import Compressor
from slimlab.compressor.few import few_images
from slimlab.compressor.outputs import Compression

__all__ = ["Compression", "Compressor", "few_images"]
