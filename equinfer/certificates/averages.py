"""Averages of joint-action tables over what the others play. Policies (S, A_j); tables (S, A_1, ..., A_N, *rest)."""

import functools
from collections.abc import Sequence

import numpy as np

__all__ = ["average_first", "facing", "facing_each"]


def average_first(table: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Over the first action axis: (S, A, *rest) becomes (S, *rest)."""
    rows = table.reshape(*table.shape[:2], -1)
    return (policy[:, None, :] @ rows).reshape(table.shape[0], *table.shape[2:])


def average_last(table: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Over the last action axis, the one before the last: (S, *rest, A, R) becomes (S, *rest, R)."""
    blocks = table.reshape(table.shape[0], -1, *table.shape[-2:])
    return (policy[:, None, None, :] @ blocks).reshape(*table.shape[:-2], table.shape[-1])


def facing(table: np.ndarray, policies: Sequence[np.ndarray], player: int) -> np.ndarray:
    """What `player` faces: (S, A_1, ..., A_N, R), everybody else averaged out, is (S, A_i, R)."""
    behind = functools.reduce(average_last, reversed(policies[player + 1 :]), table)
    return functools.reduce(average_first, policies[:player], behind)


def facing_each(table: np.ndarray, policies: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What each player faces, in two passes over the table: either half of the players is averaged out once."""
    if len(policies) == 1:
        return [table]
    half = len(policies) // 2
    front, back = policies[:half], policies[half:]
    without_back = functools.reduce(average_last, reversed(back), table)
    without_front = functools.reduce(average_first, front, table)
    return [*facing_each(without_back, front), *facing_each(without_front, back)]
