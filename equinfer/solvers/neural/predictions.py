r"""What an agent of MAI thinks that the others do, and by what law it acts itself, as numbers that can be judged.

The same sums as in `thinking`, over many more candidates: in learning each of them is taken anew in every step, and
what is learnt is right on average; a judgement needs every single one.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equinfer.nn.actions import Cloud, mixed_log_prob
from equinfer.nn.laws import Law
from equinfer.nn.networks import Network
from equinfer.solvers.neural.minds import Mind
from equinfer.solvers.neural.thinking import Sizes, Thinker
from equinfer.types import PRNGKey, ScalarLike

__all__ = ["THOUGHTS", "believed_law", "executed_law"]

_FINE = Sizes(spread=1024, others_near=128, expectation=64)
THOUGHTS = 64
"""Where a law depends on what is drawn while an agent thinks, as in boxes, it is averaged over so many."""


def believed_law(
    thinker: Thinker,
    mind: Mind,
    seen: Float[Array, " O"],
    done: Float[Array, "R J D"],
    temperature: ScalarLike,
    key: PRNGKey,
) -> tuple[Float[Array, "J R"], Cloud]:
    r"""The posteriors (5), $\rho(a^j)\propto\exp(E[\hat r^j(a^j)]/\tau)$, at the actions `done`, in logarithms; and as
    weighted candidates (J, K, D). Of an agent that infers nothing the laws fitted to what the others lately did.
    """
    if not thinker.reasoning.infers:
        laws = thinker.priors(mind, seen)
        told = jax.vmap(lambda law, did: law.log_prob(did))(laws, done.swapaxes(0, 1))
        return told, thinker.prior_clouds(mind, seen, _FINE.spread, key)
    thinker = dataclasses.replace(thinker, sizes=_FINE)
    keys = jax.random.split(key, 3)
    every = thinker.everybody(mind, seen, keys[0], keys[1])

    def about(
        j: Array, slot: Array, law: Law, mask: Array, delta: Network, trust: Array, did: Array, key: PRNGKey
    ) -> tuple[Array, Cloud]:
        first, second = jax.random.split(key)
        cloud = thinker.actions.candidates(first, law, mask, _FINE.spread, _FINE.others_near)
        expects = thinker.actions.contexts(second, jax.tree.map(lambda leaf: leaf[slot], every), _FINE.expectation)
        points = jnp.concatenate([cloud.points, did])
        level = thinker.supposed(mind, seen, j, slot, delta, trust, points, expects)[0] / temperature
        if thinker.reasoning.by_trajectory:
            level = level + law.log_prob(points)
        levels, at = level[: len(cloud.points)], level[len(cloud.points) :]
        told = _normalised(thinker, mask, at, levels, cloud.log_weights)
        return told, Cloud(cloud.points, levels + cloud.log_weights)

    return jax.vmap(about)(
        jnp.arange(1, thinker.others + 1),
        jnp.asarray(thinker.slots),
        thinker.priors(mind, seen),
        thinker.mask[1:],
        mind.rewards,
        mind.trust,
        done.swapaxes(0, 1),
        jax.random.split(keys[2], thinker.others),
    )


def executed_law(
    thinker: Thinker,
    mind: Mind,
    seen: Float[Array, " O"],
    done: Float[Array, "R D"],
    temperature: ScalarLike,
    beliefs: Callable[[PRNGKey], Cloud],
    key: PRNGKey,
    thoughts: int = THOUGHTS,
) -> Float[Array, " R"]:
    """The logarithm of the law that the agent acts by, at its own actions `done`: its network's, or the mean over
    thoughts, each of which begins with `beliefs` of the others.
    """
    if thinker.acts_by_network:
        return thinker.law(mind, seen).log_prob(done)

    def thought(key: PRNGKey) -> Float[Array, " R"]:
        first, second, third = jax.random.split(key, 3)
        contexts = thinker.actions.contexts(second, beliefs(first), thinker.sizes.contexts)
        if thinker.looks:
            return mixed_log_prob(lambda context: thinker.law(mind, seen, context), contexts, done)
        mask = thinker.mask[0]
        cloud = thinker.actions.candidates(third, thinker.law(mind, seen), mask, _FINE.spread, _FINE.others_near)
        level = thinker.scores(mind, seen, jnp.concatenate([cloud.points, done]), contexts) / temperature
        levels, at = level[: len(cloud.points)], level[len(cloud.points) :]
        return _normalised(thinker, mask, at, levels, cloud.log_weights)

    if thinker.actions.are_summed(thinker.others):
        thoughts = 1  # all are the same
    told = jax.lax.map(thought, jax.random.split(key, thoughts))
    return jax.nn.logsumexp(told, axis=0) - jnp.log(float(thoughts))


def _normalised(
    thinker: Thinker,
    mask: Array,
    at: Float[Array, " R"],
    levels: Float[Array, " K"],
    log_weights: Float[Array, " K"],
) -> Float[Array, " R"]:
    r"""$\ell-\log\int e^\ell$ of a law with the log-density $\ell$ up to a constant, by its `levels` at candidates."""
    told = at - jax.nn.logsumexp(levels + log_weights)
    if not thinker.actions.is_continuous:
        return told
    return told + jax.nn.logsumexp(log_weights) - thinker.log_volume(mask)
