"""Floor 1. Who an inference model is written for. Knows no operator's rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimlab.legacy.network import Node

if TYPE_CHECKING:
    from slimlab.legacy.writer import Writer


@dataclass(frozen=True)
class Style:
    """How a network is written.

    Attributes
    ----------
    reader
        Who reads it, in words.
    int8
        Whether weights on a grid are stored as whole numbers.
    lite
        Whether only what Paddle Lite's optimizer knows may be written.
    """

    reader: str
    int8: bool = False
    lite: bool = False

    def check(self, node: Node, net: Writer) -> None:
        """Refuse a node that the reader does not know."""


FLOAT = Style("Paddle Inference")
INT8 = Style("Paddle Inference", int8=True)
