"""The stochastic game on a few states that is left when everybody keeps to a profile everywhere else."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from equinfer.contraction import expected
from equinfer.games.chains import AbstractChain
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.homotopy import Homotopy
from equinfer.solvers.tabular.polish import polish
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.types import Profile

__all__ = ["exact_value", "induced_game", "solve_induced", "solve_on_supports"]

_LONGEST_PATH = 400
"""A few states take some hundred steps; what takes more is better left to another attempt of the caller."""
_FAITH = 0.5
"""Weight of the profile in the magnet, the rest being uniform. A path that starts halfway to a profile that is close
to an equilibrium is several times shorter than one from the uniform magnet, and fails less often."""

_LARGEST_SYSTEM = 300
"""Mixing probabilities that are solved for at once: some hundredths of a second a step."""


def exact_value(game: Any, profile: Profile) -> Float[np.ndarray, "N S"]:
    """The value of a stationary profile to each player: one linear system per distinct discount."""
    chain, reward = _chain_and_reward(game, profile)
    return np.asarray(chain.values(reward, np.asarray(game.discount)))


def induced_game(game: Any, profile: Profile, states: Int[np.ndarray, " C"]) -> TabularGame:
    r"""The game on `states` alone, in which every other state is played by `profile`; one absorbing state is added.

    With C the states, D the others, $P$ and $r$ the chain and the rewards of `profile`, and $W=(I-\gamma P_{DD})^{-1}$,
    visits to D are eliminated: rewards $r_i(s,a)+\gamma P(D\mid s,a)Wr_{i,D}$, transitions
    $P(C\mid s,a)+\gamma P(D\mid s,a)WP_{DC}$, whose missing mass (discounting in D) goes to the absorbing state of
    reward zero. Where players differ in their discounts no one chain can do that for all, and the values of D are
    frozen instead, as if one left for good.
    """
    discount, num_states, size = np.asarray(game.discount), game.num_states, len(states)
    frozen = bool(np.any(discount != discount[0]))
    chain, reward = _chain_and_reward(game, profile)
    worth = exact_value(game, profile) if frozen else reward.copy()
    worth[:, states] = 0.0
    arrival = np.zeros((size, num_states))
    arrival[np.arange(size), states] = 1.0
    if not frozen:
        # Along the chain that ends in C: what D earns, and the discounted law of where it then arrives.
        ahead = chain.stopped(states).values(np.concatenate([worth, arrival])[:, None], discount[:1])[:, 0]
        worth, arrival = ahead[: len(discount)], ahead[len(discount) :]
    joint = tuple(game.num_actions)
    payoffs = np.asarray(game.reward)[:, states]
    payoffs = payoffs + discount.reshape(-1, *[1] * (payoffs.ndim - 1)) * game.kernel.expect(worth, states)
    # No probability is negative, whatever rounding makes of those that are all but zero.
    kernel = np.maximum(np.moveaxis(np.asarray(game.kernel.expect(arrival, states)), 0, -1), 0.0)
    kernel = np.append(kernel, np.maximum(1 - kernel.sum(axis=-1, keepdims=True), 0), axis=-1)
    absorbing_payoffs = np.zeros((len(discount), 1, *joint))
    absorbing = np.zeros((1, *joint, size + 1))
    absorbing[..., -1] = 1.0
    return TabularGame(
        np.concatenate([payoffs, absorbing_payoffs], axis=1),
        np.concatenate([kernel, absorbing]),
        discount=discount,
        legal=[np.append(np.asarray(mask)[states], np.arange(mask.shape[1])[None] == 0, axis=0) for mask in game.legal],
    )


def solve_induced(game: Any, profile: Profile, states: Int[np.ndarray, " C"]) -> Iterator[Profile | None]:
    """An equilibrium of the induced game, as policies (C, A_i), by the homotopy; None whenever the clock may be read.

    It ends without one where the homotopy finds none. Its magnet lies between `profile` and uniform play.
    """
    small = induced_game(game, profile, states)
    magnet = small.uniform_profile()
    for policy, whole in zip(magnet, profile, strict=True):
        policy[:-1] += _FAITH * (whole[states] - policy[:-1])
    paths = Homotopy(magnet=magnet, restarts=0, max_steps=_LONGEST_PATH)
    for iterate in paths.iterates(small, seed=0):
        if iterate.candidate:
            yield tuple(np.asarray(policy)[:-1] for policy in iterate.answer)
            return
        yield None


def solve_on_supports(game: Any, profile: Profile) -> Profile | None:
    """The equilibrium on the supports of `profile`, all states at once, by Newton's method; None if it finds none,
    or if the system is too large.
    """
    flat = np.concatenate(profile, axis=1)
    if np.count_nonzero(flat) - game.num_states * game.num_players > _LARGEST_SYSTEM:
        return None
    scaled = ScaledGame.of(game)
    found = polish(scaled, flat, flat > 0)
    return None if found is None else scaled.split(found.policy)


def _chain_and_reward(game: Any, profile: Profile) -> tuple[AbstractChain, Float[np.ndarray, "N S"]]:
    """The Markov chain that `profile` induces, and its rewards."""
    reward = np.stack([expected(np.asarray(payoff), profile) for payoff in game.reward])
    return game.kernel.induced(profile), reward
