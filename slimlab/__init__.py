"""SlimLab: compress PaddlePaddle models, and see what each step costs and saves."""

from slimlab.errors import SlimLabError
from slimlab.graph import trace
from slimlab.plan import plan_pruning
from slimlab.prune import prune, masked
from slimlab.ratios import Ratios, Scope
