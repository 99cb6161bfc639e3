"""Floor 5. Trials written up as one HTML page that needs nothing else: tables, pictures, words.

Measures nothing and changes nothing: it writes down what trials, scans and exports hold. Knows
matplotlib through `plots`, and Jinja2, which escapes every name.
"""

from slimlab.report.write import Tabular, report

__all__ = ["Tabular", "report"]
