"""What one of n players faces when all others play a mean-field policy: a decision problem of its own, exactly."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.stats import binom

from equinfer.equations.mean_field import flow_of
from equinfer.equations.mean_field_locality import is_proven_local
from equinfer.errors import BadInput
from equinfer.games.changed import changed
from equinfer.games.mean_field import MeanFieldGame

__all__ = ["one_of_many"]


def one_of_many(game: MeanFieldGame, policy: Float[np.ndarray, "H S A"], number: int) -> MeanFieldGame:
    r"""The problem of one of `number` players who sees only itself, while the others play `policy`.

    Where nobody's moves depend on the others, these are independent of each other and of what it does, and each is in
    s at time t with probability $\mu_t(s)$. So where rewards depend on the masses in the same place, it expects
    $\sum_kB_{n-1,\mu_t(s)}(k)\,r_t(s,a;(k+1)/n)$ with binomial weights, itself being one of the crowd. What `policy`
    leaves to gain in this game is its Nash gap, of one player, among n who see only themselves.

    **Raises:** `BadInput` for several populations, dynamics that depend on the population, and other rewards.
    """
    tables = game.tables()
    if game.num_players != 1 or game.horizon is None:
        raise BadInput("one of many players is looked at in games of one population with a horizon.")
    if not tables.fixed_dynamics or not is_proven_local(game):
        raise BadInput(
            "one of many players is looked at where dynamics do not depend on the population, and rewards, as far "
            "as can be proven, only on the masses in the same place."
        )
    if number < 1:
        raise BadInput(f"a game needs at least one player; got {number}.")
    with jax.enable_x64(True):
        flow = np.asarray(flow_of(jax.tree.map(jnp.asarray, game.unlabelled()), (jnp.asarray(policy),))[0])
    masses = np.minimum(flow.sum(axis=-1), 1.0)
    even = np.asarray(game.uniform_profile()[0])
    expected = np.zeros(flow.shape)
    for others in range(number):
        chance = binom.pmf(others, number - 1, masses)[..., None]
        expected += chance * tables.rewards((even * (others + 1) / number,))[0]
    labels = game.labels._replace(name=f"{game.name}, one of {number}", origin=None)
    return changed(game, reward=(lambda t, law: jnp.asarray(expected)[t],), labels=labels)
