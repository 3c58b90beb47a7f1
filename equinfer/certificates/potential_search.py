r"""A search for four-cycles of policies whose sum is not zero: random ones, the best of them improved locally.

With $D=V_j-V_i$ and fixed play of the others the sum is
$D(s;x,y)-D(s;x',y)+D(s;x',y')-D(s;x,y')$. As a function of the policies it is a sum of linear-fractional terms, whose
maximum need not be at pure ones: both kinds are drawn, and both are improved by L-BFGS on their logits.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize, special

__all__ = ["Duel", "Found", "Square", "deterministic", "search", "stochastic"]

_EFFORT = 2e10
"""Multiplications that improving them takes, about."""
_BLOCK = 2**22
"""Entries of the chains that are solved together: 32 MiB."""

Draw = Callable[[np.random.Generator, Bool[np.ndarray, "S _"], tuple[int, ...]], Float[np.ndarray, "*lead S A"]]

Square = tuple[
    Float[np.ndarray, "... A"], Float[np.ndarray, "... A"], Float[np.ndarray, "... B"], Float[np.ndarray, "... B"]
]
"""Two policies x, x' of the first player and two, y, y', of the second: (*batch, [H,] S, A) and (*batch, [H,] S, B)."""
_SIGNS = np.array([1.0, -1.0, 1.0, -1.0])
_CORNERS = ((0, 2), (1, 2), (1, 3), (0, 3))
"""Which two policies are played at the corners of the square, in the order of the walk."""


class Duel(NamedTuple):
    """Two players, the play of everybody else averaged out."""

    kernel: Float[np.ndarray, "S AB S"]
    channels: tuple[tuple[Float[np.ndarray, "S AB"], float], ...]
    """Rewards and discounts of which the values add up to D: one if the two discount alike, otherwise two."""
    horizon: int | None
    legal: tuple[Bool[np.ndarray, "S A"], Bool[np.ndarray, "S B"]]

    @property
    def cost(self) -> float:
        """Multiplications of one evaluation of a square."""
        states, joint = self.kernel.shape[:2]
        if self.horizon is None:
            return 4.0 * states * (joint * states + states * states)
        return 4.0 * self.horizon * states * joint * states

    @property
    def lead(self) -> tuple[int, ...]:
        return () if self.horizon is None else (self.horizon,)


class Found(NamedTuple):
    """The best square of a search. What it is worth is for the judge to say."""

    square: Square
    sum: float
    """Its largest sum over states (and epochs), in absolute value."""


def deterministic(
    generator: np.random.Generator, legal: Bool[np.ndarray, "S _"], lead: tuple[int, ...]
) -> Float[np.ndarray, "*lead S A"]:
    """Pure policies, every legal action equally likely."""
    order = np.where(legal, generator.random((*lead, *legal.shape)), -1.0)
    return (order == order.max(axis=-1, keepdims=True)).astype(float)


def stochastic(
    generator: np.random.Generator, legal: Bool[np.ndarray, "S _"], lead: tuple[int, ...]
) -> Float[np.ndarray, "*lead S A"]:
    """Policies from a Dirichlet law of parameter one half, which likes the sides of the simplex."""
    weights = np.where(legal, generator.gamma(0.5, size=(*lead, *legal.shape)) + 1e-12, 0.0)
    return weights / weights.sum(axis=-1, keepdims=True)


def search(duel: Duel, generator: np.random.Generator, cycles: int, improved: int) -> Found:
    """The best of `cycles` random squares, half of them pure, once the best `improved` of either half are improved."""
    best: list[tuple[float, Square]] = []
    for draw in (deterministic, stochastic):
        best += _best_of(duel, generator, draw, max(1, cycles // 2), improved)
    steps = int(np.clip(_EFFORT / (2.5 * duel.cost * len(best)), 5, 80))
    ascended = [candidate for _, square in best for candidate in _ascended(duel, square, steps)]
    found = [*best, *((float(np.abs(_sums_of(duel, square)).max()), square) for square in ascended)]
    value, square = max(found, key=lambda entry: entry[0])
    return Found(square, value)


def _best_of(
    duel: Duel, generator: np.random.Generator, draw: Draw, cycles: int, kept: int
) -> list[tuple[float, Square]]:
    states, joint = duel.kernel.shape[:2]
    each = 4 * states * (max(states, joint) if duel.horizon is None else joint * (1 + duel.horizon))
    together = max(1, _BLOCK // each)
    best: list[tuple[float, Square]] = []
    for start in range(0, cycles, together):
        lead = (min(together, cycles - start), *duel.lead)
        mine, theirs = duel.legal
        x, further = draw(generator, mine, lead), draw(generator, mine, lead)
        y, away = draw(generator, theirs, lead), draw(generator, theirs, lead)
        sums = np.abs(_sums_of(duel, (x, further, y, away))).reshape(lead[0], -1).max(axis=1)
        for k in np.argsort(-sums)[:kept]:
            best.append((float(sums[k]), (x[k], further[k], y[k], away[k])))
        best = sorted(best, key=lambda entry: -entry[0])[:kept]
    return best


def _sums_of(duel: Duel, square: Square) -> Float[np.ndarray, "..."]:
    """The sum of the four-cycle from every state (and epoch) on: (*batch, [H,] S)."""
    laws = np.stack([_law(square[a], square[b]) for a, b in _CORNERS])
    return np.tensordot(_SIGNS, _worth(duel, laws), axes=1)


def _law(x: Float[np.ndarray, "... A"], y: Float[np.ndarray, "... B"]) -> Float[np.ndarray, "... AB"]:
    return (x[..., :, None] * y[..., None, :]).reshape(*x.shape[:-1], -1)


def _chains(duel: Duel, laws: Float[np.ndarray, "*batch S AB"]) -> Float[np.ndarray, "*batch S S"]:
    states, joint = laws.shape[-2:]
    rows = laws.reshape(-1, states, joint).swapaxes(0, 1) @ duel.kernel
    return rows.swapaxes(0, 1).reshape(*laws.shape[:-2], states, states)


def _worth(duel: Duel, laws: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """D of laws of joint actions (*batch, [H,] S, AB): (*batch, [H,] S)."""
    total = np.zeros(laws.shape[:-1])
    if duel.horizon is not None:
        for reward, discount in duel.channels:
            total += _by_epochs(duel, laws, reward, discount)[0]
        return total
    chains = _chains(duel, laws)
    for reward, discount in duel.channels:
        total += _solved(np.eye(chains.shape[-1]) - discount * chains, (laws * reward).sum(axis=-1))
    return total


def _solved(systems: Float[np.ndarray, "*batch S S"], right: Float[np.ndarray, "*batch S"]) -> np.ndarray:
    return np.linalg.solve(systems, right[..., None])[..., 0]


def _by_epochs(
    duel: Duel, laws: Float[np.ndarray, "*batch H S AB"], reward: Float[np.ndarray, "S AB"], discount: float
) -> tuple[Float[np.ndarray, "*batch H S"], Float[np.ndarray, "*batch H S AB"]]:
    """Values and action values."""
    joint = reward.shape[1]
    ahead = np.zeros((*laws.shape[:-3], laws.shape[-2]))
    values, looking = np.empty(laws.shape[:-1]), np.empty(laws.shape)
    rows = duel.kernel.reshape(-1, len(reward)).T
    for epoch in reversed(range(laws.shape[-3])):
        looking[..., epoch, :, :] = reward + discount * (ahead @ rows).reshape(*ahead.shape, joint)
        ahead = (laws[..., epoch, :, :] * looking[..., epoch, :, :]).sum(axis=-1)
        values[..., epoch, :] = ahead
    return values, looking


def _slopes(duel: Duel, laws: Float[np.ndarray, "4 *H S AB"], state: int) -> tuple[np.ndarray, np.ndarray]:
    """D at `state` (and epoch 0) of four laws, and its derivatives by their entries: visits times action values."""
    worth, slopes = np.zeros(4), np.zeros(laws.shape)
    visited = np.eye(laws.shape[-2])[[state] * 4]
    if duel.horizon is None:
        chains = _chains(duel, laws)
        for reward, discount in duel.channels:
            systems = np.eye(chains.shape[-1]) - discount * chains
            values = _solved(systems, (laws * reward).sum(axis=-1))
            looking = reward + discount * (values @ duel.kernel.reshape(-1, len(reward)).T).reshape(laws.shape)
            worth += values[:, state]
            slopes += _solved(systems.swapaxes(-1, -2), visited)[..., None] * looking
        return worth, slopes
    for reward, discount in duel.channels:
        values, looking = _by_epochs(duel, laws, reward, discount)
        worth += values[:, 0, state]
        visits = visited
        for epoch in range(duel.horizon):
            slopes[:, epoch] += visits[..., None] * looking[:, epoch]
            flow = (visits[..., None] * laws[:, epoch]).reshape(4, -1)
            visits = discount * (flow @ duel.kernel.reshape(-1, len(reward)))
    return worth, slopes


def _ascended(duel: Duel, square: Square, steps: int) -> Sequence[Square]:
    """What L-BFGS makes of a square from its worst state on, and the pure square nearest to that."""
    sums = _sums_of(duel, square)
    epoch0 = sums if duel.horizon is None else sums[0]
    state = int(np.abs(epoch0).argmax())
    if epoch0[state] < 0:
        square = (square[1], square[0], square[2], square[3])
    masks = [duel.legal[k // 2] for k in range(4)]
    shapes = [policy.shape for policy in square]
    ends = np.cumsum([policy.size for policy in square])[:-1]

    def policies(logits: np.ndarray) -> Square:
        parts = zip(np.split(logits, ends), shapes, masks, strict=True)
        x, further, y, away = (
            special.softmax(np.where(mask, part.reshape(shape), -np.inf), axis=-1) for part, shape, mask in parts
        )
        return x, further, y, away

    def objective(logits: np.ndarray) -> tuple[float, np.ndarray]:
        now = policies(logits)
        worth, slopes = _slopes(duel, np.stack([_law(now[a], now[b]) for a, b in _CORNERS]), state)
        tables = slopes.reshape(*slopes.shape[:-1], now[0].shape[-1], now[2].shape[-1])
        by_policy = [np.zeros(shape) for shape in shapes]
        for sign, table, (a, b) in zip(_SIGNS, tables, _CORNERS, strict=True):
            by_policy[a] += sign * (table @ now[b][..., None])[..., 0]
            by_policy[b] += sign * (now[a][..., None, :] @ table)[..., 0, :]
        slope = [p * (g - (p * g).sum(axis=-1, keepdims=True)) for p, g in zip(now, by_policy, strict=True)]
        return -float(_SIGNS @ worth), -np.concatenate([part.ravel() for part in slope])

    start = np.concatenate([np.log(np.maximum(policy, 1e-2)).ravel() for policy in square])
    answer = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": steps})
    smooth = policies(answer.x)
    pure = tuple(_pure(np.where(mask, policy, -1.0)) for policy, mask in zip(smooth, masks, strict=True))
    return smooth, (pure[0], pure[1], pure[2], pure[3])


def _pure(weights: Float[np.ndarray, "... A"]) -> Float[np.ndarray, "... A"]:
    """The pure policy that plays the (first) likeliest action."""
    return (weights.argmax(axis=-1)[..., None] == np.arange(weights.shape[-1])).astype(float)
