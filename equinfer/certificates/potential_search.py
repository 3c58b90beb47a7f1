r"""A search for four-cycles of policies whose sum is not zero: random ones, the best of them improved locally.

With $D=V_j-V_i$ and the play z of the others the sum is
$D(s;x,y,z)-D(s;x',y,z)+D(s;x',y',z)-D(s;x,y',z)$. As a function of the policies it is a sum of linear-fractional terms,
whose maximum need not be at pure ones: both kinds are drawn, and both are improved by L-BFGS on their logits; z is
first drawn and kept, then improved together with the square.

With more than two players the search may fall short of the worst cycle, as with two, but it does not pass a game for
want of the right z: the sum is an analytic function of all policies, inside their simplices. Where it is not zero
everywhere, it is zero at stochastic policies that are drawn at random with probability 0.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize, special

__all__ = ["Duel", "Found", "Policies", "deterministic", "improved", "search", "stochastic"]

_EFFORT = 2e10
"""Multiplications that improving them takes, about."""
_BLOCK = 2**22
"""Entries of the chains that are solved together: 32 MiB."""

Draw = Callable[[np.random.Generator, Bool[np.ndarray, "S _"], tuple[int, ...]], Float[np.ndarray, "*lead S A"]]

Policies = tuple[Float[np.ndarray, "..."], ...]
"""Two policies x, x' of the first player and two, y, y', of the second, a square: (*batch, [H,] S, A) and
(*batch, [H,] S, B); then one, z, of everybody else whose play is not averaged out."""
_SIGNS = np.array([1.0, -1.0, 1.0, -1.0])
_CORNERS = ((0, 2), (1, 2), (1, 3), (0, 3))
"""Which two policies are played at the corners of the square, in the order of the walk."""


class Duel(NamedTuple):
    """Two players, and everybody else whose play is not averaged out."""

    kernel: Float[np.ndarray, "S J S"]
    """J counts the joint actions of those players, the two first."""
    channels: tuple[tuple[Float[np.ndarray, "S J"], float], ...]
    """Rewards and discounts of which the values add up to D: one if the two discount alike, otherwise two."""
    horizon: int | None
    legal: tuple[Bool[np.ndarray, "S _"], ...]

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
    """The best policies of a search. What they are worth is for the judge to say."""

    policies: Policies
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


def search(duel: Duel, generator: np.random.Generator, cycles: int, most: int) -> Found:
    """The best of `cycles` random squares of two players, half of them pure, once the best `most` of either half are
    improved.
    """
    best: list[Found] = []
    for draw in (deterministic, stochastic):
        best += _best_of(duel, generator, draw, max(1, cycles // 2), most)
    return max((improved(duel, found, len(best)) for found in best), key=lambda found: found.sum)


def improved(duel: Duel, found: Found, parts: int) -> Found:
    """The policies that were found, or what an ascent makes of them. It takes a `parts`-th of the effort for a pair."""
    steps = int(np.clip(_EFFORT / (2.5 * duel.cost * parts), 5, 80))
    ascended = (
        Found(policies, float(np.abs(_sums_of(duel, policies)).max()))
        for policies in _ascended(duel, found.policies, steps)
    )
    return max(found, *ascended, key=lambda each: each.sum)


def _best_of(duel: Duel, generator: np.random.Generator, draw: Draw, cycles: int, kept: int) -> list[Found]:
    states, joint = duel.kernel.shape[:2]
    each = 4 * states * (max(states, joint) if duel.horizon is None else joint * (1 + duel.horizon))
    together = max(1, _BLOCK // each)
    best: list[Found] = []
    for start in range(0, cycles, together):
        lead = (min(together, cycles - start), *duel.lead)
        mine, theirs = duel.legal
        x, further = draw(generator, mine, lead), draw(generator, mine, lead)
        y, away = draw(generator, theirs, lead), draw(generator, theirs, lead)
        sums = np.abs(_sums_of(duel, (x, further, y, away))).reshape(lead[0], -1).max(axis=1)
        for k in np.argsort(-sums)[:kept]:
            best.append(Found((x[k], further[k], y[k], away[k]), float(sums[k])))
        best = sorted(best, key=lambda found: -found.sum)[:kept]
    return best


def _sums_of(duel: Duel, policies: Policies) -> Float[np.ndarray, "..."]:
    """The sum of the four-cycle from every state (and epoch) on: (*batch, [H,] S)."""
    laws = np.stack([_law(_at(policies, corner)) for corner in _CORNERS])
    return np.tensordot(_SIGNS, _worth(duel, laws), axes=1)


def _at(policies: Policies, corner: tuple[int, int]) -> Policies:
    """What all play at a corner of the square."""
    return policies[corner[0]], policies[corner[1]], *policies[4:]


def _law(profile: Policies) -> Float[np.ndarray, "... J"]:
    law = profile[0]
    for policy in profile[1:]:
        law = (law[..., :, None] * policy[..., None, :]).reshape(*law.shape[:-1], -1)
    return law


def _against(table: Float[np.ndarray, "..."], profile: Policies, own: int) -> Float[np.ndarray, "... A"]:
    """A table (*lead, A_1, ..., A_n) of joint actions, the play of all but one player averaged out."""
    lead = profile[0].ndim - 1
    for player in reversed(range(len(profile))):
        if player != own:
            policy = profile[player]
            last = np.moveaxis(table, lead + player, -1)
            table = (last * policy.reshape(*policy.shape[:-1], *[1] * (last.ndim - lead - 1), -1)).sum(axis=-1)
    return table


def _chains(duel: Duel, laws: Float[np.ndarray, "*batch S J"]) -> Float[np.ndarray, "*batch S S"]:
    states, joint = laws.shape[-2:]
    rows = laws.reshape(-1, states, joint).swapaxes(0, 1) @ duel.kernel
    return rows.swapaxes(0, 1).reshape(*laws.shape[:-2], states, states)


def _worth(duel: Duel, laws: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """D of laws of joint actions (*batch, [H,] S, J): (*batch, [H,] S)."""
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
    duel: Duel, laws: Float[np.ndarray, "*batch H S J"], reward: Float[np.ndarray, "S J"], discount: float
) -> tuple[Float[np.ndarray, "*batch H S"], Float[np.ndarray, "*batch H S J"]]:
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


def _slopes(duel: Duel, laws: Float[np.ndarray, "4 *H S J"], state: int) -> tuple[np.ndarray, np.ndarray]:
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


def _ascended(duel: Duel, policies: Policies, steps: int) -> Sequence[Policies]:
    """What L-BFGS makes of policies from the worst state of their square on, and the pure ones nearest to that."""
    sums = _sums_of(duel, policies)
    epoch0 = sums if duel.horizon is None else sums[0]
    state = int(np.abs(epoch0).argmax())
    if epoch0[state] < 0:
        policies = (policies[1], policies[0], *policies[2:])
    owners = [0, 0, 1, 1, *range(2, len(duel.legal))]
    masks = [duel.legal[owner] for owner in owners]
    shapes = [policy.shape for policy in policies]
    ends = np.cumsum([policy.size for policy in policies])[:-1]

    def of(logits: np.ndarray) -> Policies:
        parts = zip(np.split(logits, ends), shapes, masks, strict=True)
        return tuple(
            special.softmax(np.where(mask, part.reshape(shape), -np.inf), axis=-1) for part, shape, mask in parts
        )

    def objective(logits: np.ndarray) -> tuple[float, np.ndarray]:
        now = of(logits)
        profiles = [_at(now, corner) for corner in _CORNERS]
        worth, slopes = _slopes(duel, np.stack([_law(profile) for profile in profiles]), state)
        tables = slopes.reshape(*slopes.shape[:-1], *(mask.shape[1] for mask in duel.legal))
        by_policy = [np.zeros(shape) for shape in shapes]
        for sign, table, profile, corner in zip(_SIGNS, tables, profiles, _CORNERS, strict=True):
            for own, policy in enumerate((*corner, *range(4, len(now)))):
                by_policy[policy] += sign * _against(table, profile, own)
        slope = [p * (g - (p * g).sum(axis=-1, keepdims=True)) for p, g in zip(now, by_policy, strict=True)]
        return -float(_SIGNS @ worth), -np.concatenate([part.ravel() for part in slope])

    start = np.concatenate([np.log(np.maximum(policy, 1e-2)).ravel() for policy in policies])
    answer = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": steps})
    smooth = of(answer.x)
    return smooth, tuple(_pure(np.where(mask, policy, -1.0)) for policy, mask in zip(smooth, masks, strict=True))


def _pure(weights: Float[np.ndarray, "... A"]) -> Float[np.ndarray, "... A"]:
    """The pure policy that plays the (first) likeliest action."""
    return (weights.argmax(axis=-1)[..., None] == np.arange(weights.shape[-1])).astype(float)
