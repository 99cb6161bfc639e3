"""Networks as other people write them, for the contract of `contract.py`."""

from importlib import import_module
from pathlib import Path

from foreign.registry import NETWORKS

__all__ = ["NETWORKS"]

for _file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    import_module(f"foreign.{_file.stem}")
