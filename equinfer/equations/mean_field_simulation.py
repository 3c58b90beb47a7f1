r"""A mean-field game played by n, simulated: what one of them gains by leaving the policy that all others play.

A path is the other n - 1 players' course and one player's own. Others who are many are drawn as counts (a multinomial
law of actions in each state, another of successors), so that a path costs the same for a thousand and for a million;
others who are few are drawn one by one.

The one player's returns are averaged without the noise that cancels: with any function V of time and state, here the
values of the policy against its own flow, the return of whatever it does has the mean of

$$V_0(s_0)+\sum_t\gamma^t\sum_ap_t(a)\Bigl[r_t(s_t,a;L^n_t)+\gamma\sum_{s'}P_t(s'\mid s_t,a;L^n_t)V_{t+1}(s')-V_t(s_t)
\Bigr]$$

where $L^n_t$ is the law that all n make with this one in $(s_t,a)$, since $V_{t+1}(s_{t+1})$ has that mean. The
brackets are $O(1/\sqrt n)$ where the policy is an equilibrium, and so is the spread of what is averaged.
"""

import enum
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from equinfer.types import AnyArray, PRNGKey

__all__ = ["Crowd", "Plan", "Rule", "Walks", "planned", "walks"]


class Crowd(NamedTuple):
    """A policy, and what it leads to where everybody plays it."""

    policy: Float[AnyArray, "H S A"]
    flow: Float[AnyArray, "H S A"]
    values: Float[AnyArray, "H+1 S"]
    """Of the policy against this flow; the last ones are zero."""


class Plan(NamedTuple):
    """The best that one can do who sees itself alone, as far as it was learnt from simulated courses of the others."""

    policy: Float[AnyArray, "H S A"]
    rewards: Float[AnyArray, "H S A"]
    """In the mean over those courses."""
    correction: Float[AnyArray, "H S A"]
    """The mean reward less the reward at the mean law."""


class Rule(enum.IntEnum):
    """What the one player goes by."""

    kept = 0
    """The policy that all others play."""
    blind = 1
    """`Plan.policy`, for which all that counts is the time and where one is."""
    sighted = 2
    """Planning anew in every epoch, as if from where the others are they moved on like an infinite population."""


class Walks(NamedTuple):
    """K simulated paths, each walked by every one of R rules on the same random numbers."""

    earned: Float[Array, "K R"]
    """The sums above, without their first term."""
    others: Float[Array, "K H S A"]
    """How many of the others are where and do what, in the walk by the first rule."""
    foreseen: Float[Array, " K"]
    """What the best gains against this course of the others, of all that one could do who knew it beforehand. What
    anybody can gain is no more, in the mean, if the course does not depend on what one does; NaN if it does.
    """


@eqx.filter_jit
def planned(
    game: Any, crowd: Crowd, number: Any, others: Float[AnyArray, "K H S A"], *, local: bool, batch: int
) -> Plan:
    """The best response to the mean rewards and moves over these courses of the others, oneself put in everywhere.

    Where the others' course does not depend on what one does, that is the best of all policies of time and state, but
    for the number of courses.
    """
    path = _Path(game, crowd, number, local, True)

    def backwards(value: Float[AnyArray, " S"], at: tuple) -> tuple:
        t, laws = at
        found = jax.lax.map(lambda law: path.rewards_and_moves(t, law, value), laws, batch_size=batch)
        rewards, moved = (jnp.mean(each, axis=0) for each in found)
        q = jnp.where(game.legal[0], rewards + game.discount * moved, -jnp.inf)
        best = jax.nn.one_hot(jnp.argmax(q, axis=-1), q.shape[-1], dtype=rewards.dtype)
        alike = path.rewards_and_moves(t, (number - 1) * jnp.asarray(crowd.flow)[t], value)[0]
        return jnp.max(q, axis=-1), (best, rewards, rewards - alike)

    times = jnp.arange(game.horizon)
    last = jnp.zeros(game.num_states, jnp.asarray(others).dtype)
    return Plan(*jax.lax.scan(backwards, last, (times, jnp.moveaxis(others, 1, 0)), reverse=True)[1])


@eqx.filter_jit
def walks(
    game: Any,
    crowd: Crowd,
    plan: Plan,
    number: Any,
    keys: Key[Array, " K"],
    rules: Int[Array, " R"],
    *,
    local: bool,
    counted: bool,
    batch: int,
) -> Walks:
    """A path for each key; rules are values of `Rule`, walked one after the other, so that one is compiled."""
    path = _Path(game, crowd, number, local, counted)

    def walked(key: PRNGKey) -> Walks:
        def by(rule: Any) -> tuple[Float[Array, ""], Float[Array, "H S A"]]:
            def chances(t: Any, masses: Float[AnyArray, " S"]) -> Float[AnyArray, "S A"]:
                kept, blind = jnp.asarray(crowd.policy), jnp.asarray(plan.policy)
                return jax.lax.switch(
                    rule, (lambda: kept[t], lambda: blind[t], lambda: _planned_anew(path, plan, t, masses))
                )

            return path.walked(chances, key)

        earned, courses = jax.lax.map(by, rules)
        foreseen = path.foreseen(courses[0]) if game.has_fixed_dynamics else jnp.full_like(earned[0], jnp.nan)
        return Walks(earned, courses[0], foreseen)

    return jax.lax.map(walked, keys, batch_size=batch)


def _planned_anew(path: "_Path", plan: Plan, now: Any, masses: Float[AnyArray, " S"]) -> Float[Array, "S A"]:
    """The best from now on, if the others went on from where they are like an infinite population."""
    game, policy = path.game, jnp.asarray(path.crowd.policy)

    def forwards(ahead: Float[AnyArray, " S"], at: tuple) -> tuple:
        t, chances = at
        here = jnp.where(t == now, masses, ahead)
        law = here[:, None] * chances
        return game.transitions[0].push(t, (law / jnp.maximum(path.number - 1, 1),), law), law

    def backwards(value: Float[AnyArray, " S"], at: tuple) -> tuple:
        t, law, correction = at
        rewards, moved = path.rewards_and_moves(t, law, value)
        q = jnp.where(game.legal[0], rewards + correction + game.discount * moved, -jnp.inf)
        return jnp.max(q, axis=-1), q

    times = jnp.arange(game.horizon)
    laws = jax.lax.scan(forwards, masses, (times, policy))[1]
    q = jax.lax.scan(backwards, jnp.zeros_like(masses), (times, laws, plan.correction), reverse=True)[1][now]
    return jax.nn.one_hot(jnp.argmax(q, axis=-1), q.shape[-1], dtype=masses.dtype)


class _Path(NamedTuple):
    """A game of `number` players, of whom all but one play the policy of `crowd`."""

    game: Any
    crowd: Crowd
    number: Any
    """An array, or a whole number where the others are drawn one by one."""
    local: bool
    """Rewards depend on the masses in the same place alone, and moves on nobody."""
    counted: bool
    """The others are drawn as counts."""

    def rewards_and_moves(
        self, t: Any, others: Float[AnyArray, "S A"], value: Float[AnyArray, " S"]
    ) -> tuple[Float[Array, "S A"], Float[Array, "S A"]]:
        """Everywhere with oneself there: rewards, and means of the values that follow."""
        legal = jnp.asarray(self.game.legal[0])
        if self.local:
            # One more in every state at once: of those elsewhere rewards take no notice.
            weights = legal.astype(others.dtype)
            even = weights / jnp.sum(weights, axis=1, keepdims=True)
            law = ((others + even) / self.number,)
            return self.game.rewards_at(t, law)[0], self.game.transitions[0].expect(t, law, value)
        states, actions = jnp.indices(legal.shape)
        found = jax.vmap(lambda s, a: self.at(t, others, s, a, value))(states.ravel(), actions.ravel())
        return found[0].reshape(legal.shape), found[1].reshape(legal.shape)

    def at(self, t: Any, others: Float[AnyArray, "S A"], s: Any, a: Any, value: Float[AnyArray, " S"]) -> tuple:
        law = (self.law(others, s, a),)
        return self.game.rewards_at(t, law)[0][s, a], self.game.transitions[0].expect(t, law, value)[s, a]

    def law(self, others: Float[AnyArray, "S A"], s: Any, a: Any) -> Float[Array, "S A"]:
        return jnp.asarray(others).at[s, a].add(1) / self.number

    def walked(self, rule: Callable[..., Any], key: PRNGKey) -> tuple[Float[Array, ""], Float[Array, "H S A"]]:
        """The sum of the module's docstring without its first term, and what the others did. `rule` says of the time
        and of how many of the others are where what one does in every state.
        """
        game, crowd = self.game, self.crowd
        values = jnp.asarray(crowd.values)
        keys = jax.random.split(key, game.horizon + 1)
        begin, first = jax.random.split(keys[-1])
        law = jnp.asarray(game.initial[0], values.dtype)
        legal = jnp.asarray(game.legal[0])
        others = _drawn_at_first(begin, law, self.number, self.counted)
        own = jax.random.categorical(first, jnp.log(law))
        actions = jnp.arange(game.num_actions[0])

        def step(now: tuple, at: tuple) -> tuple:
            others, own, earned, weight = now
            t, policy, key = at
            acting, choosing, moving, going = jax.random.split(key, 4)
            masses = others if self.counted else _counts(others, game.num_states, values.dtype)
            chances = rule(t, masses)[own]
            acted, did = _acts(acting, others, policy, self.counted)
            value, ahead = values[t][own], values[t + 1]
            rewards, moved = jax.vmap(lambda a: self.at(t, did, own, a, ahead))(actions)
            brackets = jnp.where((chances > 0) & legal[own], rewards + game.discount * moved - value, 0.0)
            action = jax.random.categorical(choosing, jnp.log(chances))
            laws = (self.law(did, own, action),)
            following = _moved(moving, game.transitions[0], t, laws, acted, self.counted)
            there = game.transitions[0].draw(t, laws, own[None], action[None], going)[0]
            earned = earned + weight * jnp.sum(chances * brackets)
            return (following, there.astype(own.dtype), earned, weight * game.discount), did

        start = (others, own, jnp.zeros((), values.dtype), jnp.ones((), values.dtype))
        ended, did = jax.lax.scan(step, start, (jnp.arange(game.horizon), jnp.asarray(crowd.policy), keys[:-1]))
        return ended[2], did

    def foreseen(self, others: Float[AnyArray, "H S A"]) -> Float[Array, ""]:
        """What the best course of one's own against this course of the others gains, in the mean over its own moves."""

        def backwards(known: tuple, at: tuple) -> tuple:
            t, law, policy = at
            best, kept = known
            rewards, moved = self.rewards_and_moves(t, law, best)
            q = rewards + self.game.discount * moved
            _, moved = self.rewards_and_moves(t, law, kept)
            own = rewards + self.game.discount * moved
            best = jnp.max(jnp.where(self.game.legal[0], q, -jnp.inf), axis=-1)
            return (best, jnp.sum(jnp.where(policy > 0, policy * own, 0.0), axis=-1)), None

        nothing = jnp.zeros(self.game.num_states, jnp.asarray(others).dtype)
        course = (jnp.arange(self.game.horizon), others, jnp.asarray(self.crowd.policy))
        (best, kept), _ = jax.lax.scan(backwards, (nothing, nothing), course, reverse=True)
        law = jnp.asarray(self.game.initial[0])
        return jnp.sum(jnp.where(law > 0, law * (best - kept), 0.0))


def _drawn_at_first(key: PRNGKey, law: Float[AnyArray, " S"], number: Any, counted: bool) -> Array:
    """Counts (S,) of all but one, or the state of each of them."""
    if counted:
        return jax.random.multinomial(key, jnp.asarray(number - 1, law.dtype), law)
    return jax.random.categorical(key, jnp.log(law), shape=(number - 1,))


def _acts(key: PRNGKey, others: AnyArray, policy: Float[AnyArray, "S A"], counted: bool) -> tuple[Any, Array]:
    """What the others do, in the form in which they are known, and as counts (S, A)."""
    if counted:
        did = jax.random.multinomial(key, others, policy)
        return did, did
    chosen = jax.random.categorical(key, jnp.log(jnp.asarray(policy))[others])
    return (others, chosen), jnp.zeros(policy.shape, policy.dtype).at[others, chosen].add(1)


def _moved(key: PRNGKey, transition: Any, t: Any, laws: tuple, acted: Any, counted: bool) -> Array:
    if not counted:
        states, chosen = acted
        return transition.draw(t, laws, states, chosen, key).astype(states.dtype)
    there = jnp.eye(acted.shape[0], dtype=acted.dtype)
    kernel = jax.vmap(lambda value: transition.expect(t, laws, value), out_axes=-1)(there)
    return jnp.sum(jax.random.multinomial(key, acted, kernel), axis=(0, 1))


def _counts(states: Int[AnyArray, " M"], num_states: int, dtype: Any) -> Float[Array, " S"]:
    return jnp.zeros(num_states, dtype).at[states].add(1)
