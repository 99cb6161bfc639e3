"""Floor 3. Ends that segments share, where all of them whole would hold too many weights.

A segment then has a part of its own up to a joint of the network, and goes on through stages,
which are compiled once for all segments. Each stage costs a cell one more call and the handing over
of one value, so there are no more than are needed. Knows no runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from slimlab.scan.network import OUTPUT, Network, Part
from slimlab.scan.segments import Segment

COUNTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True, eq=False)
class Stage:
    """The network from one joint to the next.

    Attributes
    ----------
    start
        Position of its first node.
    value
        What it takes, in the network as it is.
    part
        What is run.
    """

    start: int
    value: str
    part: Part


def shared(
    network: Network, segments: Mapping[str, Segment | None], most: int
) -> dict[str, Segment | None]:
    """The segments, in as many stages as they need to hold at most so many bytes of weights.

    When no number of stages is enough, the one that needs the fewest bytes.

    Parameters
    ----------
    network
        Of which they are.
    segments
        Group to its segment, or None; each a single part.
    most
        Bytes of weights in all parts together; what a part and another both hold counts twice.
    """
    found = dict(segments)
    least = _weight(network, found)
    for count in COUNTS:
        if least <= most:
            break
        stages = _stages(network, count)
        tried = {n: s if s is None else _staged(network, s, stages) for n, s in segments.items()}
        weight = _weight(network, tried)
        if weight < least:
            found, least = tried, weight
    return found


def _weight(network: Network, segments: Mapping[str, Segment | None]) -> int:
    parts = {part: None for s in segments.values() if s is not None for part in s.parts}
    return sum(network.weight(part.nodes) for part in parts)


def _stages(network: Network, count: int) -> list[Stage]:
    """So many stages after the first, of about the same number of bytes, or fewer."""
    behind, seen = [0], set[str]()
    for node in network.nodes:
        fresh = [n for n in node.input if n in network.initializers and n not in seen]
        seen.update(fresh)
        behind.append(behind[-1] + sum(len(network.initializers[n].raw_data) for n in fresh))
    wanted = [behind[-1] * n // (count + 1) for n in range(1, count + 1)]
    chosen = dict.fromkeys(
        next((joint for joint in network.joints if behind[joint[0]] >= bytes_), None)
        for bytes_ in wanted
    )
    joints = [joint for joint in chosen if joint is not None]
    ends = [*joints[1:], None][: len(joints)]
    return [_stage(network, joint, end) for joint, end in zip(joints, ends, strict=True)]


def _stage(network: Network, joint: tuple[int, str], end: tuple[int, str] | None) -> Stage:
    (start, value), given = joint, network.handed(joint[1])
    stop = len(network.nodes) if end is None else end[0]
    output = OUTPUT if end is None else network.handed(end[1])
    nodes = [
        *network.taking([given]),
        *network.nodes[start:stop],
        *network.handing([output]),
    ]
    return Stage(start, value, network.part(f"from {value}", nodes, (output,)))


def _staged(network: Network, segment: Segment, stages: Sequence[Stage]) -> Segment:
    """The segment up to the first stage that reads none of its group's channels, and from there."""
    after = [stage for stage in stages if stage.start > segment.last_reader]
    if not after:
        return segment
    own = [node for at, node in segment.nodes if at < after[0].start]
    if not any(after[0].value in node.output for node in own):
        return segment
    output = network.handed(after[0].value)
    first = network.part(
        segment.group, [*own, *network.handing([output])], (output,), segment.names
    )
    return replace(segment, parts=(first, *(stage.part for stage in after)))
