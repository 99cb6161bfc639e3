"""Floor 2. A program of Paddle 1 and 2 as one of Paddle 3, which its own loaders want.

Paddle Inference reads both; `paddle.jit.load` and `paddle.static.load_inference_model` of Paddle 3
read the new one only, unless the process was started with `FLAGS_enable_pir_api=0`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import paddle

PLACE = [0, 0, ""]  # any
DTYPES = {"0.t_f32": "float32", "0.t_f64": "float64", "0.t_f16": "float16", "0.t_i32": "int32",
          "0.t_i64": "int64", "0.t_i16": "int16", "0.t_i8": "int8", "0.t_ui8": "uint8",
          "0.t_bool": "bool"}  # fmt: skip


def paddle3_bytes(program: bytes) -> bytes | None:
    """The program as Paddle's own translator gives it, with the same parameters in the same file.

    Parameters
    ----------
    program
        A `ProgramDesc`.

    Returns
    -------
    bytes or None
        Paddle 3's JSON; None where its translator can't.

    Examples
    --------
    >>> from slimlab.export.translating import paddle3_bytes
    >>> paddle3_bytes(b"no program") is None
    True
    """
    try:
        described = paddle.base.core.ProgramDesc(program)
        translated = paddle.pir.translate_to_pir(described)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.json"
            paddle.base.core.serialize_pir_program(translated, str(file))
            made = json.loads(file.read_text())
    except (RuntimeError, ValueError, TypeError):  # what Paddle raises of its C++ errors
        return None
    (region,) = made["program"]["regions"]
    (block,) = region["blocks"]
    block["ops"] = [_data(op) if op["#"] == "1.feed" else op for op in block["ops"]]
    return json.dumps(made, separators=(",", ":")).encode()


def _data(op: dict[str, Any]) -> dict[str, Any]:
    """An input as Paddle 3 itself writes it: its loader of layers knows no other."""
    given = {one["N"]: one["AT"]["D"] for one in op["A"]}
    (made,) = op["O"]
    kind, shape = made["TT"]["D"][:2]
    attributes = {
        "name": ("0.a_str", given["name"]),
        "shape": ("1.a_intarray", shape),
        "dtype": ("1.a_dtype", DTYPES[kind["#"]]),
        "place": ("1.a_place", PLACE),
    }
    listed = [{"AT": {"#": k, "D": v}, "N": name} for name, (k, v) in attributes.items()]
    return {"#": "1.data", "A": listed, "I": [], "O": op["O"], "OA": op["OA"]}
