"""The games of the frontier, and who solves them: `eq.solve` by `auto` or by the path alone, and sgamesolver."""

import importlib
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import equinfer as eq
from benchmarks.children import peak_memory
from equinfer.targets import tabular_game_of

WARM_SEED = 999
LADDERS = 10
"""Games of one shape; the first has the defaults of the catalogue."""


class Row(NamedTuple):
    """A family of games of one size; a seed makes it a game."""

    kind: str
    """`random`, or `ladder`."""
    players: int
    size: int
    """States of a random game, levels of a quality ladder."""
    actions: int
    path: bool = True
    """Whether the path runs alone."""
    peers: bool = True
    most_seeds: int = LADDERS
    time: float = 1.0
    """Limits of this row, in limits of the program."""

    @property
    def name(self) -> str:
        shape = f"{self.players}x{self.size}"
        return f"{shape}x{self.actions}" if self.kind == "random" else f"ladder-{shape}"

    @property
    def states(self) -> int:
        return self.size if self.kind == "random" else self.size**self.players

    @property
    def unknowns(self) -> int:
        """N S (A + 1): the probabilities and the values, which is the dimension of a homotopy."""
        return self.players * self.states * (self.actions + 1)

    @property
    def warm(self) -> "Row":
        """What compiles everything: games of this shape, or for a large ladder a smaller one that is sparse too."""
        if self.kind == "random" or self.states < 1000:
            return self
        return self._replace(size={2: 25, 3: 9}[self.players])

    def game(self, seed: int) -> eq.TabularGame:
        """A random game of the seed; or one of ten ladders, whose market grows by a twentieth from seed to seed."""
        if self.kind == "random":
            made = eq.load(
                "catalog:random",
                players=self.players,
                states=self.size,
                actions=self.actions,
                discount=0.95,
                seed=seed,
            )
            return tabular_game_of(made, "the benchmark")
        market = 5.0 * (1 + seed % LADDERS / 20)
        made = eq.load(
            "catalog:quality_ladder", firms=self.players, levels=self.size, investments=self.actions, market=market
        )
        return tabular_game_of(made, "the benchmark")


RANDOM = [
    *((2, 5, 4), (3, 5, 4), (5, 5, 4), (2, 20, 4), (3, 20, 4), (4, 20, 3), (2, 20, 10), (2, 50, 4), (3, 20, 8)),
    *((2, 100, 2), (3, 50, 4), (2, 100, 4), (2, 200, 4)),
]
"""(players, states, actions), which the peers try too."""
ROWS = [
    *(Row("random", *shape) for shape in RANDOM),
    *(Row("random", *shape, peers=False) for shape in ((3, 50, 8), (2, 500, 4))),
    *(Row("ladder", *shape, 3, peers=False) for shape in ((2, 20), (3, 8), (2, 25), (4, 5))),
    *(Row("ladder", *shape, 3, peers=False, path=False, most_seeds=3, time=2) for shape in ((2, 100), (3, 30))),
    Row("ladder", 2, 316, 3, peers=False, path=False, most_seeds=1, time=10),
]
"""By kind, then by N S (A + 1)."""
HUGE = "ladder-2x316"


class Task(NamedTuple):
    row: Row
    seed: int


class Answer(NamedTuple):
    """How one game was solved."""

    seconds: float
    """CPU time; infinite if time ran out."""
    gap: float
    """The certificate's; infinite if there is no answer."""
    scale: float
    """The payoff scale of the game."""
    loading: float
    """CPU seconds that making the game took."""
    memory: float
    """Bytes: the peak of the process, the game, the interpreter and all packages included."""


def ours(solver: str, limit: float, task: Task) -> Answer:
    """By `eq.solve`; its certificate is timed with it, since nobody gets an answer without."""
    start = time.process_time()
    game = task.row.game(task.seed)
    loaded = time.process_time()
    solution = eq.solve(game, solver=solver, time=limit)
    seconds = time.process_time() - loaded
    return Answer(seconds, solution.gap, solution.payoff_scale, loaded - start, peak_memory())


def sgamesolver(method: str, task: Task) -> Answer:
    """By one of sgamesolver's homotopies at its defaults; only its path is timed, not what it prepares."""
    numpy: Any = np
    numpy.NaN = np.nan  # its last release reads NumPy 1's name
    peer = importlib.import_module("sgamesolver")
    game = task.row.game(task.seed)
    tables = game.tables()
    kernel = np.asarray(tables.kernel)
    theirs = peer.SGame(list(tables.reward.swapaxes(0, 1)), list(kernel), tables.discount)
    homotopy = getattr(peer.homotopy, method)(theirs)
    homotopy.solver_setup()
    homotopy.solver.verbose = 0
    start = time.process_time()
    homotopy.solve()
    seconds = time.process_time() - start
    return Answer(seconds, _gap(game, homotopy.equilibrium), tables.payoff_scale, math.nan, peak_memory())


def _gap(game: eq.TabularGame, found: Any) -> float:
    if found is None:
        return math.inf
    strategies = np.nan_to_num(found.strategies)
    profile = tuple(strategies[:, i] / strategies[:, i].sum(axis=1, keepdims=True) for i in range(game.num_players))
    return eq.certify(game, profile).gap


METHODS: dict[str, Callable[..., Answer]] = {
    "auto": ours,
    "homotopy": ours,
    "QRE": sgamesolver,
    "LogTracing": sgamesolver,
}
OURS = ("auto", "homotopy")
PEERS = ("QRE", "LogTracing")
