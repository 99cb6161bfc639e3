"""Floor 4. Ratios by simulated annealing, as PaddleSlim's AutoPrune found them.

SciPy's dual annealing proposes ratios, each proposal is brought to the budget, and the accuracy of
the network so pruned, with its BatchNorm statistics estimated anew, is what it tries to raise. It
looks at no curve, so it also sees what layers do to each other; for that it needs many tries.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import dual_annealing

from slimlab.allocate import Budget
from slimlab.allocate.time_tables import on_measured_widths
from slimlab.graph import Graph
from slimlab.ratios import Ratios, Scope
from slimlab.search.candidates import kept_of
from slimlab.steps import Step, Stopped

Array = NDArray[np.float64]
LOW, HIGH = 0.02, 0.9  # of the proposals: above zero, so that any can be brought to any budget
TEMPERATURE = 10.24  # PaddleSlim's


@dataclass(frozen=True)
class Annealed:
    """The best ratios found, their value, and how many were tried."""

    ratios: Ratios | None
    value: float
    tried: int


def anneal(
    graph: Graph,
    budget: Budget,
    value: Callable[[Ratios], float],
    *,
    scope: Scope = Scope(),  # noqa: B008 - frozen
    tries: int = 100,
    seed: int = 0,
    start: Mapping[str, float] | None = None,
) -> Generator[Step[Annealed], None, Annealed]:
    """Try ratios that meet a budget, and keep those of the highest value.

    Stopped early it gives the best until then. Same seed, same tries.

    Parameters
    ----------
    graph, budget, scope
        What may be pruned, and what every try removes at least.
    value
        What is to be high, such as an accuracy in percent.
    tries
        How often `value` is asked for.
    seed
        Of the proposals.
    start
        Ratios to begin with; uniform ones when None.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.allocate import Budget
    >>> from slimlab.search.annealing import anneal
    >>> from slimlab.steps import drain
    >>> graph = sl.trace(sl.load_model("mobilenet_v1"), sl.load_task("digits").example)
    >>> first = graph.layers[0]
    >>> steps = anneal(graph, Budget(macs=0.5), lambda ratios: -100 * ratios[first], tries=30)
    >>> best = drain(steps, progress=False)
    >>> best.tried, sl.preview(graph, best.ratios).macs_removed >= 0.5
    (30, True)
    """
    names = [group.name for group in scope.groups(graph)]
    begin = np.array([float((start or {}).get(name, 0.5)) for name in names])

    def optimise(objective: Callable[[Array], float]) -> Any:
        return dual_annealing(
            objective,
            bounds=[(LOW, HIGH)] * len(names),
            x0=np.clip(begin, LOW, HIGH),
            maxiter=tries,
            maxfun=tries + 1,
            initial_temp=TEMPERATURE,
            no_local_search=True,
            seed=np.random.default_rng(seed),
        )

    best = Annealed(None, -np.inf, 0)
    questions = asked(optimise)
    try:
        proposal = next(questions)
        while best.tried < tries:
            ratios = to_budget(graph, budget, dict(zip(names, proposal, strict=True)), scope)
            reached = value(ratios)
            better = reached > best.value
            best = Annealed(
                ratios if better else best.ratios, max(reached, best.value), best.tried + 1
            )
            yield Step(best.tried, tries, "annealing", best)
            proposal = questions.send(-reached)
    except (Stopped, StopIteration):
        pass
    finally:
        questions.close()
    return best


def to_budget(graph: Graph, budget: Budget, proposal: Mapping[str, float], scope: Scope) -> Ratios:
    """The ratios `1 - (1 - proposal) ** power` of the smallest power that meets a budget.

    Every layer keeps a power of the share that was proposed, so that their order stays, and any
    budget that the scope allows is met.
    """
    widths = {name: graph.group(name).width for name in proposal}

    def at(power: float) -> Ratios:
        kept = {n: scope.kept(widths[n], 1 - (1 - x) ** power) for n, x in proposal.items()}
        ratios = Ratios({name: 1 - count / widths[name] for name, count in kept.items()})
        if budget.times is None:
            return ratios
        return on_measured_widths(graph, budget.times, scope, ratios)

    def meets(power: float) -> bool:
        return budget.is_met(graph, kept_of(graph, at(power)))

    low, high = 0.0, 1.0
    while not meets(high) and high < 1e4:
        low, high = high, 2 * high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if meets(middle) else (middle, high)
    return at(high)


def asked(
    optimise: Callable[[Callable[[Array], float]], Any],
) -> Generator[Array, float, Any]:
    """Turn an optimiser that calls a function into a generator that is sent the values.

    SciPy's calls cannot be suspended, so the optimiser waits in a thread of its own between its
    questions. All real work is done by whoever drives the generator; closing it ends the thread.

    Examples
    --------
    >>> from slimlab.search.annealing import asked
    >>> questions = asked(lambda f: f(3.0) + f(4.0))
    >>> next(questions), questions.send(10.0)
    (3.0, 4.0)
    >>> try:
    ...     questions.send(20.0)
    ... except StopIteration as end:
    ...     end.value
    30.0
    """
    questions: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    answers: queue.SimpleQueue[float | None] = queue.SimpleQueue()

    def objective(x: Array) -> float:
        questions.put(("asks", np.copy(x) if isinstance(x, np.ndarray) else x))
        answer = answers.get()
        if answer is None:
            raise Stopped
        return answer

    def run() -> None:
        try:
            questions.put(("ends", optimise(objective)))
        except Stopped:
            questions.put(("ends", None))
        except Exception as error:
            questions.put(("fails", error))

    thread = threading.Thread(target=run, name="optimiser", daemon=True)
    thread.start()
    try:
        while True:
            kind, what = questions.get()
            if kind == "fails":
                raise what
            if kind == "ends":
                return what
            answers.put((yield what))
    finally:
        answers.put(None)
        thread.join()
