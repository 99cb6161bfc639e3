from __future__ import annotations

import pytest
from topologies import TOPOLOGIES, example

import slimlab as sl
from slimlab.allocate import Budget


@pytest.fixture(scope="module")
def chain() -> sl.Graph:
    """a: 3 -> 8 and b: 8 -> 12, 3x3 on 6x6; fc: 12 -> 5."""
    return sl.trace(TOPOLOGIES["chain"](), example())


def macs(a: int, b: int) -> int:
    return 36 * 9 * (3 * a + a * b) + b * 5


def test_the_reach_by_hand(chain: sl.Graph) -> None:
    assert sl.reachable(chain).macs == (0.0, pytest.approx(1 - macs(1, 1) / macs(8, 12)))
    few = sl.reachable(chain, sl.Scope(include="^a", least=2))
    assert few.macs[1] == pytest.approx(1 - macs(2, 12) / macs(8, 12))
    frame = few.to_frame().set_index("layer")
    assert frame.index.tolist() == ["b.0", "a.0", "fc"]
    assert frame["macs"].to_dict() == {"b.0": 324 * 24, "a.0": 324 * 6, "fc": 60}
    assert frame["reason"].to_dict() == {
        "a.0": "2 channels stay",
        "b.0": "out of scope",
        "fc": "reaches the network's output",
    }
    assert frame["macs_share"].sum() == pytest.approx(macs(2, 12) / macs(8, 12))


def test_it_reads_as_a_sentence(chain: sl.Graph) -> None:
    lines = str(sl.reachable(chain, sl.Scope(include="^a", least=2))).splitlines()
    assert lines[0].startswith("Toy: at most ")
    assert lines[2].startswith("  b.0 (Conv2D): ")
    assert lines[2].endswith("% of MACs stay, out of scope")


@pytest.mark.parametrize("name", sorted(TOPOLOGIES))
def test_what_is_reached_is_what_pruning_everything_gives(name: str) -> None:
    graph = sl.trace(TOPOLOGIES[name](), example())
    seen = sl.preview(graph, {g.name: 1 - 1 / g.width for g in graph.groups})
    reach = sl.reachable(graph, sl.Scope(min_channels=1))
    for what in ("macs", "params", "bytes"):
        assert getattr(reach, what)[1] == pytest.approx(getattr(seen, f"{what}_removed"))
    assert reach.to_frame()["macs"].sum() == pytest.approx(seen.macs)


def test_a_budget_beyond_it_is_refused_with_what_blocks(chain: sl.Graph) -> None:
    reach = sl.reachable(chain, sl.Scope(include="^a"))
    reach.check(Budget(macs=reach.macs[1]))
    with pytest.raises(sl.PlanError, match=r"Most is left in b\.0 \(out of scope\)") as caught:
        reach.check(Budget(params=0.99))
    assert caught.value.resource == "params"
    with pytest.raises(sl.PlanError, match=r"b\.0 \(out of scope\)"):
        sl.uniform_ratios(chain, macs=0.95, scope=sl.Scope(include="^a"))


def test_a_budget_is_what_was_given() -> None:
    assert dict(Budget(macs=0.5, bytes=0.25).shares) == {"macs": 0.5, "bytes": 0.25}
    assert str(Budget(macs=0.5, params=0.3)) == "-50% MACs, -30% parameters"
    with pytest.raises(sl.PlanError, match="at least one"):
        Budget()
    with pytest.raises(sl.PlanError, match=r"outside \[0, 1\)"):
        Budget(params=-0.1)


def test_uniform_meets_bytes_too(chain: sl.Graph) -> None:
    ratios = sl.uniform_ratios(chain, bytes=0.5, tolerance=0.05)
    assert sl.preview(chain, ratios).bytes_removed == pytest.approx(0.5, abs=0.05)
