"""Algorithm 4 without a model: a cohort shows where the population goes, and action values are learnt from moves."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equinfer.concepts import AbstractConcept
from equinfer.concepts.mean_field import MeanField
from equinfer.drivers.protocol import AbstractSolver, Info
from equinfer.equations.information import logarithm
from equinfer.equations.mean_field import largest_change, mixed, soft_response, uniform_policies
from equinfer.errors import BadInput
from equinfer.opponents import Moves
from equinfer.solvers.tabular.critics import ExpectedSARSA, SARSAState
from equinfer.solvers.tabular.settings import check_choices, check_ranges
from equinfer.solvers.tabular.sweeping import averaged, check_magnet_every, moved_magnets
from equinfer.types import AnyArray, PRNGKey, Profile

__all__ = ["SampledBayesianQ", "SampledBayesianQState"]

Logs = tuple[Float[AnyArray, "H S _"], ...]


class SampledBayesianQState(NamedTuple):
    """What the next episode needs: policies and magnets as logarithms, the flow as far as it is known, and what actions
    are worth.
    """

    number: Int[Array, ""]
    log_policies: Logs
    log_magnets: Logs
    flow: tuple[Float[AnyArray, "H S _"], ...]
    critics: tuple[SARSAState, ...]
    average: tuple[Float[AnyArray, "H S _"], ...]


class SampledBayesianQ(AbstractSolver[SampledBayesianQState]):
    r"""Algorithm 4 from simulated episodes. One step is one episode:

    ```
    a cohort plays pi:                      L <- L + k^-p (what the cohort did - L)
    as many explorers, who sometimes draw
    an action at random, meet L:            Q(t,s,a) <- Q + alpha (r + gamma V(t+1,s') - Q)     (11), a move at a time
    V(t,s) = tau log sum_a magnet exp(Q/tau)
    pi <- pi^(1-c) (pi*)^c,  pi* of (12)                                                        (★)
    ```

    Nothing is known of rewards and moves but what the simulator answers; `agents=1` is a single representative agent,
    whose visits, averaged over episodes, stand for the population. What is watched as `gap` is exploitability against
    the true model, which the learner never sees.
    """

    name: ClassVar[str] = "bayesian-q-sampled"
    games: ClassVar[str] = "mean-field"

    concept: AbstractConcept = eqx.field(default_factory=MeanField)
    agents: int = 64
    """Of the cohort, and as many explorers, in every population."""
    temperature: float = 0.3
    """In units of reward."""
    step_size: float = 0.02
    """The damping $c$ of (★), in (0, 1]: the smaller, the longer the memory that averages the noise out."""
    steps: int = 5_000
    """Episodes, at most."""
    seeds: int = 8
    """Independent runs side by side; the best certified policy of all is the answer."""
    magnet: Profile | None = None
    """The prior of the first step, one (H, S, A) array per population; None is uniform."""
    magnet_every: int = 500
    """The magnet becomes the policy every so many episodes: 0 never, which leaves a bias of the order of the
    temperature; 500 is a proximal point method, each of whose steps has time to learn."""
    exploration: float = 0.2
    """Chance that an explorer draws an action at random."""
    rate_decay: float = 0.6
    """Power of the visits in the learning rate of action values, in (1/2, 1]."""
    flow_decay: float = 0.6
    """Power of the episodes in the rate at which the flow is averaged, in (1/2, 1]."""
    play: str = "last"
    """`last`, or `average`: the answer is the last policy, or the mean of all so far."""

    def __check_init__(self):
        check_choices(self, {"play": ("last", "average")})
        counts = dict.fromkeys(("agents", "steps", "seeds"), "[1, inf)")
        decays = dict.fromkeys(("rate_decay", "flow_decay"), "(0.5, 1]")
        check_ranges(
            self, {"temperature": "(0, inf)", "step_size": "(0, 1]", "exploration": "[0, 1]"} | counts | decays
        )
        check_magnet_every(self.magnet_every, "episodes")

    def init(self, game: Any, *, key: PRNGKey) -> SampledBayesianQState:
        if game.horizon is None:
            raise BadInput(f"{self.name} is for games with a horizon; this one is stationary.")
        policies = uniform_policies(game) if self.magnet is None else tuple(map(jnp.asarray, self.magnet))
        logs = tuple(map(logarithm, policies))
        nothing = tuple(jnp.full(policy.shape, 1.0 / policy[0].size, policy.dtype) for policy in policies)
        critics = tuple(self._critic.init(policy.shape[0] * policy.shape[1], 1, policy.shape[2]) for policy in policies)
        return SampledBayesianQState(jnp.asarray(0), logs, logs, nothing, critics, policies)

    def step(self, game: Any, state: SampledBayesianQState, *, key: PRNGKey) -> tuple[SampledBayesianQState, Info]:
        number = state.number + 1
        cohort_key, explorer_key = jax.random.split(key)
        cohorts = self._episode(game, state.log_policies, state.flow, cohort_key)
        seen = tuple(_shares(moves, law.shape) for moves, law in zip(cohorts, state.flow, strict=True))
        weight = number.astype(float) ** -self.flow_decay
        flow = tuple(old + weight * (new - old) for old, new in zip(state.flow, seen, strict=True))
        bold = tuple(
            logarithm((1 - self.exploration) * jnp.exp(log_policy) + self.exploration * anything)
            for log_policy, anything in zip(state.log_policies, uniform_policies(game), strict=True)
        )
        explorers = self._episode(game, bold, flow, explorer_key)
        critics, log_policies = [], []
        for p, moves in enumerate(explorers):
            critic, log_policy = self._learnt(game, p, state, moves)
            critics.append(critic)
            log_policies.append(log_policy)
        magnets = moved_magnets(self.magnet_every, state.log_magnets, tuple(log_policies), number)
        before, policies = (tuple(map(jnp.exp, each)) for each in (state.log_policies, log_policies))
        average = averaged(state.average, policies, number)
        new = SampledBayesianQState(number, tuple(log_policies), magnets, flow, tuple(critics), average)
        return new, {"residual": largest_change(before, policies), "converged": jnp.asarray(False)}

    def profile(self, game: Any, state: SampledBayesianQState) -> Profile:
        return state.average if self.play == "average" else tuple(map(jnp.exp, state.log_policies))

    @property
    def _critic(self) -> ExpectedSARSA:
        return ExpectedSARSA(self.rate_decay)

    def _learnt(
        self, game: Any, p: int, state: SampledBayesianQState, moves: Moves
    ) -> tuple[SARSAState, Float[Array, "H S A"]]:
        """Action values after an episode, and the policy that (★) makes of them."""
        legal, magnet, critic = game.legal[p], state.log_magnets[p], state.critics[p]
        values, _ = soft_response(critic.q.reshape(magnet.shape), legal, magnet, self.temperature)
        critic = self._critic.learn(critic, moves, values.ravel(), game.discount)
        _, target = soft_response(critic.q.reshape(magnet.shape), legal, magnet, self.temperature)
        return critic, mixed(state.log_policies[p], target, self.step_size)

    def _episode(self, game: Any, log_policies: Logs, flow: Profile, key: PRNGKey) -> tuple[Moves, ...]:
        """What the agents of every population see, all epochs one behind the other, in a population that flows so."""
        rewards = game.rewards(flow)
        keys = jax.random.split(key, len(log_policies))
        return tuple(self._walk(game, p, log_policies[p], flow, rewards[p], keys[p]) for p in range(len(log_policies)))

    def _walk(
        self,
        game: Any,
        p: int,
        log_policy: Float[AnyArray, "H S A"],
        flow: Profile,
        reward: Float[AnyArray, "H S A"],
        key: PRNGKey,
    ) -> Moves:
        begin_key, walk_key = jax.random.split(key)
        begin = jax.random.categorical(begin_key, logarithm(jnp.asarray(game.initial[p])), shape=(self.agents,))

        def move(states: Int[Array, " M"], at: tuple) -> tuple[Int[Array, " M"], tuple]:
            t, laws, log_now, paid, epoch_key = at
            act_key, next_key = jax.random.split(epoch_key)
            actions = jax.random.categorical(act_key, log_now[states])
            following = game.transitions[p].draw(t, laws, states, actions, next_key)
            return following, (states, actions, paid[states, actions], following)

        epochs = jnp.arange(game.horizon)
        every = (epochs, flow, log_policy, reward, jax.random.split(walk_key, game.horizon))
        _, (states, actions, paid, following) = jax.lax.scan(move, begin, every)
        rows = epochs[:, None] * game.num_states + states
        continues = jnp.broadcast_to(epochs[:, None] + 1 < game.horizon, states.shape)
        next_rows = jnp.where(continues, (epochs[:, None] + 1) * game.num_states + following, 0)
        alone = jnp.zeros((states.size, 0), int)
        flat = (each.ravel() for each in (rows, actions, paid, next_rows, continues))
        rows, actions, paid, next_rows, continues = flat
        return Moves(rows, actions, alone, jnp.zeros_like(rows), paid, next_rows, continues)


def _shares(moves: Moves, shape: tuple[int, ...]) -> Float[Array, "H S A"]:
    """The part of the cohort in every state and action, epoch by epoch."""
    epochs, states, actions = shape
    counts = jnp.zeros((epochs * states, actions)).at[moves.rows, moves.action].add(1.0)
    return counts.reshape(shape) * epochs / moves.rows.size
