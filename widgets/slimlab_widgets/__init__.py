"""SlimLab's widgets for JupyterLab: see, pick, prune, fine-tune and compare with the mouse.

Everything a widget does is a call into `slimlab`, which works the same without them.
"""

from slimlab_widgets.panels import ComparisonView, RatioPicker, RunView, SensitivityView
from slimlab_widgets.workbench import Workbench

__all__ = ["ComparisonView", "RatioPicker", "RunView", "SensitivityView", "Workbench"]
