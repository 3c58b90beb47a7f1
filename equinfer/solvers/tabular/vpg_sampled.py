"""Variational policy gradient (Algorithm 1) from play: every agent learns from what it sees, and from nothing else."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from equinfer.concepts import AbstractConcept, Nash
from equinfer.drivers.protocol import AbstractSolver, Info
from equinfer.equations.backup import soft_value
from equinfer.equations.bounds import log_soft_residual
from equinfer.equations.information import logarithm
from equinfer.equations.response import log_magnet_step
from equinfer.opponents import Empirical, Moves
from equinfer.solvers.tabular.critics import CRITICS, AbstractCritic, ExpectedSARSA, LearntModel
from equinfer.solvers.tabular.evaluation import legal_rows
from equinfer.solvers.tabular.observed import belief_error, observed
from equinfer.solvers.tabular.settings import check_choices, check_ranges, temperature_doubts
from equinfer.tables import Tables
from equinfer.types import AnyArray, PRNGKey, Profile, Tree

__all__ = ["Agent", "Rules", "SampledVPG", "SampledVPGState"]


RANGES = {
    "temperature": "(0, inf)",
    "step_size": "(0, 1]",
    "steps": "[1, inf)",
    "worlds": "[1, inf)",
    "seeds": "[1, inf)",
    "rate_decay": "(0.5, 1]",
    "restart": "[0, 1]",
}


class Rules(eqx.Module):
    """What an agent knows of the game beforehand: no reward, no transition."""

    player: int = eqx.field(static=True)
    legal: Bool[AnyArray, "R A"]
    discount: Float[AnyArray, ""]
    """Its own."""


class Agent(NamedTuple):
    """What an agent carries from move to move."""

    log_policy: Float[AnyArray, "R K A"]
    """Kept as logarithms: what an action loses while it does not pay, it must be able to win back."""
    opponent: Tree
    critic: Tree


class SampledVPGState(NamedTuple):
    """What the next move needs: W worlds, one agent per player."""

    rows: Int[Array, " W"]
    """Where each world stands: a state, or an epoch and a state."""
    agents: tuple[Agent, ...]
    executed: tuple[Float[AnyArray, "R _"], ...]
    average: tuple[Float[AnyArray, "R _"], ...]
    moves: Int[Array, ""]


class SampledVPG(AbstractSolver[SampledVPGState]):
    r"""Variational policy gradient, Algorithm 1, sampled and decentralised. One step is one move of every world.

    ```
    for each agent i:   draw a_i from sum_c rho_i(c|s) pi_i(.|s,c); see s', the others' actions, r_i
                        update rho_i                                     opponent model
                        update Q_i from (s, c, a_i, r_i, s')             critic
                        pi_i <- (★)(pi_i, what pi_i sees of Q_i)         eq. (4)
    ```

    An agent's update is `learn`, a function of its own memory and its own moves. (With the `oracle` opponent model it
    also sees what the others execute; the default is to count.) Departures from the paper: as in `VPG`; the buffer is
    kept as the counts and averages that a table can hold; several worlds may be played side by side.
    """

    name: ClassVar[str] = "vpg-sampled"
    columns: ClassVar[Mapping[str, str]] = {"opponent": "empirical"}

    concept: AbstractConcept = eqx.field(default_factory=lambda: Nash(opponent=Empirical()))
    temperature: float = 0.1
    """Weight of the entropy, in units of reward; 1.0 is the paper's."""
    step_size: float = 0.01
    """The $c$ of (★), in (0, 1]: the smaller, the longer the memory that averages the noise out."""
    steps: int = 20_000
    """Moves of a world, at most."""
    worlds: int = 32
    """Copies of the game that are played side by side; 1 is Algorithm 1 to the letter."""
    seeds: int = 8
    """Independent runs side by side; the best certified profile is the answer."""
    critic: str = "sarsa"
    """`sarsa`, or `model`: action values by expected SARSA, or by backups of a learnt model."""
    rate_decay: float = 0.6
    """Power of the visits in the learning rate of expected SARSA, in (1/2, 1]."""
    restart: float = 0.1
    """Chance after a move that a world starts anew, anywhere: an equilibrium is judged in every state."""
    play: str = "last"
    """`last`, or `average`: the answer is the last policy, or the plain mean of all so far, state by state, with what
    `VPG.play` says of it."""

    def __check_init__(self):
        check_choices(self, {"critic": tuple(CRITICS), "play": ("last", "average")})
        check_ranges(self, RANGES)

    def init(self, game: Any, *, key: PRNGKey) -> SampledVPGState:
        game = self.concept.lift(game)
        rules = [_rules(game, i) for i in range(game.num_players)]
        masks = [rule.legal.astype(float) for rule in rules]
        executed = tuple(mask / jnp.sum(mask, axis=1, keepdims=True) for mask in masks)
        agents = []
        for rule, policy in zip(rules, executed, strict=True):
            opponent = self.concept.opponent.init(game, rule.player)
            belief = self.concept.opponent.predict(opponent, executed, rule.player)
            spread = jnp.broadcast_to(policy[:, None], (*belief.shape, policy.shape[1]))
            critic = self._critic.init(*spread.shape)
            agents.append(Agent(logarithm(self.concept.policy.look(spread, belief)), opponent, critic))
        rows = jax.random.randint(key, (self.worlds,), 0, len(executed[0]))
        return SampledVPGState(rows, tuple(agents), executed, executed, jnp.asarray(0))

    def step(self, game: Any, state: SampledVPGState, *, key: PRNGKey) -> tuple[SampledVPGState, Info]:
        act_key, world_key = jax.random.split(key)
        return self.replay(game, state, _drawn(state.executed, state.rows, act_key), key=world_key)

    def replay(
        self, game: Any, state: SampledVPGState, actions: Int[Array, "W N"], *, key: PRNGKey
    ) -> tuple[SampledVPGState, Info]:
        """One step in which the players' actions are given instead of drawn."""
        game, family = self.concept.lift(game), self.concept.policy
        rules = [_rules(game, i) for i in range(game.num_players)]
        views, rows = self._moved(game, state.rows, actions, key)
        learnt = [
            self.learn(rule, agent, moves, state.executed)
            for rule, agent, moves in zip(rules, state.agents, views, strict=True)
        ]
        agents = tuple(agent for agent, _ in learnt)
        beliefs = [self._belief(rule, agent, state.executed) for rule, agent in zip(rules, agents, strict=True)]
        executed = tuple(
            family.executed(jnp.exp(agent.log_policy), rho) for agent, rho in zip(agents, beliefs, strict=True)
        )
        moves = state.moves + 1
        average = tuple(
            mean + (policy - mean) / moves.astype(mean.dtype)
            for mean, policy in zip(state.average, executed, strict=True)
        )
        residual = jnp.max(jnp.stack([residual for _, residual in learnt]))
        state = SampledVPGState(rows, agents, executed, average, moves)
        info = {"residual": residual, "converged": jnp.asarray(False)}
        if not self.concept.opponent.is_exact:
            info["belief_error"] = belief_error(tuple(beliefs), executed)
        return state, info

    def doubts(self, tables: Tables) -> tuple[str, ...]:
        return temperature_doubts(tables, self.temperature, self.temperature)

    def profile(self, game: Any, state: SampledVPGState) -> Profile:
        profile = state.average if self.play == "average" else state.executed
        if game.horizon is None:
            return profile
        return tuple(policy.reshape(game.horizon, -1, policy.shape[1]) for policy in profile)

    def beliefs(self, game: Any, state: SampledVPGState) -> tuple[Float[AnyArray, "R _"], ...]:
        if self.concept.opponent.is_exact:
            return ()
        rules = [_rules(self.concept.lift(game), player) for player in range(game.num_players)]
        return tuple(self._belief(rule, agent, state.executed) for rule, agent in zip(rules, state.agents, strict=True))

    def learn(self, rules: Rules, agent: Agent, moves: Moves, executed: Profile) -> tuple[Agent, Float[AnyArray, ""]]:
        """One agent's update after its moves, and its soft Bellman residual in its own eyes.

        Everything that it depends on is an argument. `executed`, what all players play, is read by an exact opponent
        model alone.
        """
        family = self.concept.policy
        opponent = self.concept.opponent.update(agent.opponent, moves, rules.player)
        belief = self.concept.opponent.predict(opponent, executed, rules.player)
        policy = jnp.exp(agent.log_policy)
        value = _average(soft_value(family.look(agent.critic.q, belief), policy, self.temperature), belief)
        critic = self._critic.learn(agent.critic, moves, value, rules.discount)
        q = family.look(critic.q, belief)
        log_magnet = jnp.where(rules.legal[:, None], jnp.zeros_like(q), -jnp.inf)
        log_policy = log_magnet_step(agent.log_policy, q, log_magnet, self.temperature, self.step_size)
        residual = jnp.max(log_soft_residual(log_policy, q, self.temperature, log_magnet))
        return Agent(log_policy, opponent, critic), residual

    @property
    def _critic(self) -> AbstractCritic:
        return {"sarsa": ExpectedSARSA(self.rate_decay), "model": LearntModel()}[self.critic]

    def _belief(self, rules: Rules, agent: Agent, executed: Profile) -> Float[AnyArray, "R C"]:
        return self.concept.opponent.predict(agent.opponent, executed, rules.player)

    def _moved(
        self, game: Any, rows: Int[Array, " W"], actions: Int[Array, "W N"], key: PRNGKey
    ) -> tuple[tuple[Moves, ...], Int[Array, " W"]]:
        """What each agent sees of one move of every world, and where the worlds stand after it."""
        next_key, restart_key, place_key = jax.random.split(key, 3)
        views = observed(game, rows, actions, next_key)
        anew = jax.random.bernoulli(restart_key, self.restart, rows.shape) | ~views[0].continues
        anywhere = jax.random.randint(place_key, rows.shape, 0, (game.horizon or 1) * game.num_states)
        return views, jnp.where(anew, anywhere, views[0].next_rows)


def _rules(game: Any, player: int) -> Rules:
    return Rules(player, legal_rows(game, player), jnp.asarray(game.discount)[player])


def _drawn(executed: Profile, rows: Int[Array, " W"], key: PRNGKey) -> Int[Array, "W N"]:
    keys = jax.random.split(key, len(executed))
    drawn = [jax.random.categorical(k, jnp.log(policy[rows])) for k, policy in zip(keys, executed, strict=True)]
    return jnp.stack(drawn, axis=1)


def _average(value: Float[AnyArray, "R K"], belief: Float[AnyArray, "R C"]) -> Float[AnyArray, " R"]:
    """Over contexts; a value that does not tell them apart (K = 1) is its own average."""
    return jnp.sum(belief * value, axis=1)
