"""A game whose state also holds a public signal: what the paper's correlated row is solved on (section 5.3)."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from equinfer.answer import PublicPlay
from equinfer.errors import BadInput
from equinfer.games.kernels import listed
from equinfer.games.tabular import TabularGame
from equinfer.tables import SuccessorLists, refuse_unless_it_fits

__all__ = ["play_of", "with_public_signal"]


def with_public_signal(game: TabularGame, signal: ArrayLike) -> TabularGame:
    r"""The game on states $(s,\omega)$, whose kernel is $P(s'\mid s,a)\,\sigma(\omega'\mid s')$ whatever $\omega$ was.

    **Arguments:** `signal`, the law $\sigma(\omega\mid s)$, (S, W) or (W,). States stand in the order (s, w).

    **Raises:** `BadInput` if `signal` is no law, or the game would not fit in memory.
    """
    law = np.asarray(signal, np.float64)
    if law.ndim == 1:
        law = np.broadcast_to(law, (game.num_states, law.size))
    if law.shape[:-1] != (game.num_states,) or not np.all(law >= 0) or not np.allclose(law.sum(axis=1), 1, atol=1e-8):
        raise BadInput(f"a public signal needs a law (S, W) or (W,) in every state; got an array {law.shape}.")
    num_signals = law.shape[1]
    kernel = game.kernel.raw()
    longest = kernel.successors.shape[-1] if isinstance(kernel, SuccessorLists) else game.num_states
    refuse_unless_it_fits(
        game.num_players, game.num_states * num_signals, game.num_actions, "signals", longest * num_signals
    )
    if not isinstance(kernel, SuccessorLists):
        kernel = SuccessorLists(np.broadcast_to(np.arange(game.num_states), kernel.shape), kernel)
    successors = kernel.successors[..., None] * num_signals + np.arange(num_signals)
    probabilities = kernel.probabilities[..., None] * law[kernel.successors]
    rows = (np.repeat(each.reshape(*each.shape[:-2], -1), num_signals, axis=0) for each in (successors, probabilities))
    names = [f"{state} | {w}" for state in game.state_labels for w in range(num_signals)]
    return TabularGame(
        np.repeat(np.asarray(game.reward), num_signals, axis=1),
        listed(*rows),
        discount=np.asarray(game.discount),
        horizon=game.horizon,
        initial=(np.asarray(game.initial)[:, None] * law).ravel(),
        legal=[np.repeat(np.asarray(mask), num_signals, axis=0) for mask in game.legal],
        state_labels=names,
        action_labels=game.labels.actions,
        player_labels=game.labels.players,
        name=game.name,
    )


def play_of(profile: tuple[Float[np.ndarray, "..."], ...], signal: Float[np.ndarray, "S W"]) -> PublicPlay:
    """A profile ([H,] S W, A_i) of the game with a public signal, as public play of the game without it."""
    num_signals = signal.shape[1]
    lead = profile[0].shape[:-2]
    called = tuple(
        np.moveaxis(np.asarray(policy).reshape(*lead, -1, num_signals, policy.shape[-1]), -2, 0) for policy in profile
    )
    return PublicPlay(np.broadcast_to(signal, (*lead, *signal.shape)), called)
