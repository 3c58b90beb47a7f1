"""Kernels by lists of successors, as SciPy matrices: rows stand state by state, joint action by joint action.

What a player faces is a matrix (S A_i, S), the chain of a profile one (S, S), both with as few entries as there are
successors under what is played; no array of the size S x S is formed.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import sparse

from equinfer.tables import SuccessorLists

__all__ = ["facing_each_sparse", "matrix_of"]


def matrix_of(lists: SuccessorLists, num_states: int) -> sparse.csr_array:
    """The lists, one row each, with their zeros and repetitions."""
    length = lists.successors.shape[-1]
    ends = np.arange(0, lists.successors.size + 1, length)
    data = lists.probabilities.reshape(-1), lists.successors.reshape(-1), ends
    return sparse.csr_array(data, shape=(len(ends) - 1, num_states))


def facing_each_sparse(
    kernel: sparse.csr_array, length: int, policies: Sequence[Float[np.ndarray, "S _"]]
) -> tuple[list[sparse.csr_array], sparse.csr_array, int]:
    """What each player faces, (S A_i, S), the chain of all, (S, S), and how many terms a row is at most a sum of.

    **Arguments:** `length`, the number of entries of each row of `kernel`.
    """
    everybody = range(len(policies))
    found, terms = [], 0
    for player in [*everybody, None]:
        mixing, most = _mixing(policies, player)
        found.append(mixing @ kernel)
        terms = max(terms, most * length)
    return found[:-1], found[-1], terms


def _mixing(policies: Sequence[Float[np.ndarray, "S _"]], player: int | None) -> tuple[sparse.csr_array, int]:
    """The law of what everybody but `player` does: a row for each state and own action (with None: each state), a
    column for each state and joint action; and the most entries of a row.
    """
    num_states = len(policies[0])
    sizes = [policy.shape[1] for policy in policies]
    parts = []
    for other, policy in enumerate(policies):
        axes = [1] * len(sizes)
        axes[other] = sizes[other]
        parts.append(np.ones((1, *axes)) if other == player else policy.reshape(num_states, *axes))
    law = np.broadcast_to(functools.reduce(np.multiply, parts), (num_states, *sizes))
    place = np.arange(law.size).reshape(law.shape)
    rows = num_states
    if player is not None:
        law, place = np.moveaxis(law, 1 + player, 1), np.moveaxis(place, 1 + player, 1)
        rows *= sizes[player]
    law, place = law.reshape(rows, -1), place.reshape(rows, -1)
    played = law > 0
    counts = played.sum(axis=1)
    ends = np.append(0, np.cumsum(counts))
    shape = (rows, num_states * math.prod(sizes))
    return sparse.csr_array((law[played], place[played], ends), shape=shape), int(counts.max())
