"""Floor 4. Configuration files of PaddleSlim 1.x as recipes: what they say, under today's names.

A key that 1.x did not know is refused here too; 1.x dropped it silently. What a recipe can't say is
told in notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slimlab.errors import RecipeError, nearest
from slimlab.recipe.recipe import Recipe, text_of
from slimlab.recipe.text import read_yaml

SECTIONS = ("pruners", "quantizers", "distillers", "strategies", "controllers")
TOP = ("version", "include", *SECTIONS, "compressor", "compress_pass")
# Class -> the keys that its constructor took.
CLASSES: dict[str, tuple[str, ...]] = {
    "StructurePruner": ("pruning_axis", "criterions"),
    "FSPDistiller": ("student_pairs", "teacher_pairs", "distillation_loss_weight"),
    "L2Distiller": ("student_feature_map", "teacher_feature_map", "distillation_loss_weight"),
    "SoftLabelDistiller": (
        "student_feature_map", "teacher_feature_map", "student_temperature",
        "teacher_temperature", "distillation_loss_weight",
    ),
    "SAController": ("reduce_rate", "init_temperature", "max_iter_number"),
    "UniformPruneStrategy": (
        "pruner", "start_epoch", "end_epoch", "target_ratio", "metric_name", "pruned_params",
    ),
    "SensitivePruneStrategy": (
        "pruner", "start_epoch", "end_epoch", "target_ratio", "metric_name", "pruned_params",
        "delta_rate", "sensitivities_file", "sensitivities", "num_steps", "eval_rate",
    ),
    "AutoPruneStrategy": (
        "pruner", "controller", "start_epoch", "end_epoch", "min_ratio", "max_ratio",
        "metric_name", "pruned_params", "retrain_epoch", "uniform_range", "init_tokens",
    ),
    "DistillationStrategy": ("distillers", "start_epoch", "end_epoch"),
    "QuantizationStrategy": (
        "start_epoch", "end_epoch", "float_model_save_path", "mobile_model_save_path",
        "int8_model_save_path", "weight_bits", "activation_bits", "weight_quantize_type",
        "activation_quantize_type", "save_in_nodes", "save_out_nodes",
    ),
}  # fmt: skip
COMPRESSOR = ("epoch", "init_model", "checkpoint_path", "eval_epoch", "strategies")
TEACHER = "teacher"  # the name of the program that a 1.x script handed over


@dataclass(frozen=True)
class Converted:
    """A recipe, and what a person has to look at.

    Attributes
    ----------
    recipe
        Without model and task, which 1.x took from a script.
    notes
        Sentences on what was left out or has to be filled in.
    """

    recipe: Recipe
    notes: tuple[str, ...]


def convert_recipe(source: str | Path) -> Converted:
    """Read a configuration of PaddleSlim 1.x.

    Parameters
    ----------
    source
        YAML text, or the path of a file: a `Path`, or one line that ends in `.yaml` or `.yml`.

    Raises
    ------
    RecipeError
        For what is no such file, a class or a key that 1.x did not have, or strategies that can't
        be combined.

    Examples
    --------
    >>> import slimlab as sl
    >>> found = sl.convert_recipe('''
    ... version: 1.0
    ... pruners:
    ...   pruner_1: {class: StructurePruner, criterions: {'*': l1_norm}}
    ... strategies:
    ...   uniform: {class: UniformPruneStrategy, pruner: pruner_1, target_ratio: 0.6}
    ... compressor: {epoch: 120, strategies: [uniform]}
    ... ''')
    >>> found.recipe.strategies[0].macs, found.recipe.total_epochs
    (0.6, 120)
    """
    text, _ = text_of(source)
    data = read_yaml(text).data
    _known(data, TOP, "the file")
    return _Conversion(data).result()


@dataclass
class _Conversion:
    data: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)

    def result(self) -> Converted:
        if self.data.get("include"):
            self.notes.append("`include` is not followed; convert the files that it names as well.")
        main = self._mapping(
            self.data.get("compressor", self.data.get("compress_pass", {})), "compressor"
        )
        _known(main, COMPRESSOR, "compressor")
        names = _listed(main.get("strategies") or [], "strategies")
        if not names:
            msg = "The file's `compressor` lists no strategies."
            raise RecipeError(msg, line=None)
        strategies = [self._strategy(str(name)) for name in names]
        if any(one["strategy"] == "quantize" for one in strategies):
            strategies.sort(key=lambda one: one["strategy"] == "quantize")
        ends = [one.get("end_epoch", one["start_epoch"]) for one in strategies]
        values: dict[str, Any] = {"version": 1, "strategies": strategies}
        values["epochs"] = max([_whole(main.get("epoch", 0), "epoch"), *ends])
        if "eval_epoch" in main:
            values["training"] = {"evaluate_every": _whole(main["eval_epoch"], "eval_epoch")}
        if _given(main.get("init_model")):
            self.notes.append(
                f"`init_model: {main['init_model']}` is a file of Paddle 1.x: save the model with "
                "sl.save, and name its folder in `model: {artifact: ...}`."
            )
        if _given(main.get("checkpoint_path")):
            self.notes.append(
                "`checkpoint_path` is an option of the run: "
                f"--checkpoint-dir {main['checkpoint_path']}."
            )
        self.notes.append(
            "Optimizer and learning rates were in the script: write them into `training`."
        )
        return Converted(Recipe(**values), tuple(dict.fromkeys(self.notes)))

    def _mapping(self, value: Any, where: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            msg = f"{where!r} is no mapping of keys to values."
            raise RecipeError(msg, line=None)
        return value

    def _made(self, section: str, name: str) -> tuple[str, dict[str, Any]]:
        """A thing of a section: its class, and its values."""
        things = self._mapping(self.data.get(section) or {}, section)
        if name not in things:
            msg = f"There is no {name!r} under `{section}`. {nearest(name, map(str, things))}"
            raise RecipeError(msg, line=None, name=name)
        values = dict(self._mapping(things[name], name))
        kind = str(values.pop("class", ""))
        if kind not in CLASSES:
            msg = f"{name!r} is of class {kind!r}. {nearest(kind, CLASSES)}"
            raise RecipeError(msg, line=None, name=name)
        _known(values, CLASSES[kind], f"{name!r}, a {kind},")
        return kind, {key: value for key, value in values.items() if _given(value)}

    def _strategy(self, name: str) -> dict[str, Any]:
        kind, values = self._made("strategies", name)
        make = {
            "UniformPruneStrategy": self._uniform,
            "SensitivePruneStrategy": self._sensitive,
            "AutoPruneStrategy": self._auto,
            "DistillationStrategy": self._distillation,
            "QuantizationStrategy": self._quantization,
        }
        if kind not in make:
            msg = f"{name!r} is a {kind}, which is no strategy."
            raise RecipeError(msg, line=None, name=name)
        return {**make[kind](values), "start_epoch": _whole(values.get("start_epoch", 0), name)}

    def _pruning(self, values: Mapping[str, Any], method: str) -> dict[str, Any]:
        found: dict[str, Any] = {"strategy": "prune", "method": method}
        if "pruner" in values:
            _, pruner = self._made("pruners", str(values["pruner"]))
            criterions = set(
                map(str, self._mapping(pruner.get("criterions", {}), "criterions").values())
            )
            if criterions - {"l1_norm"}:
                msg = f"PaddleSlim 1.x ranked channels by l1_norm only; found {sorted(criterions)}."
                raise RecipeError(msg, line=None)
        self.notes.append(
            f"`pruned_params: {values.get('pruned_params', 'conv.*_weights')}` names parameters of "
            "Paddle 1.x; choose layers by `scope: {include: ...}`, or leave it out for all."
        )
        return found

    def _uniform(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._pruning(values, "uniform"), "macs": values.get("target_ratio", 0.5)}

    def _sensitive(self, values: Mapping[str, Any]) -> dict[str, Any]:
        found = {**self._pruning(values, "sensitivity"), "macs": values.get("target_ratio", 0.5)}
        rate = _number(values.get("delta_rate", 0.2), "delta_rate")
        if not 0.001 <= rate < 1:
            msg = f"`delta_rate` is {rate}; it is the step of the ratios that are tried, below 1."
            raise RecipeError(msg, line=None)
        ratios = [round(rate * n, 6) for n in range(1, 1001) if rate * n < 1 - 1e-9]
        found["scan"] = {"ratios": ratios[:100]}
        steps = _whole(values.get("num_steps", 1), "num_steps")
        if steps > 1:
            start = _whole(values.get("start_epoch", 0), "start_epoch")
            end = max(_whole(values.get("end_epoch", 0), "end_epoch"), start + steps)
            found |= {"steps": steps, "end_epoch": end}
            self.notes.append(
                "1.x removed more when the metric stood still; the steps of a recipe are spread "
                "evenly up to its `end_epoch`."
            )
        if "eval_rate" in values:
            self.notes.append("`eval_rate` is a number of images here: set `scan.images`.")
        if {"sensitivities", "sensitivities_file"} & set(values):
            self.notes.append("Sensitivities of 1.x can't be read; `scan.file` keeps new ones.")
        return found

    def _auto(self, values: Mapping[str, Any]) -> dict[str, Any]:
        found = {**self._pruning(values, "auto"), "macs": values.get("min_ratio", 0.5)}
        found["macs_most"] = values.get("max_ratio", 0.7)
        search: dict[str, Any] = {"epochs": values.get("retrain_epoch", 0)}
        if "controller" in values:
            _, controller = self._made("controllers", str(values["controller"]))
            names = {"reduce_rate": "cooling", "init_temperature": "temperature",
                     "max_iter_number": "trials"}  # fmt: skip
            search |= {names[key]: value for key, value in controller.items()}
        for key in ("uniform_range", "init_tokens"):
            if key in values:
                self.notes.append(f"`{key}` has no counterpart and was left out.")
        return {**found, "search": search}

    def _distillation(self, values: Mapping[str, Any]) -> dict[str, Any]:
        names = _listed(values.get("distillers", []), "distillers")
        losses = [loss for name in names for loss in self._losses(str(name))]
        self.notes.append(
            "Feature maps were named by variables of Paddle 1.x: put names of layers in their "
            "place, and leave out `student` and `teacher` of a loss on the logits. The teacher is "
            f"handed over: Compressor(..., teachers={{{TEACHER!r}: model}})."
        )
        end = _whole(values.get("end_epoch", 0), "end_epoch")
        start = _whole(values.get("start_epoch", 0), "start_epoch")
        return {
            "strategy": "distill",
            "end_epoch": max(end, start + 1),
            "teachers": {TEACHER: {"given": True}},
            "losses": losses,
        }

    def _losses(self, name: str) -> list[dict[str, Any]]:
        kind, values = self._made("distillers", name)
        weight = {"weight": float(_number(values.get("distillation_loss_weight", 1), name))}
        layers = {
            side: values[f"{side}_feature_map"]
            for side in ("student", "teacher")
            if f"{side}_feature_map" in values
        }
        if kind == "L2Distiller":
            return [{"loss": "l2", **layers, **weight}]
        if kind == "SoftLabelDistiller":
            heat: dict[str, Any] = {
                key: float(_number(values[key], key))
                for key in ("student_temperature", "teacher_temperature")
                if key in values
            }
            return [{"loss": "soft_label", **layers, **heat, **weight}]
        if kind != "FSPDistiller":
            msg = f"{name!r} is a {kind}, which is no distiller."
            raise RecipeError(msg, line=None, name=name)
        pairs: list[Any] = [values.get(f"{side}_pairs") for side in ("student", "teacher")]
        if not all(isinstance(each, list) for each in pairs) or len(pairs[0]) != len(pairs[1]):
            msg = f"{name!r} needs as many `student_pairs` as `teacher_pairs`."
            raise RecipeError(msg, line=None, name=name)
        return [
            {"loss": "fsp", "student": one, "teacher": other, "reduction": "mean", **weight}
            for one, other in zip(*pairs, strict=True)
        ]

    def _quantization(self, values: Mapping[str, Any]) -> dict[str, Any]:
        for key in ("float_model_save_path", "mobile_model_save_path", "int8_model_save_path"):
            if key in values:
                self.notes.append(f"`{key}`: say in `export` what is to be written.")
        start = _whole(values.get("start_epoch", 0), "start_epoch")
        return {
            "strategy": "quantize",
            "end_epoch": max(start, _whole(values.get("end_epoch", 0), "end_epoch")),
            "weight": values.get("weight_quantize_type", "abs_max"),
            "activation": values.get("activation_quantize_type", "abs_max"),
            "weight_bits": values.get("weight_bits", 8),
            "activation_bits": values.get("activation_bits", 8),
        }


def _given(value: Any) -> bool:
    """1.x took the word `none`, in any case, for nothing."""
    return value is not None and not (isinstance(value, str) and value.lower() == "none")


def _known(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            msg = f"PaddleSlim 1.x knew no {str(key)!r} in {where}. {nearest(str(key), known)}"
            raise RecipeError(msg, line=None, key=key)


def _listed(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        msg = f"`{key}` is {value!r}; it must be a list."
        raise RecipeError(msg, line=None, key=key)
    return value


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"`{key}` is {value!r}; it must be a number."
        raise RecipeError(msg, line=None, key=key)
    return value


def _whole(value: Any, key: str) -> int:
    number = _number(value, key)
    if number != int(number) or not 0 <= number <= 100_000:
        msg = f"`{key}` is {value!r}; it must be a whole number from 0 to 100,000."
        raise RecipeError(msg, line=None, key=key)
    return int(number)
