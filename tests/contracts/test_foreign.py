"""Networks as other people write them: each is pruned rightly, or left alone with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import paddle
import pytest
from contract import fulfil
from foreign import NETWORKS

# Least share of MACs in prunable groups, so that what was once free stays so.
SHARES = json.loads((Path(__file__).parent / "shares.json").read_text(encoding="utf-8"))
# One of each kind that found a mistake once; all the others are run by `make test-all`.
FAST = {
    "resnet_option_a", "resnest", "darts_mixed_op", "rexnet", "fasternet", "condconv", "octave",
    "spatial_transformer", "bottleneck_transformer", "vit_by_views", "maxvit", "hornet", "sinc_net",
    "linformer", "skeleton_graph", "state_space", "pix2pix", "feature_pyramid_retinanet", "gpt",
}  # fmt: skip
CASES = [
    pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in sorted(NETWORKS)
]


@pytest.mark.parametrize("name", CASES)
def test_a_foreign_network_is_pruned_rightly_or_left_alone(name: str) -> None:
    paddle.seed(20)
    model, example = NETWORKS[name]()
    graph = fulfil(model, example)
    assert graph.coverage.macs_share >= SHARES[name] - 0.005, str(graph.coverage)


def test_every_network_has_a_share() -> None:
    assert set(SHARES) == set(NETWORKS)
    assert set(NETWORKS) >= FAST
