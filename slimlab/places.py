"""Floor 1. Which layer an operator of a program lies in. Knows nothing of channels."""

from __future__ import annotations

from functools import cached_property

from slimlab.trace import Op, Program


class Places:
    """Structured names of layers, by where Paddle says that an operator lies.

    Paddle records classes, not names: the layer is what the parameters used at the same place have
    in common.
    """

    def __init__(self, program: Program | None) -> None:
        self._program = program

    def words(self, op: Op) -> str:
        """Words for the layer an operator lies in, ending in a space; nothing when not known."""
        layer = self.layer(op)
        return f"in layer {layer!r} " if layer else ""

    def layer(self, op: Op) -> str:
        """Structured name of the layer an operator lies in; `""` when not known."""
        where = op.where
        while where.strip("/"):
            names = self._names.get(where)
            if names is not None:
                return names
            where = where.rstrip("/").rpartition("/")[0] + "/"
        return ""

    @cached_property
    def _names(self) -> dict[str, str]:
        found: dict[str, list[str]] = {}
        for op in self._program.ops if self._program else ():
            for value in op.inputs:
                if value is not None and value.parameter:
                    own = value.parameter.split(".")[:-1]
                    parts = op.where.strip("/").split("/")
                    for depth in range(len(parts), 0, -1):
                        place = "/" + "/".join(parts[:depth]) + "/"
                        old = found.setdefault(place, own)
                        same = [a == b for a, b in zip(old, own, strict=False)]
                        found[place] = own[: (*same, False).index(False)]
        return {place: ".".join(names) for place, names in found.items()}
