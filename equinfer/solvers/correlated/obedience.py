r"""Obedience in one decision, as linear inequalities $D\mu\ge0$ on a law over joint actions.

Told $a$, player i must not gain from doing $b$ instead,

$$(D\mu)_{i,a,b}=\sum_{m^{-i}}\mu(a,m^{-i})\,\bigl[Q^i(a,m^{-i})-Q^i(b,m^{-i})\bigr]\ge0,$$

and in the coarse form, told nothing before it decides, $\sum_{a}(D\mu)_{i,a,b}\ge0$ for every b. Each player's
payoffs are brought to a spread of one first, which changes no inequality.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

__all__ = ["comparable", "obedience_matrix", "obedience_tables", "pairs"]


def comparable(q: Float[np.ndarray, "S N *A"], legal: Bool[np.ndarray, "S *A"]) -> Float[np.ndarray, "S N *A"]:
    """Each player's payoffs of each state from 0 to 1 over its legal joint actions, and 0 on illegal ones."""
    allowed = np.broadcast_to(legal[:, None], q.shape)
    axes = tuple(range(2, q.ndim))
    low = np.where(allowed, q, np.inf).min(axis=axes, keepdims=True)
    spread = np.where(allowed, q, -np.inf).max(axis=axes, keepdims=True) - low
    return np.where(allowed, (q - low) / np.where(spread > 0, spread, 1.0), 0.0)


def pairs(num_actions: Sequence[int], told: bool) -> list[tuple[int, int | None, int]]:
    """The inequalities in order: (player, what it is told, what it does instead); None if it is told nothing."""
    return [
        (player, a, b)
        for player, size in enumerate(num_actions)
        for a in (range(size) if told else (None,))
        for b in range(size)
        if a != b
    ]


def obedience_tables(
    q: Float[np.ndarray, "S N *A"], legal: Sequence[Bool[np.ndarray, "S _"]], told: bool
) -> tuple[Float[np.ndarray, "S K J"], Bool[np.ndarray, "S K"]]:
    """The matrix D of every state, rows as in `pairs`, J joint actions; and which rows compare legal actions.

    Rows of illegal actions are 0. For many small games at once.
    """
    num_states, _, *num_actions = q.shape
    rows, senses = [], []
    for player, size in enumerate(num_actions):
        own = np.moveaxis(q[:, player], 1 + player, 1)
        own = own.reshape(num_states, size, -1)
        allowed = legal[player][:, :, None] & legal[player][:, None, :] & ~np.eye(size, dtype=bool)
        # (S, told a, done b, others): what a is worth more than b
        better = own[:, :, None] - own[:, None]
        better = np.where(allowed[..., None], better, 0.0)
        if told:
            lifted = better[:, :, :, None] * np.eye(size)[:, None, :, None]  # (S, a, b, m_i, others)
            kept = ~np.eye(size, dtype=bool)
            lifted, sense = lifted[:, kept], allowed[:, kept]
        else:
            lifted, sense = better.swapaxes(1, 2), legal[player]
        others = [other for j, other in enumerate(num_actions) if j != player]
        lifted = lifted.reshape(*lifted.shape[:3], *others)
        rows.append(np.moveaxis(lifted, 2, 2 + player).reshape(*lifted.shape[:2], math.prod(num_actions)))
        senses.append(sense)
    return np.concatenate(rows, axis=1), np.concatenate(senses, axis=1)


def obedience_matrix(q: Float[np.ndarray, "N *A"], actions: Sequence[Int[np.ndarray, " _"]], told: bool) -> Any:
    """The matrix D of one state on its legal joint actions alone, sparse: for one large game.

    Rows and columns are numbered among the legal `actions` of each player. A SciPy sparse array.
    """
    payoffs = q[np.ix_(np.arange(len(q)), *actions)]
    num_actions = payoffs.shape[1:]
    cells = np.arange(payoffs[0].size).reshape(num_actions)
    blocks = []
    for player, size in enumerate(num_actions):
        own = np.moveaxis(payoffs[player], player, 0).reshape(size, -1)
        place = np.moveaxis(cells, player, 0).reshape(size, -1)
        better = own[:, None] - own[None]  # (told a, done b, others)
        a, b = np.nonzero(~np.eye(size, dtype=bool))
        if told:
            entries, columns, rows = better[a, b], place[a], np.repeat(np.arange(len(a)), place.shape[1])
            count = len(a)
        else:
            entries, columns, count = better.swapaxes(0, 1), np.broadcast_to(place, (size, *place.shape)), size
            rows = np.repeat(np.arange(size), place.size)
        blocks.append(sparse.coo_array((entries.ravel(), (rows, columns.ravel())), shape=(count, cells.size)))
    return sparse.vstack(blocks, format="csr")
