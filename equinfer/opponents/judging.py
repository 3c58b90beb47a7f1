"""How good an opponent model is: of what it says, against what the others do, and of what believing it costs.

Recovered rewards are not judged: only up to shaping and on visited support can they be right or wrong.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Float, Int

from equinfer.certificates import certify_nash
from equinfer.equations.information import total_variation
from equinfer.games.kernels import KernelLike
from equinfer.games.tabular import TabularGame
from equinfer.tables import Tables
from equinfer.types import AnyArray, Profile

__all__ = [
    "Judgement",
    "best_response_regret",
    "imagined_game",
    "judge",
    "log_loss",
    "marginal_beliefs",
    "regret_bound",
]


class Judgement(NamedTuple):
    """Of a belief about what all the others do."""

    log_loss: float
    """On held-out moves of the others, in nats a move."""
    distance: float
    r"""The largest total variation $D$ between belief and truth at any decision point."""
    mean_distance: float
    """The mean over decision points."""
    regret: float
    """What the best response to the belief loses against the truth, at the worst decision point, in units of reward."""
    bound: float
    r"""Theorem E's bound on it, $2\,\mathrm{osc}(r)D/(1-\gamma)^2$."""


def judge(
    tables: Tables,
    player: int,
    belief: Float[AnyArray, "R C"],
    truth: Profile,
    rows: Int[AnyArray, " K"],
    others: Int[AnyArray, "K M"],
) -> Judgement:
    """The belief of `player`, as an opponent model predicts it, against the policies that the others really play.

    **Arguments:** `truth`, arrays ([H,] S, A_j), of which one's own is not read; `rows` and `others`, moves that the
    model has not learnt from.
    """
    policies = marginal_beliefs(belief, tables.num_actions, player)
    flat = [np.asarray(policy).reshape(-1, np.shape(policy)[-1]) for policy in truth]
    law = _product([policy for j, policy in enumerate(flat) if j != player])
    distances = np.asarray(total_variation(np.asarray(belief), law))
    distance = float(distances.max())
    return Judgement(
        log_loss(belief, rows, others, [a for j, a in enumerate(tables.num_actions) if j != player]),
        distance,
        float(distances.mean()),
        best_response_regret(tables, player, policies, truth),
        regret_bound(tables, player, distance),
    )


def log_loss(
    belief: Float[AnyArray, "R C"], rows: Int[AnyArray, " K"], others: Int[AnyArray, "K M"], sizes: Sequence[int]
) -> float:
    r"""$-\frac1K\sum_k\log\rho(a^{-i}_k\mid s_k)$ in nats; infinite if something happened that was thought impossible.

    **Arguments:** `sizes`, how many actions each of the others has.
    """
    context = np.ravel_multi_index(tuple(np.asarray(others).T), tuple(sizes))
    with np.errstate(divide="ignore"):
        return float(-np.mean(np.log(np.asarray(belief)[np.asarray(rows), context])))


def marginal_beliefs(
    belief: Float[AnyArray, "R C"], num_actions: Sequence[int], player: int
) -> tuple[Float[np.ndarray, "R _"], ...]:
    """What a belief says of each player; of `player` itself, evenly spread, since it says nothing."""
    law = np.asarray(belief)
    sizes = [size for j, size in enumerate(num_actions) if j != player]
    joint = law.reshape(len(law), *sizes)
    axes = range(1, 1 + len(sizes))
    parts = [joint.sum(axis=tuple(a for a in axes if a != axis)) for axis in axes]
    own = np.full((len(law), num_actions[player]), 1 / num_actions[player])
    parts.insert(player, own)
    return tuple(part / part.sum(axis=1, keepdims=True) for part in parts)


def best_response_regret(tables: Tables, player: int, belief: Profile, truth: Profile) -> float:
    """What `player` loses, at the worst decision point, by the best response to `belief` when the others play `truth`.

    Exact: two certificates by dynamic programming. One's own policies in `belief` and `truth` are not read.
    """
    lead = () if tables.horizon is None else (tables.horizon,)
    shapes = [(*lead, *legal.shape) for legal in tables.legal]
    start = np.broadcast_to(tables.legal[player], shapes[player]).astype(float)
    start /= start.sum(axis=-1, keepdims=True)

    def with_own(own: np.ndarray, others: Profile) -> tuple[np.ndarray, ...]:
        profile = [np.asarray(policy).reshape(shape) for policy, shape in zip(others, shapes, strict=True)]
        profile[player] = own
        return tuple(profile)

    answer = certify_nash(tables, with_own(start, belief)).deviation(player).policy
    return float(certify_nash(tables, with_own(answer, truth)).per_player[player])


def regret_bound(tables: Tables, player: int, distance: float) -> float:
    r"""Theorem E at temperature 0: $2\,\mathrm{osc}(r_i)\,D\sum_t\gamma^tL_t$, $L_t$ the discounted length from $t$ on.

    $2\,\mathrm{osc}(r_i)\,D/(1-\gamma)^2$ when the horizon is infinite.
    """
    discount = float(tables.discount[player])
    if tables.horizon is None:
        weight = 1 / (1 - discount) ** 2
    else:
        powers = discount ** np.arange(tables.horizon, dtype=float)
        weight = float(powers @ np.cumsum(powers)[::-1])
    return 2 * float(tables.reward_ranges[player]) * distance * weight


def imagined_game(game: TabularGame, player: int, rewards: Sequence[Any]) -> TabularGame:
    r"""The game as `player` thinks it is: one's own rewards, and the inferred ones of the others.

    What the others will do under new rules is the logit equilibrium of this game with the new kernel or the new own
    rewards. Rewards of all must be in one unit: multiply inferred ones by the temperature at which it is solved.

    **Arguments:** `rewards`, per player (S, A_1, ..., A_N), or (S, A_j) of one's own actions alone; the entry of
    `player` is not read.
    """
    joint = np.array(game.reward)
    for j, reward in enumerate(rewards):
        if j != player:
            table = np.asarray(reward, float)
            if table.ndim == 2 and game.num_players > 1:
                shape = [1] * (1 + game.num_players)
                shape[0], shape[1 + j] = table.shape
                table = table.reshape(shape)
            joint[j] = np.broadcast_to(table, joint[j].shape)
    return TabularGame(
        joint,
        cast(KernelLike, game.kernel),
        np.asarray(game.discount),
        game.horizon,
        np.asarray(game.initial),
        list(game.legal),
    )


def _product(policies: Sequence[Float[np.ndarray, "R _"]]) -> Float[np.ndarray, "R C"]:
    law = np.ones((len(policies[0]), 1))
    for policy in policies:
        law = (law[:, :, None] * policy[:, None, :]).reshape(len(law), -1)
    return law
