"""Averages of joint-action tables under products of policies.

One implementation for both engines: it runs in NumPy when it is given NumPy arrays and in JAX when it is given
JAX arrays, because every array knows its own namespace. (Certificates have their own, on purpose.)
"""

import math
from collections.abc import Sequence

from jaxtyping import Float

from equinfer.types import AnyArray, Profile

__all__ = ["as_joint", "context_law", "expected", "expected_own", "product_law", "seen_by"]


def expected_own(table: Float[AnyArray, "S *A_rest"], profile: Profile, player: int) -> Float[AnyArray, "S *A_i_rest"]:
    r"""Average over everybody but `player`: $\bar Q^i(s,a^i)=\sum_{a^{-i}}\prod_{j\ne i}\pi_j(a^j\mid s)\,Q(s,a)$.

    **Arguments:** `table` has axes (S, A_1, ..., A_N) and then any others, which are kept; `profile` holds one
    array (S, A_j) per player (the entry of `player` is not read).
    """
    return _average(table, profile, [j for j in range(len(profile)) if j != player])


def expected(table: Float[AnyArray, "S *A_rest"], profile: Profile) -> Float[AnyArray, "S *rest"]:
    """Average over the whole joint action; axes behind (S, A_1, ..., A_N) are kept."""
    return _average(table, profile, list(range(len(profile))))


def expected_pair(
    table: Float[AnyArray, "S *A_rest"], profile: Profile, one: int, other: int
) -> Float[AnyArray, "S *A_pair_rest"]:
    """Average over everybody but two players, whose action axes stay in order of players; other axes are kept."""
    return _average(table, profile, [j for j in range(len(profile)) if j not in (one, other)])


def context_law(profile: Profile, player: int) -> Float[AnyArray, "S C"]:
    r"""$\rho(a^{-i}\mid s)=\prod_{j\ne i}\pi_j(a^j\mid s)$, the others' actions flattened in order of players."""
    others = [policy for j, policy in enumerate(profile) if j != player]
    xp = profile[player].__array_namespace__()
    law = xp.ones((profile[player].shape[0], 1), dtype=profile[player].dtype)
    for policy in others:
        law = (law[:, :, None] * policy[:, None, :]).reshape(law.shape[0], -1)
    return law


def product_law(profile: Profile) -> Float[AnyArray, "S *A"]:
    r"""$\prod_i\pi_i(a^i\mid s)$: the law of what everybody does."""
    law = profile[0]
    for policy in profile[1:]:
        law = law[..., None] * policy.reshape(policy.shape[0], *[1] * (law.ndim - 1), policy.shape[1])
    return law


def seen_by(table: Float[AnyArray, "S *A"], player: int) -> Float[AnyArray, "S C A_i"]:
    """A joint-action table as `player` sees it: the others' actions flattened, in order of players, before its own."""
    axes = [axis for axis in range(table.ndim) if axis != 1 + player]
    return table.transpose(*axes, 1 + player).reshape(table.shape[0], -1, table.shape[1 + player])


def as_joint(view: Float[AnyArray, "S C A_i"], player: int, num_actions: Sequence[int]) -> Float[AnyArray, "S *A"]:
    """The inverse of `seen_by`: one axis per player again."""
    others = [size for j, size in enumerate(num_actions) if j != player]
    axes = list(range(1, 1 + len(others)))
    axes.insert(player, 1 + len(others))
    return view.reshape(view.shape[0], *others, num_actions[player]).transpose(0, *axes)


def _average(table: AnyArray, profile: Profile, over: Sequence[int]) -> AnyArray:
    # From the last player to the first, so that the axes still to come keep their places. One batched
    # row-times-matrix product a player: the table is read once and no product of its size is ever written.
    for j in sorted(over, reverse=True):
        policy = profile[j]
        before, behind = table.shape[: j + 1], table.shape[j + 2 :]
        blocks = table.reshape(before[0], math.prod(before[1:]), policy.shape[1], math.prod(behind))
        table = (policy[:, None, None, :] @ blocks).reshape(*before, *behind)
    return table
