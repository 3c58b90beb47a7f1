"""Opponents whose rewards are inferred from whole trajectories, as the paper prints it."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equinfer.arguments import check_ranges
from equinfer.contraction import context_law
from equinfer.equations.information import logarithm
from equinfer.equations.posterior import effective_sample_size, normalised_weights, trajectory_log_weights
from equinfer.equations.response import soft_best_response
from equinfer.equations.reward_inference import soft_policy_iteration
from equinfer.opponents.inferred import prior_rows
from equinfer.opponents.moves import Moves, Statistics, gathered, kernel_of, no_statistics
from equinfer.opponents.protocol import AbstractOpponentModel
from equinfer.types import AnyArray, PRNGKey, Profile

__all__ = ["Trajectory", "TrajectoryInference"]


class TrajectoryInference(NamedTuple):
    """What is thought of one other player."""

    seen: Statistics
    reward: Float[AnyArray, "R A"]
    value: Float[AnyArray, " R"]
    policy: Float[AnyArray, "R A"]
    prior: Float[AnyArray, "R A"]
    discount: Float[AnyArray, ""]
    updates: Int[AnyArray, ""]
    effective_samples: Float[AnyArray, ""]
    """Of the last update's weights, between 1 and their number."""


class _Path(NamedTuple):
    rows: Int[Array, "K T"]
    actions: Int[Array, "K T"]
    present: Float[Array, "K T"]
    """1 up to the end of the game, then 0."""


class Trajectory(AbstractOpponentModel[tuple[TrajectoryInference, ...]]):
    r"""Algorithm 3 by (6)-(7): trajectories compete, with self-normalised weights; for comparison with `Inferred`.

    ```
    draw trajectories of what was seen, and of the model p_j, from the same starting points
    r_j <- r_j + rate * (E_data[sum gamma^t d r_j] - E_w[sum gamma^t d r_j])    (7)
    p_j <- the posterior (5) of r_j
    ```

    Trajectories of the data are drawn from the frequencies seen (a bootstrap of transitions), so that no buffer is
    kept; weights have one's own actions alone in the denominator (`equations.posterior`). Where chance has a say in
    what follows, the rewards that solve (6) are wrong however many moves are seen: weights let the player choose its
    luck. Where they are of use, `Inferred` is as good and needs no sampling.
    """

    name: ClassVar[str] = "trajectory"
    is_exact: ClassVar[bool] = False

    trajectories: int = 64
    """Drawn from the data and from the model at each update."""
    length: int = 8
    """Moves of a trajectory, at most."""
    rate: float = 0.1
    """Step of (7), in units of the others' temperature."""
    forgetting: float = 0.0
    """As in `Inferred`."""
    renewal: float = 0.5
    """As in `Inferred`."""

    def __check_init__(self) -> None:
        counts = {"trajectories": "[1, inf)", "length": "[1, inf)"}
        check_ranges(self, counts | {"rate": "(0, inf)", "forgetting": "[0, 1)", "renewal": "[0, 1)"})

    def init(self, game: Any, player: int) -> tuple[TrajectoryInference, ...]:
        discount = jnp.asarray(game.discount)[player]
        inferences = []
        for other in range(game.num_players):
            if other != player:
                prior = prior_rows(game, other, None)
                seen = no_statistics(len(prior), game.num_actions, other)
                nothing = (jnp.zeros_like(prior), jnp.zeros(len(prior)))
                inferences.append(
                    TrajectoryInference(seen, *nothing, prior, prior, discount, jnp.asarray(0), jnp.asarray(1.0))
                )
        return tuple(inferences)

    def predict(self, state: tuple[TrajectoryInference, ...], executed: Profile, player: int) -> Float[AnyArray, "R C"]:
        policies = [each.policy for each in state]
        return context_law((*policies[:player], executed[player], *policies[player:]), player)

    def update(
        self, state: tuple[TrajectoryInference, ...], moves: Moves, player: int
    ) -> tuple[TrajectoryInference, ...]:
        others = [j for j in range(1 + len(state)) if j != player]
        return tuple(
            self._improved(each._replace(seen=gathered(each.seen, moves, player, j, self.forgetting, self.renewal)), j)
            for j, each in zip(others, state, strict=True)
        )

    def _improved(self, each: TrajectoryInference, other: int) -> TrajectoryInference:
        key = jax.random.fold_in(jax.random.key(other), each.updates)
        start_key, data_key, model_key = jax.random.split(key, 3)
        kernel, log_prior = kernel_of(each.seen), logarithm(each.prior)
        log_starts = logarithm(jnp.sum(each.seen.actions, axis=1))
        starts = jax.random.categorical(start_key, log_starts, shape=(self.trajectories,))
        count = jnp.sum(each.seen.actions, axis=1, keepdims=True)
        frequencies = jnp.where(count > 0, each.seen.actions / jnp.where(count > 0, count, 1.0), each.prior)
        data = self._drawn(starts, logarithm(frequencies), kernel, data_key)
        model = self._drawn(starts, logarithm(each.policy), kernel, model_key)

        ratio = logarithm(each.policy) - jnp.where(log_prior > -jnp.inf, log_prior, 0.0)
        powers = each.discount ** jnp.arange(self.length, dtype=each.reward.dtype)
        counted = model.present * jnp.where(powers > 0, 1.0, 0.0)[None, :]
        log_ratio = jnp.where(counted > 0, ratio[model.rows, model.actions], 0.0)
        log_weights = trajectory_log_weights(
            each.reward[model.rows, model.actions] * model.present, log_ratio, each.discount, 1.0
        )
        weights = jnp.asarray(normalised_weights(log_weights))
        even = jnp.full(self.trajectories, 1 / self.trajectories)
        slope = self._occupied(data, even, each) - self._occupied(model, weights, each)
        reward = each.reward + self.rate * slope
        value = soft_policy_iteration(each.value, reward, kernel, each.discount, 1.0, log_prior)
        policy = soft_best_response(reward + each.discount * (kernel @ value), 1.0, each.prior, each.prior > 0)
        return each._replace(
            reward=reward,
            value=value,
            policy=jnp.asarray(policy),
            updates=each.updates + 1,
            effective_samples=jnp.asarray(effective_sample_size(log_weights)),
        )

    def _drawn(
        self,
        starts: Int[Array, " K"],
        log_policy: Float[AnyArray, "R A"],
        kernel: Float[AnyArray, "R A R2"],
        key: PRNGKey,
    ) -> _Path:
        log_kernel, stays = logarithm(kernel), jnp.sum(kernel, axis=2)

        def move(carry: tuple, key: PRNGKey) -> tuple:
            rows, present = carry
            act_key, end_key, next_key = jax.random.split(key, 3)
            actions = jax.random.categorical(act_key, log_policy[rows])
            following = jax.random.categorical(next_key, log_kernel[rows, actions])
            goes_on = jax.random.uniform(end_key, rows.shape) < stays[rows, actions]
            return (following, present * goes_on.astype(present.dtype)), (rows, actions, present)

        first = (starts, jnp.ones(starts.shape, kernel.dtype))
        _, steps = jax.lax.scan(move, first, jax.random.split(key, self.length))
        return _Path(*(step.T for step in steps))

    def _occupied(self, path: _Path, weights: Float[Array, " K"], each: TrajectoryInference) -> Float[Array, "R A"]:
        r"""$E_w\big[\sum_t\gamma^t\,\mathbf 1[s_t=s,a_t=a]\big]$, the derivative of the mean return in the table."""
        powers = each.discount ** jnp.arange(self.length, dtype=weights.dtype)
        mass = weights[:, None] * powers[None, :] * path.present
        return jnp.zeros_like(each.reward).at[path.rows, path.actions].add(mass)
