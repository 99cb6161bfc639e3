"""Floor 4. What strategies share: models, data, training, scopes, scans, and what is written."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from slimlab.data import Pixels
from slimlab.errors import SlimLabError
from slimlab.ratios import Scope
from slimlab.recipe.settings import Settings, refuse
from slimlab.train import (
    Constant,
    Cosine,
    Exponential,
    Piecewise,
    Polynomial,
    Schedule,
    Training,
)

Share = Annotated[float, Field(ge=0, lt=1)]
Epoch = Annotated[int, Field(ge=0, le=100_000)]
Images = Annotated[int, Field(ge=1, le=10**9)]
Word = Annotated[str, Field(min_length=1, max_length=500)]
Bits = Annotated[int, Field(ge=2, le=8)]
OF_FOLDERS = ("size", "channels", "crop", "random_crop", "mean", "deviation")
Scalar = bool | int | float | str | None


class ModelSource(Settings):
    """Where a model comes from: the zoo, `paddle.vision.models`, or a saved artifact."""

    name: Word | None = None
    """A name that `load_model` takes, such as `mobilenet_v1`."""
    artifact: Word | None = None
    """A folder that `save` wrote (1.x: `init_model`)."""
    pretrained: bool = True
    """Whether a zoo network has the weights that were trained for the task."""
    arguments: dict[Word, Scalar] = Field(default_factory=dict, max_length=100)
    """For the network's constructor, such as `width: 0.5`."""

    @model_validator(mode="after")
    def _one_source(self) -> ModelSource:
        if (self.name is None) == (self.artifact is None):
            refuse("A model comes from a name or from an artifact; give exactly one.")
        return self


class TeacherSource(ModelSource):
    """A teacher: a model as any other, or the recipe's own before it was compressed."""

    original: bool = False
    """The model as it was before the first strategy."""
    given: bool = False
    """One that a script hands over: `Compressor(..., teachers={NAME: model})`."""
    runtime: Literal["paddle", "onnxruntime", "openvino"] = "paddle"
    """What runs it; others than `paddle` are several times faster, and give logits only."""

    @model_validator(mode="after")
    def _one_source(self) -> TeacherSource:
        named = (self.name is not None, self.artifact is not None)
        if sum((*named, self.original, self.given)) != 1:
            refuse(
                "A teacher is a name, an artifact, `original: true` or `given: true`; give exactly "
                "one."
            )
        return self


class TaskSettings(Settings):
    """The data: a built-in task, or a folder of images with a subfolder for each class."""

    name: Literal["digits", "fashion-mnist"] | None = None
    """A built-in task."""
    folder: Word | None = None
    """Where the files of `fashion-mnist` lie, when not where they usually are."""
    images: Word | None = None
    """Instead of a name: a folder `train/CLASS/*` and `test/CLASS/*` (or `val/CLASS/*`), or
    `CLASS/*`."""
    size: Annotated[int, Field(ge=1, le=4096)] = 224
    """Height and width that images of a folder are resized to, in pixels."""
    channels: Literal[1, 3] = 3
    """Of images of a folder: 1 is grey, 3 is colour."""
    crop: float | None = None
    """Of images of a folder: the share of the shorter side that is kept, in (0, 1], such as 0.875;
    by default the whole image is resized to a square."""
    random_crop: float | None = None
    """Of training images of a folder: parts of at least this share of an image's area are drawn at
    random and resized, in (0, 1], such as 0.08; by default they are cropped as the others."""
    mean: Annotated[tuple[float, ...], Field(max_length=3)] | None = None
    """Of images of a folder: taken off each channel's pixels, which run from 0 to 1; 0.5 by
    default."""
    deviation: Annotated[tuple[float, ...], Field(max_length=3)] | None = None
    """Of images of a folder: what they are divided by then; 0.5 by default."""

    @model_validator(mode="after")
    def _one_source(self) -> TaskSettings:
        if (self.name is None) == (self.images is None):
            refuse("A task has a name or a folder of images; give exactly one.")
        for key in OF_FOLDERS:
            if self.name is not None and key in self.model_fields_set and self._changed(key):
                refuse(f"`{key}` belongs to a folder of images; {self.name!r} has its own.", key)
        if self.folder is not None and self.name != "fashion-mnist":
            refuse("`folder` belongs to fashion-mnist.", "folder")
        try:
            self.pixels()
        except SlimLabError as error:
            refuse(str(error), next(iter(error.facts)))
        return self

    @property
    def idle(self) -> tuple[str, ...]:
        """What belongs to a folder of images."""
        return () if self.name is None else OF_FOLDERS

    def pixels(self) -> Pixels:
        """Give how images of a folder become numbers."""
        names = ("crop", "random_crop", "mean", "deviation")
        own = {name: getattr(self, name) for name in names}
        return Pixels(**{key: value for key, value in own.items() if value is not None})

    def _changed(self, key: str) -> bool:
        return bool(getattr(self, key) != type(self).model_fields[key].default)


class ScheduleSettings(Settings):
    """How the learning rate changes; factors multiply `learning_rate`."""

    kind: Literal["cosine", "piecewise", "polynomial", "exponential", "constant"] = "cosine"
    """What the rate follows."""
    last: float | None = None
    """Of cosine and polynomial: the factor at the end, 0 to 1."""
    boundaries: Annotated[tuple[float, ...], Field(max_length=1000)] | None = None
    """Of piecewise: rising epochs, from the beginning of this training."""
    factors: Annotated[tuple[float, ...], Field(max_length=1001)] | None = None
    """Of piecewise: one more than boundaries."""
    power: float | None = None
    """Of polynomial: 1 is a straight line."""
    gamma: float | None = None
    """Of exponential: the factor of every so many epochs, in (0, 1]."""
    every: float | None = None
    """Of exponential: epochs."""
    staircase: bool | None = None
    """Of exponential: at once at each of them."""

    @model_validator(mode="after")
    def _buildable(self) -> ScheduleSettings:
        for key in self.given:
            if key not in SCHEDULES[self.kind][1]:
                mine = ", ".join(SCHEDULES[self.kind][1]) or "nothing more"
                refuse(f"`{key}` is not for a {self.kind} schedule; it takes {mine}.", key)
        try:
            self.build()
        except SlimLabError as error:
            refuse(str(error))
        return self

    @property
    def given(self) -> dict[str, object]:
        """What was set beside the kind."""
        values = {key: getattr(self, key) for key in type(self).model_fields if key != "kind"}
        return {key: value for key, value in values.items() if value is not None}

    def build(self) -> Schedule:
        """Give the schedule that a training takes."""
        return SCHEDULES[self.kind][0](**self.given)


SCHEDULES: dict[str, tuple[type[Schedule], tuple[str, ...]]] = {
    "cosine": (Cosine, ("last",)),
    "piecewise": (Piecewise, ("boundaries", "factors")),
    "polynomial": (Polynomial, ("power", "last")),
    "exponential": (Exponential, ("gamma", "every", "staircase")),
    "constant": (Constant, ()),
}


class TrainingSettings(Settings):
    """Optimizer and learning rate (1.x: `train_optimizer`, `distiller_optimizer`)."""

    learning_rate: Annotated[float, Field(gt=0, le=1e6)] = 1e-3
    """The highest."""
    optimizer: Literal["adam", "adamw", "momentum", "sgd"] = "adam"
    """Paddle's optimizer of that name."""
    weight_decay: float = 1e-4
    """L2 penalty on every trained parameter, 0 or more."""
    momentum: float = 0.9
    """Of `momentum`, in [0, 1)."""
    nesterov: bool = True
    """Of `momentum`."""
    warmup: float = 0.0
    """Share of the steps in which the learning rate rises first, 0 to 1."""
    schedule: ScheduleSettings = Field(default_factory=ScheduleSettings)
    """How the learning rate changes, from the start to the end of what this training is for."""
    clip_norm: float | None = None
    """Gradients are scaled down together above this Euclidean norm."""
    ema: float | None = None
    """Decay of an average of the weights, in [0, 1), such as 0.999."""
    task_weight: float = 1.0
    """What the task's loss is multiplied by while a teacher's losses are added."""
    evaluate_every: Annotated[int, Field(le=100_000)] = 1
    """Epochs from one evaluation to the next (1.x: `eval_epoch`)."""
    evaluate_images: Images | None = None
    """Test images of each evaluation; all by default."""

    @model_validator(mode="after")
    def _buildable(self) -> TrainingSettings:
        try:
            self.build()
        except SlimLabError as error:
            key = next(iter(error.facts), None)
            refuse(str(error), *([key] if key in type(self).model_fields else []))
        return self

    def build(self) -> Training:
        """Give the settings that `fine_tune` takes beside the learning rate."""
        names = [k for k in type(self).model_fields if k not in ("learning_rate", "schedule")]
        return Training(schedule=self.schedule.build(), **{k: getattr(self, k) for k in names})


class ScopeSettings(Settings):
    """Which layers may be pruned (1.x: `pruned_params`)."""

    include: Annotated[str, Field(max_length=2000)] = ""
    """Regular expression, searched for in layer names."""
    exclude: Annotated[str, Field(max_length=2000)] | None = None
    """Regular expression; layers in which it is found are left alone."""
    min_channels: Annotated[int, Field(ge=1, le=10**6)] = 2
    """Narrower groups of channels are left alone."""
    types: Annotated[tuple[Word, ...], Field(max_length=100)] = ()
    """Class names of layers, such as Conv2D; any when empty."""
    exclude_types: Annotated[tuple[Word, ...], Field(max_length=100)] = ()
    """Class names of layers that are left alone."""
    multiple: Annotated[int, Field(ge=1, le=10**6)] = 1
    """What the number of channels kept is rounded to."""
    least: Annotated[int, Field(ge=1, le=10**6)] = 1
    """Channels that every group keeps."""

    @model_validator(mode="after")
    def _buildable(self) -> ScopeSettings:
        try:
            self.build()
        except SlimLabError as error:
            refuse(str(error))
        return self

    def build(self) -> Scope:
        """Give the scope that pruning takes."""
        return Scope(**{key: getattr(self, key) for key in type(self).model_fields})


class ScanSettings(Settings):
    """How the layers' sensitivity is measured (1.x: `delta_rate`, `eval_rate`)."""

    ratios: Annotated[tuple[Share, ...], Field(min_length=1, max_length=100)] = (
        0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9,
    )  # fmt: skip
    """Pruning ratios tried on each layer."""
    images: Images | None = None
    """Calibration images of each measurement; all by default. Choosing sees no test image."""
    file: Word | None = None
    """Where the first step's scan is kept, so that recipes for one model share it (1.x:
    `sensitivities_file`); a run keeps its own otherwise."""


class SearchSettings(Settings):
    """Ways of picking ratios, then simulated annealing (1.x: `SAController`)."""

    trials: Annotated[int, Field(ge=1, le=10**6)] = 300
    """Sets of ratios tried (1.x: `max_iter_number`); the first are uniform ones, the optimum over a
    scan, one drop for all layers, channels ranked together. Nothing is scanned for one trial."""
    temperature: Annotated[float, Field(gt=0, le=1e6)] = 10.24
    """At the start, in points of the metric (1.x: `init_temperature`)."""
    cooling: Annotated[float, Field(gt=0, lt=1)] = 0.85
    """What the temperature is multiplied by at each trial (1.x: `reduce_rate`)."""
    epochs: Annotated[int, Field(ge=0, le=1000)] = 0
    """Epochs of fine-tuning of each trial (1.x: `retrain_epoch`)."""
    images: Images | None = None
    """Calibration images of each trial; all by default. Choosing sees no test image."""


class CheckpointSettings(Settings):
    """When the state is written down, where a folder for it is given."""

    every: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Epochs from one checkpoint to the next."""
    steps: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Training steps from one to the next inside an epoch; none there by default."""
    keep: Annotated[int, Field(ge=1, le=10_000)] = 3
    """How many of the last ones stay."""
