"""Floor 0. Keyword arguments that live in one dataclass, shared by a verb and its `iter_` twin.

Knows signatures and nothing else.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

from slimlab.errors import PlanError, nearest

F = TypeVar("F", bound=Callable[..., Any])


def takes(settings: type[Any]) -> Callable[[F], F]:
    """Show a settings class as the keyword arguments of a function that ends in `**settings`.

    Editors and `help` then list every setting with its default, and a name that isn't one is
    refused with the nearest.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from slimlab.options import takes
    >>> @dataclass(frozen=True)
    ... class Settings:
    ...     speed: float = 1.0
    >>> @takes(Settings)
    ... def drive(car, **settings):
    ...     return Settings(**settings).speed
    >>> import inspect
    >>> str(inspect.signature(drive)), drive("vw", speed=2.0)
    ("(car, *, speed: 'float' = 1.0)", 2.0)
    """
    names = [field.name for field in fields(settings) if field.init]

    def decorate(function: F) -> F:
        own = inspect.signature(function)
        fixed = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]

        taken = [p.name for p in fixed if p.kind is not p.POSITIONAL_ONLY]

        @functools.wraps(function)
        def checked(*args: Any, **given: Any) -> Any:
            for name in given:
                if name not in names and name not in taken:
                    known = [*names, *(p.name for p in fixed if p.kind is p.KEYWORD_ONLY)]
                    msg = f"{function.__name__} has no setting {name!r}. {nearest(name, known)}"
                    raise PlanError(msg, setting=name)
            return function(*args, **given)

        listed = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_default(field),
                annotation=field.type,
            )
            for field in fields(settings)
            if field.init
        ]
        checked.__signature__ = own.replace(parameters=[*fixed, *listed])  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return decorate


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is MISSING else field.default
