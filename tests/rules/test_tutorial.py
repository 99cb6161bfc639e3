"""The code of docs/add-an-operator.md does what the page says."""

from __future__ import annotations

import linecache
import re
from pathlib import Path
from typing import Any

from slimlab.lowering import LOWERINGS
from slimlab.rules import RULES


def test_the_tutorial_frees_its_operator(root: Path) -> None:
    page = (root / "docs" / "add-an-operator.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 4
    source = "\n".join(blocks)
    name = "<add-an-operator>"
    # Paddle's tracer reads the source of a forward.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    names: dict[str, Any] = {"__name__": "tutorial"}
    try:
        exec(compile(source, name, "exec"), names)
    finally:
        RULES.pop("pd_op.renorm", None)
        LOWERINGS.pop("pd_op.renorm", None)
    assert names["graph"].layers == ("a",)
    assert names["small"].a.weight.shape[0] == 4
    assert names["difference"] < 1e-5
    assert names["onnx_difference"] < 1e-5
