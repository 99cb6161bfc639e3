"""Floor 1. Whether a network's own code reads sizes of tensors, and may go another way for them.

Reads Python, not programs; knows nothing of channels.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import sys
import textwrap
import tokenize
import types
from collections.abc import Iterator, Sequence

from paddle import Tensor
from paddle.nn import Layer

_SIZE_NAMES = frozenset({"shape", "size", "numel", "ndim", "rank", "dim"})
# What gives a number again when it is given a size.
_NUMBERS = frozenset(
    {"int", "float", "range", "list", "tuple", "sum", "zip", "enumerate", "reversed", "len"}
)
_LIBRARIES = frozenset({"paddle", "numpy", "math"})


def reads_sizes(functions: Sequence[types.FunctionType]) -> bool:
    """Whether any of these functions reads the size of a tensor."""
    return any(_reads_sizes(f.__code__) for f in functions)


def may_branch(functions: Sequence[types.FunctionType]) -> bool:
    """Whether the way through these functions may depend on the size of a tensor.

    It does not where sizes are only computed with and given to Paddle's functions: nothing is
    compared, repeated or chosen by them, and they are not handed on to other code.
    """
    return reads_sizes(functions) and not all(map(_is_straight, functions))


def functions_of(model: Layer) -> list[types.FunctionType]:
    """The functions that a network's author wrote and that a forward pass may run, each once.

    Methods of layers that are not Paddle's, functions and helpers kept in their attributes, and
    the functions those call by name.
    """
    layers = model.sublayers(include_self=True)
    kinds = {base for layer in layers for base in type(layer).__mro__}
    held = [value for layer in layers for value in vars(layer).values()]
    helpers = {type(value) for value in held}
    kinds |= {kind for kind in helpers if kind.__module__ not in sys.stdlib_module_names}
    held += [
        value
        for kind in kinds
        if not kind.__module__.startswith(("paddle.nn", "paddle.base", "numpy", "builtins"))
        for name, value in vars(kind).items()
        if name != "__init__"
    ]
    seen: dict[types.CodeType, types.FunctionType] = {}
    waiting = [f for f in map(_function, held) if f is not None]
    while waiting:
        function = waiting.pop()
        if function.__code__ not in seen:
            seen[function.__code__] = function
            waiting += _called(function)
    return list(seen.values())


def _function(value: object) -> types.FunctionType | None:
    value = getattr(value, "__func__", getattr(value, "func", value))
    value = getattr(value, "fget", value)
    return value if isinstance(value, types.FunctionType) else None


def _reads_sizes(code: types.CodeType) -> bool:
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return bool(_SIZE_NAMES.intersection(code.co_names)) or any(map(_reads_sizes, inner))


def _called(function: types.FunctionType) -> list[types.FunctionType]:
    """The functions that a function's code names, but for Paddle's."""
    names = function.__code__.co_names
    found: list[object] = [cell.cell_contents for cell in function.__closure__ or ()]
    for name in names:
        value = function.__globals__.get(name)
        found.append(value)
        if isinstance(value, (types.ModuleType, type)) and not _is_library(value.__name__):
            found += [getattr(value, other, None) for other in names]
    functions = [f for f in map(_function, found) if f is not None]
    return [f for f in functions if not _is_library(f.__module__ or "")]


def _is_library(module: str) -> bool:
    return module.partition(".")[0] in _LIBRARIES


def _is_straight(function: types.FunctionType) -> bool:
    """Whether sizes decide nothing in a function and stay in it; not so where that is not known."""
    known = [(name, function.__globals__.get(name)) for name in function.__code__.co_names]
    # Modules and functions.
    paddles = {name for name, value in known if _module(value).partition(".")[0] == "paddle"}
    return _straight(function.__code__, frozenset(paddles))


def _module(value: object) -> str:
    if isinstance(value, types.ModuleType):
        return value.__name__
    return str(value.__module__) if isinstance(value, types.FunctionType) else ""


@functools.lru_cache(maxsize=4096)
def _straight(code: types.CodeType, paddles: frozenset[str]) -> bool:
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    try:
        tree = ast.parse(textwrap.dedent("".join(inspect.getblock(lines)))).body
    except (SyntaxError, ValueError, IndexError, tokenize.TokenError):
        return False
    if len(tree) != 1 or not isinstance(tree[0], ast.FunctionDef) or tree[0].name != code.co_name:
        return False
    return _Sizes(tree[0], paddles).stay()


class _Sizes:
    """Follows sizes through the names of one function."""

    def __init__(self, function: ast.FunctionDef, paddles: frozenset[str]) -> None:
        self.nodes = list(_walked(function))
        self.paddles = paddles
        self.names: set[str] = set()

    def stay(self) -> bool:
        """Whether no size decides, leaves, or goes where it can't be followed."""
        before = -1
        while len(self.names) > before:
            before = len(self.names)
            for node in self.nodes:
                self.bind(node)
        return not any(self.strays(node) for node in self.nodes)

    def bind(self, node: ast.AST) -> None:
        """Note the names that a size gets."""
        value = getattr(node, "value", None)
        kinds = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.NamedExpr)
        if isinstance(node, kinds) and value is not None and self.holds(value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            inner = (n for target in targets for n in ast.walk(target))
            self.names |= {n.id for n in inner if isinstance(n, ast.Name)}

    def holds(self, node: ast.AST) -> bool:
        """Whether an expression is a size, or numbers computed of one."""
        if isinstance(node, ast.Name):
            return node.id in self.names
        if isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id == "self"
            return (node.attr in _SIZE_NAMES and not own) or self.holds(node.value)
        if isinstance(node, ast.Call):
            return self._gives_size(node)
        if isinstance(node, ast.Subscript):  # a tensor's part has no size's type
            return self.holds(node.value)
        return any(self.holds(child) for child in ast.iter_child_nodes(node))

    def _gives_size(self, node: ast.Call) -> bool:
        name = _last(node.func)
        if name in _SIZE_NAMES or name == "len":
            return True
        given = any(map(self.holds, _given(node)))
        if isinstance(node.func, ast.Attribute) and self.holds(node.func.value):
            return True  # a method of a size, such as list.copy()
        return given and name in _NUMBERS

    def strays(self, node: ast.AST) -> bool:
        """Whether something is decided by a size, or it is given to where it is not followed."""
        if isinstance(node, (ast.Try, ast.Match, ast.Yield, ast.YieldFrom, ast.AsyncFor)):
            return True
        if isinstance(node, (ast.Compare, ast.BoolOp, ast.IfExp)):
            return self.holds(node)
        if isinstance(node, (ast.If, ast.While)):
            return self.holds(node.test)
        if isinstance(node, (ast.For, ast.comprehension)):
            return self.holds(node.iter)
        if isinstance(node, ast.Return):
            return node.value is not None and self.holds(node.value)
        if isinstance(node, ast.BinOp):
            return isinstance(node.op, ast.Mod) and self.holds(node)
        if isinstance(node, ast.Subscript):
            # `x[:, :half]` is a part of a tensor; `table[width]` is a choice.
            alone = not isinstance(node.slice, (ast.Slice, ast.Tuple))
            return alone and self.holds(node.slice)
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            return self._kept(node)
        return isinstance(node, ast.Call) and self._handed_on(node)

    def _kept(self, node: ast.Assign | ast.AugAssign) -> bool:
        """Whether a size is kept in an attribute, where other functions find it."""
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        inner = (n for target in targets for n in ast.walk(target))
        stored = any(isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store) for n in inner)
        return stored and self.holds(node.value)

    def _handed_on(self, node: ast.Call) -> bool:
        if not any(map(self.holds, _given(node))) or _last(node.func) in _NUMBERS:
            return False
        root: ast.AST = node.func
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name) and root.id in self.paddles:
            return False
        # Methods of tensors; not layers and helpers of the network.
        if not isinstance(node.func, ast.Attribute) or node.func.value is root:
            return not self._is_tensor(node.func)
        return not hasattr(Tensor, node.func.attr)

    def _is_tensor(self, function: ast.expr) -> bool:
        """Whether this is a method of a tensor that has a name of its own."""
        if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
            return False
        return function.value.id != "self" and hasattr(Tensor, function.attr)


def _walked(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those of assertions: where one fails, the code does not go another way."""
    if not isinstance(node, ast.Assert):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _walked(child)


def _last(function: ast.AST) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _given(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(keyword.value for keyword in node.keywords)]
