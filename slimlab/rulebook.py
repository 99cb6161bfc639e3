"""Floor 0. Dictionaries that functions are put into under names, by a decorator. Knows none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Rule = TypeVar("Rule")


def entering(rules: dict[str, Rule], names: tuple[str, ...]) -> Callable[[Rule], Rule]:
    """Make a decorator that puts a function into a dictionary under some names.

    Parameters
    ----------
    rules
        Changed in place; a name that is taken is given to the newer function.
    names
        At least one.

    Examples
    --------
    >>> from slimlab.rulebook import entering
    >>> rules = {}
    >>> @entering(rules, ("pd_op.one", "pd_op.two"))
    ... def rule(op):
    ...     return op
    >>> sorted(rules), rules["pd_op.one"] is rule
    (['pd_op.one', 'pd_op.two'], True)
    """

    def enter(rule: Rule) -> Rule:
        rules.update(dict.fromkeys(names, rule))
        return rule

    return enter


def twins(*names: str) -> list[str]:
    """PIR names of operators, with those that work in place.

    Examples
    --------
    >>> from slimlab.rulebook import twins
    >>> twins("relu")
    ['pd_op.relu', 'pd_op.relu_']
    """
    return [f"pd_op.{name}{suffix}" for name in names for suffix in ("", "_")]
