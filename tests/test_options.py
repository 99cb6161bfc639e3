"""A dataclass shown as the keyword arguments of a verb."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, fields
from typing import Any

import pytest

import slimlab as sl
from slimlab.options import takes
from slimlab.scan import ScanSettings


@dataclass(frozen=True)
class Travel:
    """Three kinds of field."""

    speed: float
    wheels: int = 4
    stops: list[str] = field(default_factory=lambda: ["home"])
    length: float = field(init=False, default=0.0)


@takes(Travel)
def drive(car: str, /, *, quiet: bool = True, **settings: Any) -> tuple[str, bool, Travel]:
    return car, quiet, Travel(**settings)


def test_the_signature_shows_each_setting_with_its_default() -> None:
    shown = inspect.signature(drive).parameters
    assert list(shown) == ["car", "quiet", "speed", "wheels", "stops"]
    assert shown["speed"].default is inspect.Parameter.empty
    assert shown["wheels"].default == 4
    assert shown["stops"].default == ["home"]
    assert all(shown[name].kind is inspect.Parameter.KEYWORD_ONLY for name in ("speed", "stops"))


def test_settings_arrive() -> None:
    assert drive("vw", speed=2.0) == ("vw", True, Travel(2.0))
    assert drive("vw", quiet=False, speed=1.0, wheels=3) == ("vw", False, Travel(1.0, 3))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("sped", "Did you mean 'speed'"),
        ("quite", "Did you mean 'quiet'"),
        ("settings", "Known: 'speed'"),  # the name of the `**` itself is none
        ("length", "Known: 'speed'"),
        ("car", "Known: 'speed'"),
    ],
)
def test_a_name_that_is_no_setting_is_refused_with_the_nearest(wrong: str, told: str) -> None:
    with pytest.raises(sl.PlanError, match=f"drive has no setting '{wrong}'. {told}"):
        drive("vw", **{"speed": 1.0, wrong: 1})


@pytest.mark.parametrize("verb", [sl.scan_sensitivity, sl.iter_scan_sensitivity])
def test_the_scan_shows_its_settings_and_refuses_others_at_once(verb: Any) -> None:
    shown = inspect.signature(verb).parameters
    for one in fields(ScanSettings):
        assert shown[one.name].default == one.default
    with pytest.raises(sl.PlanError, match="Did you mean 'ratios'"):
        verb(None, None, ratio=[0.5])
    assert verb.__doc__
    assert verb.__name__ in {"scan_sensitivity", "iter_scan_sensitivity"}
