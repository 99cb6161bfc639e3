from __future__ import annotations

import pytest

import slimlab as sl
from slimlab.errors import nearest


def test_every_error_is_a_slimlab_error_and_keeps_its_facts() -> None:
    kinds = (
        sl.UnsupportedOpError,
        sl.PlanError,
        sl.TaskError,
        sl.DistillError,
        sl.RecipeError,
        sl.ArtifactError,
        sl.ExportError,
        sl.WorkerError,
    )
    for kind in kinds:
        error = kind("A sentence.", layer="a", ratio=1.2)
        assert isinstance(error, sl.SlimLabError)
        assert str(error) == "A sentence."
        assert (error.layer, error.ratio) == ("a", 1.2)
        assert error.facts == {"layer": "a", "ratio": 1.2}


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("covn1", ["conv1", "fc"], "Did you mean 'conv1'?"),
        ("conv1", ["conv2", "conv2", "conv3"], "Did you mean 'conv3' or 'conv2'?"),
        ("x", [], "There are none."),
        ("x", ["alpha", "beta"], "Known: 'alpha', 'beta'."),
        ("x", [f"layer{n}" for n in range(9)], "'layer7', ..."),
    ],
)
def test_nearest_names(name: str, known: list[str], words: str) -> None:
    assert words in nearest(name, known)
