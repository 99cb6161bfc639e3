"""Floor 3. Measures how much a network loses when one layer at a time is pruned.

`scan_sensitivity` is the verb. Below it: `blueprint` says what is removed, `segments` cuts the
network so that only what depends on that is computed again, `meters` computes it, `records` keeps
every image's score, `board` makes the table.
"""

from slimlab.scan.bits import iter_quant_sensitivity, quant_sensitivity
from slimlab.scan.files import load_scan, merge_scans
from slimlab.scan.run import iter_scan_sensitivity, scan_sensitivity
from slimlab.scan.settings import DEFAULT_RATIOS, ScanSettings
from slimlab.scan.steps import ScanStep

__all__ = [
    "DEFAULT_RATIOS",
    "ScanSettings",
    "ScanStep",
    "iter_quant_sensitivity",
    "iter_scan_sensitivity",
    "load_scan",
    "merge_scans",
    "quant_sensitivity",
    "scan_sensitivity",
]
