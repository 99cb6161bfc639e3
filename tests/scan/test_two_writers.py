"""Two scans may go on in one file at once: nothing is lost, nothing doubled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from slimlab.scan.records import WHOLE, Key, Record, Records

OWN = {"model": "m", "task": "t", "metric": "top1", "criterion": "l1_norm", "recalibrate_bn": "0"}
ABOUT = {"layers": ["a", "b"], "ratios": [0.5], "images": 40}
KEYS: tuple[Key, ...] = (WHOLE, ("a", 0.5), ("b", 0.5))
IMAGES, CHUNK = 40, 4
# Which images each network of `KEYS` gets right.
RIGHT = np.random.default_rng(0).integers(0, 2, (len(KEYS), IMAGES)).astype(np.float32)


def test_two_scans_may_write_to_a_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.scan"
    starts = range(0, IMAGES, CHUNK)

    def add(records: Records, mine: range) -> None:
        for start in mine:
            parts = (Record(k, "float32", start, row[start:][:CHUNK]) for k, row in rows)
            records.add(parts, ABOUT)

    rows = list(zip(KEYS, RIGHT, strict=True))
    with Records(OWN, path) as one, Records(OWN, path) as other, ThreadPoolExecutor(2) as pool:
        # Half of the images are written by both, one forwards and one backwards.
        both = (one, starts[: len(starts) * 3 // 4]), (other, starts[len(starts) // 4 :][::-1])
        for done in [pool.submit(add, *part) for part in both]:
            done.result()
    found = Records(OWN, path, write=False)
    assert found.about == ABOUT
    for key, right in rows:
        np.testing.assert_array_equal(found.scores(key, "float32"), right)
