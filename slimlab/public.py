"""All names of `slimlab`, which loads this module when the first of them is asked for."""

from slimlab import plots
from slimlab.account import Account
from slimlab.allocate import (
    Preview,
    Reachable,
    bits_for_budget,
    predicted_against_actual,
    preview,
    ratios_for_budget,
    ratios_from_scores,
    ratios_within_drop,
    reachable,
    score_channels,
    uniform_ratios,
)
from slimlab.artifact import load, save
from slimlab.compare import Comparison, Trial, compare, iter_measure_trial, measure_trial
from slimlab.compressor import Compression, Compressor, few_images
from slimlab.data import Pixels, image_folder, load_task
from slimlab.distill import (
    DIST,
    DKD,
    FSP,
    L2,
    AttentionTransfer,
    DistillLoss,
    Pair,
    SoftLabel,
    distill_loss,
    suggest_pairs,
)
from slimlab.distill import Custom as CustomLoss
from slimlab.errors import (
    ArtifactError,
    DistillError,
    ExportError,
    PlanError,
    RecipeError,
    SlimLabError,
    TaskError,
    UnsupportedOpError,
    WorkerError,
)
from slimlab.evaluate import Scores, evaluate, iter_evaluate
from slimlab.evidence import criteria
from slimlab.export import (
    ExportReport,
    export,
    iter_export,
    iter_verify_export,
    verify_export,
)
from slimlab.graph import ChannelGroup, Coverage, Graph
from slimlab.grouping import profile, trace
from slimlab.latency import Latency, iter_measure_latency, measure_latency
from slimlab.plan import PruningPlan, plan_pruning
from slimlab.profile import Profile
from slimlab.prune import masked, prune
from slimlab.quantize import QuantConfig, iter_quantize, quantize
from slimlab.ratios import Ratios, Scope
from slimlab.recalibrate import iter_recalibrate_bn, recalibrate_bn
from slimlab.recipe import (
    Distill,
    FineTune,
    Prune,
    Quantize,
    Recipe,
    convert_recipe,
    load_recipe,
    recipe_schema,
    shipped_recipes,
    shortened,
)
from slimlab.report import report
from slimlab.scan import (
    ScanSettings,
    ScanStep,
    iter_quant_sensitivity,
    iter_scan_sensitivity,
    load_scan,
    merge_scans,
    quant_sensitivity,
    scan_sensitivity,
)
from slimlab.search import (
    AutoResult,
    IterativeResult,
    TimedRatios,
    auto_prune,
    iter_auto_prune,
    iter_iterative_prune,
    iter_ratios_for_latency,
    iterative_prune,
    ratios_for_latency,
)
from slimlab.sensitivity import Cell, Sensitivity
from slimlab.steps import Step, finish_early
from slimlab.task import Metric, Task
from slimlab.timing import TimeTable, TimingSettings, iter_measure_times, measure_times
from slimlab.train import History, fast_teacher, fine_tune, iter_fine_tune
from slimlab.zoo import load_model

__all__ = [
    "load_task",
    "image_folder",
    "Pixels",
    "Task",
    "Metric",
    "load_model",
    "trace",
    "profile",
    "Graph",
    "ChannelGroup",
    "Coverage",
    "Profile",
    "evaluate",
    "iter_evaluate",
    "Scores",
    "scan_sensitivity",
    "iter_scan_sensitivity",
    "load_scan",
    "merge_scans",
    "ScanSettings",
    "ScanStep",
    "Sensitivity",
    "Cell",
    "Ratios",
    "Scope",
    "uniform_ratios",
    "ratios_within_drop",
    "ratios_for_budget",
    "ratios_for_latency",
    "iter_ratios_for_latency",
    "TimedRatios",
    "ratios_from_scores",
    "score_channels",
    "reachable",
    "Reachable",
    "preview",
    "Preview",
    "predicted_against_actual",
    "criteria",
    "plan_pruning",
    "PruningPlan",
    "masked",
    "prune",
    "recalibrate_bn",
    "iter_recalibrate_bn",
    "auto_prune",
    "iter_auto_prune",
    "AutoResult",
    "iterative_prune",
    "iter_iterative_prune",
    "IterativeResult",
    "fine_tune",
    "iter_fine_tune",
    "fast_teacher",
    "History",
    "quantize",
    "iter_quantize",
    "QuantConfig",
    "quant_sensitivity",
    "iter_quant_sensitivity",
    "bits_for_budget",
    "SoftLabel",
    "L2",
    "FSP",
    "DKD",
    "DIST",
    "AttentionTransfer",
    "CustomLoss",
    "DistillLoss",
    "distill_loss",
    "Pair",
    "suggest_pairs",
    "measure_latency",
    "iter_measure_latency",
    "Latency",
    "measure_times",
    "iter_measure_times",
    "TimeTable",
    "TimingSettings",
    "measure_trial",
    "iter_measure_trial",
    "compare",
    "Trial",
    "Comparison",
    "report",
    "Account",
    "Recipe",
    "Prune",
    "Distill",
    "Quantize",
    "FineTune",
    "Compressor",
    "few_images",
    "Compression",
    "load_recipe",
    "convert_recipe",
    "shipped_recipes",
    "shortened",
    "recipe_schema",
    "export",
    "iter_export",
    "verify_export",
    "iter_verify_export",
    "ExportReport",
    "save",
    "load",
    "plots",
    "Step",
    "finish_early",
    "SlimLabError",
    "UnsupportedOpError",
    "PlanError",
    "TaskError",
    "DistillError",
    "RecipeError",
    "ArtifactError",
    "ExportError",
    "WorkerError",
]
