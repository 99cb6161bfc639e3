"""Floor 1. Operators that write over one of their inputs.

ONNX has none: who reads the input later is given the output instead. Knows which input it is.
"""

from __future__ import annotations

from dataclasses import replace

from slimlab.trace import Op, Program, Value

# These overwrite running statistics, and nothing at all in evaluation mode.
_NORMS = frozenset({"pd_op.batch_norm_", "pd_op.sync_batch_norm_"})
_TARGETS = {"pd_op.assign_out_": 1}  # all others overwrite their first input


def without_overwriting(program: Program) -> Program:
    """The same program, in which a value never changes once it was made."""
    if not any(op.name.endswith("_") and op.name not in _NORMS for op in program.ops):
        return program
    newest: dict[int, Value] = {}

    def latest(values: tuple[Value | None, ...]) -> tuple[Value | None, ...]:
        return tuple(v if v is None else newest.get(v.id, v) for v in values)

    ops: list[Op] = []
    for op in program.ops:
        ops.append(replace(op, inputs=latest(op.inputs)))
        if op.name.endswith("_") and op.name not in _NORMS:
            position = _TARGETS.get(op.name, 0)
            old = op.inputs[position] if position < len(op.inputs) else None
            new = op.outputs[0]
            if old is not None and new is not None:
                aliases = [number for number, value in newest.items() if value.id == old.id]
                newest.update(dict.fromkeys([old.id, *aliases], new))
    outputs = tuple(v for v in latest(program.outputs) if v is not None)
    return replace(program, ops=tuple(ops), outputs=outputs)
