r"""When a stochastic game has a potential: conditions that its tables either meet, up to rounding, or do not.

**Nobody moves the state, equal discounts.** If every stage game has a potential $\varphi(s,\cdot)$, then
$\Phi=E\sum_t\gamma^t\varphi$: all policies lead through the states by one and the same law.

**Somebody moves it, equal discounts.** Let $K$ be the players who do. There is a potential if for one $k\in K$, with
$\varphi=r_k$,

1. $r_i=\varphi+F_i(s)-\gamma E[F_i(s')\mid s,a]$ for some $F_i$, for all $i\in K$, and
2. $r_j-\varphi$ does not depend on $a^j$, for all $j\notin K$.

*Proof.* The terms of $F_i$ telescope: $V_i=\Phi+F_i$ whatever is played, with $\Phi=E\sum_t\gamma^t\varphi$. And
$V_j-\Phi=E\sum_t\gamma^t(r_j-\varphi)(s_t,a_t^{-j})$, in which the law of states and of the others' actions does not
depend on $\pi_j$, as j moves no state. ∎ Over $H$ epochs $F_i$ depends on the epoch, and is 0 after the last. Shaping
for j is contained in 2, where $F_j-\gamma E[F_j]$ does not depend on $a^j$. Terms without $a^i$ for $i\in K$ are *not*
allowed: i moves the states in which they are paid. The condition is sufficient; a game may fail it and have a
potential.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import sparse

from equinfer.certificates.averages import average_first
from equinfer.certificates.decision import MarkovChain
from equinfer.certificates.lists import facing_each_sparse
from equinfer.certificates.potential_stage import own_variation, stage_potential
from equinfer.certificates.raw import RawGame
from equinfer.certificates.rounding import gamma
from equinfer.tables import Tables, discounted_length

__all__ = ["Proof", "controllers", "identical_up_to_shaping", "stage_by_stage"]

_TABLE_ROUNDINGS = 8
"""Of an entry of the tables: a reward that somebody has added up from a potential and other terms is not exact."""

_COARSEST = 1e-8
"""Where rounding is more than this part of the rewards, as it is when a discount is next to one, nothing is proved."""


class Proof(NamedTuple):
    """That the game has a potential, up to rounding."""

    potential: Float[np.ndarray, "S *A"]
    error: float
    """The defect is no more than this."""
    condition: str


def controllers(tables: Tables, game: RawGame, active: list[int]) -> tuple[list[int], float]:
    """The players whose choice changes the law of the next state by more than rounding, and by how much the others'
    does at most (the L1 distance). Nobody, where nothing follows the first decision.
    """
    if game.horizon == 1 or not game.discount[active].any():
        return [], 0.0
    rounding = gamma(2 * game.kernel_roundings)
    moving, most = [], 0.0
    for player in active:
        influence = max(_influences(tables, game, player), default=0.0)
        if influence > rounding:
            moving.append(player)
        else:
            most = max(most, influence)
    return moving, most


def _influences(tables: Tables, game: RawGame, player: int) -> Iterator[float]:
    """For each action of `player`, how far the laws of the next state are from those of its first legal action."""
    legal, joint, axis = game.legal[player], tables.legal_joint, 1 + player
    first = legal.argmax(axis=1).reshape(-1, *[1] * (joint.ndim - 1))
    if sparse.issparse(game.kernel):
        rows = np.arange(joint.size).reshape(joint.shape)
        start = np.take_along_axis(rows, first, axis=axis)
        for action in range(legal.shape[1]):
            chosen = np.take(joint, [action], axis=axis)
            here, there = np.take(rows, [action], axis=axis)[chosen], np.broadcast_to(start, chosen.shape)[chosen]
            apart = abs(game.kernel[here] - game.kernel[there]).sum(axis=1)
            yield float(apart.max()) if len(here) else 0.0
        return
    start = np.take_along_axis(game.kernel, first[..., None], axis=axis)
    for action in range(legal.shape[1]):
        apart = np.abs(np.take(game.kernel, [action], axis=axis) - start).sum(axis=-1)
        yield float(np.where(np.take(joint, [action], axis=axis), apart, 0.0).max())


def _sizes(tables: Tables) -> Float[np.ndarray, " N"]:
    """The largest legal reward of each player in absolute value: what the rounding of its table is relative to."""
    return np.abs(tables.reward[:, tables.legal_joint]).max(axis=1)


def stage_by_stage(tables: Tables, game: RawGame, active: list[int], moving: list[int]) -> Proof | None:
    """A potential of every stage game, None if there is none. Nobody may be `moving` the state."""
    assert not moving
    joint = tables.legal_joint
    potential = stage_potential(tables.reward, game.legal, joint)
    sizes = _sizes(tables)
    # A gain of the potential is a sum of at most 2 N rewards, and its difference from a reward is looked at.
    allowed = gamma(_TABLE_ROUNDINGS + 2 * len(sizes) + 4) * 4 * float(sizes.sum())
    wrong = np.array([own_variation(tables.reward[i] - potential, joint, i).max() for i in active])
    if wrong.max() > allowed:
        return None
    # Two of the four steps are of either player, each off by no more than its own variation.
    error = 4 * (float(wrong.max()) + allowed) * float(discounted_length(game.discount, game.horizon)[active].max())
    stages = "every stage game has a potential, and no action moves the state"
    return Proof(potential, error, "a potential explains every gain" if tables.is_one_shot else stages)


def identical_up_to_shaping(tables: Tables, game: RawGame, active: list[int], moving: list[int]) -> Proof | None:
    """The reward of one of the players who are `moving` the state, if the others' differ from it as they may."""
    joint, leader = tables.legal_joint, moving[0]
    common, sizes = tables.reward[leader], _sizes(tables)
    worst = 0.0
    for player in active:
        difference = np.where(joint, tables.reward[player] - common, 0.0)
        if player in moving:
            residual, ahead = _unshaped(tables, game, difference, float(game.discount[leader]))
        else:
            residual, ahead = float(own_variation(difference, joint, player).max()), 0.0
        roundings = _TABLE_ROUNDINGS + game.row_terms + game.kernel_roundings + 16
        size = float(sizes[player] + sizes[leader])
        allowed = gamma(roundings) * (2 * size + 4 * ahead)
        if not residual <= allowed <= _COARSEST * size:
            return None
        worst = max(worst, residual + allowed)
    # The values of two players around a square: eight of them, each off by a discounted sum of residuals.
    error = 8 * worst * float(discounted_length(game.discount, game.horizon)[leader])
    condition = "all rewards agree"
    if not (tables.reward[active] == common).all():
        condition += " up to shaping"
        if len(moving) < len(active):
            condition += " and, for players who move no state, to terms without their own action"
    return Proof(np.where(joint, common, 0.0), error, condition)


def _unshaped(
    tables: Tables, game: RawGame, difference: Float[np.ndarray, "S *A"], discount: float
) -> tuple[float, float]:
    r"""How far `difference` is from $F(s)-\gamma E[F(s')\mid s,a]$, at most, and the size of $F$.

    In an infinite horizon $F$ is the value of the difference under any policy, such as the uniform one: exactly one
    candidate.
    """
    joint = tables.legal_joint
    # A constant is shaped by a constant, which would be large beside everything else.
    difference = np.where(joint, difference - (difference[joint].min() + difference[joint].max()) / 2, 0.0)
    rows = game.kernel if sparse.issparse(game.kernel) else game.kernel.reshape(-1, game.kernel.shape[-1])
    if game.horizon is None:
        uniform = [legal / legal.sum(axis=1, keepdims=True) for legal in game.legal]
        reward: np.ndarray = difference
        chain: Any = game.kernel
        if sparse.issparse(chain):
            chain = facing_each_sparse(chain, game.row_terms, uniform)[1]
        for policy in uniform:
            reward = average_first(reward, policy)
            chain = chain if sparse.issparse(chain) else average_first(chain, policy)
        shape = MarkovChain(chain, discount).values(reward)
        ahead = (rows @ shape).reshape(joint.shape)
        off = difference + discount * ahead - shape.reshape(-1, *[1] * (joint.ndim - 1))
        return float(np.abs(off[joint]).max()), float(np.abs(shape).max())
    shape, worst, size = np.zeros(len(joint)), 0.0, 0.0
    for _ in range(game.horizon):
        looking = (difference + discount * (rows @ shape).reshape(joint.shape)).reshape(len(joint), -1)
        legal = joint.reshape(len(joint), -1)
        most, least = np.where(legal, looking, -np.inf).max(axis=1), np.where(legal, looking, np.inf).min(axis=1)
        shape = (most + least) / 2
        worst, size = max(worst, float((most - least).max())), max(size, float(np.abs(shape).max()))
    return worst, size
