"""Variational policy gradient (Algorithm 1) on a game whose tables are known."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from equinfer.concepts import AbstractConcept, Nash
from equinfer.contraction import as_joint, product_law, seen_by
from equinfer.drivers.protocol import AbstractSolver, Info
from equinfer.equations.bounds import log_soft_residual
from equinfer.equations.information import kl_divergence_of_logs, logarithm
from equinfer.equations.response import log_magnet_step
from equinfer.solvers.tabular.evaluation import SoftEvaluation, evaluate, evaluate_executed, gap_bound
from equinfer.solvers.tabular.observed import belief_error, observed
from equinfer.solvers.tabular.settings import check_choices, check_ranges, temperature_doubts
from equinfer.solvers.tabular.sweeping import CHOICES, RANGES, averaged, moved_magnets, rates, starting_point
from equinfer.tables import Tables
from equinfer.types import AnyArray, PRNGKey, Profile, ScalarLike, Tree

__all__ = ["VPG", "VPGState"]


class VPGState(NamedTuple):
    """What the next sweep needs. Per player; R decision points, K contexts that a policy tells apart, A actions.

    Policies and magnets are logarithms: what an action loses while it does not pay, it must be able to win back.
    """

    sweep: Int[Array, ""]
    log_policies: tuple[Float[AnyArray, "R K _"], ...]
    log_magnets: tuple[Float[AnyArray, "R K _"], ...]
    opponents: tuple[Tree, ...]
    executed: tuple[Float[AnyArray, "R _"], ...]
    average: tuple[Float[AnyArray, "R _"], ...]
    q: tuple[Float[AnyArray, "R K _"], ...]
    """What each policy sees of its soft action values, under its belief."""

    @property
    def policies(self) -> tuple[Float[AnyArray, "R K _"], ...]:
        return tuple(map(jnp.exp, self.log_policies))


class VPG(AbstractSolver[VPGState]):
    r"""Variational policy gradient, Algorithm 1, with exact soft evaluation in place of samples. One step is one sweep.

    ```
    for each player i:   pi_i <- (★)(pi_i, q_i)                       eq. (4), with a magnet and a temperature
                         play sum_c rho_i(c|s) pi_i(.|s,c)            line 4; learn rho_i from what the others play
                         q_i <- what pi_i sees of the soft Q of rho_i and all pi_i
    ```

    Departures from the paper: the opponents are part of the dynamics, so that no divergence of the opponent model
    enters the values; the temperature is explicit; the default policies are marginal. Each has its reason in
    `docs/theory.md`. A finite horizon has a policy per epoch; illegal actions are never played.
    """

    name: ClassVar[str] = "vpg"

    concept: AbstractConcept = eqx.field(default_factory=Nash)
    temperature: float = 0.1
    """Weight of the entropy, in units of reward; 1.0 is the paper's. In the annealed schedule, that of the first
    sweep."""
    step_size: float = 0.1
    """The $c$ of (★), in (0, 1]; 1.0 is the soft best response."""
    steps: int = 10_000
    """Sweeps, at most."""
    order: str = "simultaneous"
    """`simultaneous`, or `round-robin`: each player answers what the ones before it have just become."""
    schedule: str = "constant"
    r"""`constant`, or `annealed`: $\tau_k=\max(\text{floor},\tau(1+k)^{-\text{decay}})$, $c_k=c\,(\tau_k/\tau)^p$."""
    floor: float = 1e-4
    """The lowest temperature of the annealed schedule."""
    decay: float = 0.5
    """How fast the annealed temperature falls."""
    step_decay: float = 1.0
    r"""The power $p$. The largest stable $c$ is of order $\tau$ in potential games, $\tau^2$ in zero-sum games."""
    play: str = "last"
    """`last`, or `average`: what is executed is the last policy, or the plain mean of all so far, state by state.

    In a one-shot game the mean is how often each action was played. Only in a zero-sum game of two players does that
    make an equilibrium of play without regret: in general it forgets that the players moved together, and over
    several states also how often each was visited. The certificate judges it like any other profile."""
    magnet: Profile | None = None
    r"""The prior $\tilde\pi$, arrays ([H,] S, A_i); None is the plain entropy bonus of the paper."""
    magnet_every: int = 0
    """Put the magnet where the policies are every so many sweeps (a proximal-point method); 0 leaves it alone."""
    entropy: str = "own"
    r"""Whose entropy a player is paid for: its `own`, or the `team`'s, with which a Markov potential game with rewards
    alone stays a potential game (Theorem E)."""
    start: str = "magnet"
    """Where the policies begin: at the `magnet` (uniform if there is none), or at a `random` profile."""
    seeds: int = 1
    """Independent runs side by side; of use with a random start, or with opponents learnt from samples."""
    tolerance: float = 1e-12
    """A run ends once the soft Bellman residual at the final temperature, in units of reward, is no more than this.
    Where policies are executed through predictions, no executed probability may move by more in a sweep either."""

    def __check_init__(self):
        check_choices(self, {**CHOICES, "entropy": ("own", "team")})
        check_ranges(self, RANGES)

    def init(self, game: Any, *, key: PRNGKey) -> VPGState:
        game, family = self.concept.lift(game), self.concept.policy
        players = range(game.num_players)
        magnets, executed = starting_point(self, game, key)
        opponents = tuple(self.concept.opponent.init(game, i) for i in players)
        beliefs = self._beliefs(opponents, executed)
        # A table that does not depend on the context looks the same everywhere: this gives each family its shape.
        spread = [jnp.broadcast_to(executed[i][:, None], (*beliefs[i].shape, executed[i].shape[1])) for i in players]
        log_policies = tuple(logarithm(family.look(spread[i], beliefs[i])) for i in players)
        log_magnets = tuple(
            jnp.broadcast_to(logarithm(magnet)[:, None], policy.shape)
            for magnet, policy in zip(magnets, log_policies, strict=True)
        )
        sweep = jnp.asarray(0)
        state = VPGState(
            sweep=sweep,
            log_policies=log_policies,
            log_magnets=moved_magnets(self.magnet_every, log_magnets, log_policies, sweep),
            opponents=opponents,
            executed=executed,
            average=executed,
            q=log_policies,
        )
        temperature, _ = rates(self, state.sweep)
        return self._evaluated(game, state, temperature)[0]

    def step(self, game: Any, state: VPGState, *, key: PRNGKey) -> tuple[VPGState, Info]:
        game = self.concept.lift(game)
        players = range(game.num_players)
        temperature, step_size = rates(self, state.sweep)
        next_temperature, next_step_size = rates(self, state.sweep + 1)
        turns = [players] if self.order == "simultaneous" else [[i] for i in players]
        evaluation, executed = None, state.executed
        for movers, turn_key in zip(turns, jax.random.split(key, len(turns)), strict=True):
            improved = list(state.log_policies)
            for i in movers:
                improved[i] = log_magnet_step(improved[i], state.q[i], state.log_magnets[i], temperature, step_size)
            state = self._played(game, state._replace(log_policies=tuple(improved)), turn_key)
            evaluated_at = temperature
            if movers is turns[-1]:
                state, evaluated_at = self._swept(state), next_temperature
            state, evaluation = self._evaluated(game, state, evaluated_at)
        assert evaluation is not None

        residual = self._residual(state, next_temperature)
        settled = (residual <= self.tolerance) & self._rests(executed, state.executed)
        bound = self._bound(game, state, next_temperature, evaluation)
        final = (next_temperature == temperature) & (self.play == "last") & (self.magnet_every == 0)
        converged = (bound <= self.tolerance) | (final & settled)
        info = {
            "residual": residual,
            "bound": bound,
            "temperature": next_temperature,
            "step_size": next_step_size,
            "converged": converged,
        }
        if not self.concept.opponent.is_exact:
            info["belief_error"] = belief_error(self._beliefs(state.opponents, state.executed), state.executed)
        return state, info

    def profile(self, game: Any, state: VPGState) -> Profile:
        if game.horizon is None:
            return self._executed(state)
        return tuple(policy.reshape(game.horizon, -1, policy.shape[1]) for policy in self._executed(state))

    def beliefs(self, game: Any, state: VPGState) -> tuple[Float[AnyArray, "R _"], ...]:
        return () if self.concept.opponent.is_exact else self._beliefs(state.opponents, state.executed)

    def doubts(self, tables: Tables) -> tuple[str, ...]:
        last = self.temperature if self.schedule == "constant" else min(self.floor, self.temperature)
        return temperature_doubts(tables, self.temperature, last)

    def _executed(self, state: VPGState) -> Profile:
        return state.average if self.play == "average" else state.executed

    def _beliefs(self, opponents: tuple[Tree, ...], executed: Profile) -> tuple[Float[AnyArray, "R _"], ...]:
        return tuple(self.concept.opponent.predict(model, executed, i) for i, model in enumerate(opponents))

    def _played(self, game: Any, state: VPGState, key: PRNGKey) -> VPGState:
        """Everybody acts on what it predicts, once at every decision point, and sees what the others did there."""
        beliefs = self._beliefs(state.opponents, state.executed)
        executed = tuple(map(self.concept.policy.executed, state.policies, beliefs))
        next_key, *keys = jax.random.split(key, 1 + len(executed))
        moves = [jax.random.categorical(k, jnp.log(policy)) for k, policy in zip(keys, executed, strict=True)]
        views = observed(game, jnp.arange(len(executed[0])), jnp.stack(moves, axis=1), next_key)
        opponents = tuple(
            self.concept.opponent.update(model, view, i)
            for i, (model, view) in enumerate(zip(state.opponents, views, strict=True))
        )
        return state._replace(executed=executed, opponents=opponents)

    def _evaluated(self, game: Any, state: VPGState, temperature: ScalarLike) -> tuple[VPGState, SoftEvaluation]:
        """What every player's plan is worth to it, and what its policy sees of that."""
        family, players = self.concept.policy, range(game.num_players)
        beliefs = self._beliefs(state.opponents, state.executed)
        if self.concept.plans_as_executed:
            laws = product_law(state.executed)[None]
        else:
            plans = [family.law(policy, beliefs[i]) for i, policy in enumerate(state.policies)]
            laws = jnp.stack([as_joint(plan, i, game.num_actions) for i, plan in enumerate(plans)])
        bonus = jnp.stack([self._bonus(state, i, beliefs[i]) for i in players])
        if self.entropy == "team":
            bonus = jnp.broadcast_to(jnp.sum(bonus, axis=0, keepdims=True), bonus.shape)
        evaluation = evaluate(game, laws, temperature * bonus)
        q = tuple(family.look(seen_by(evaluation.q[i], i), beliefs[i]) for i in players)
        return state._replace(q=q), evaluation

    def _bonus(self, state: VPGState, player: int, belief: Float[AnyArray, "R C"]) -> Float[AnyArray, " R"]:
        """Minus the divergence from the magnet, averaged over the contexts that the policy sees.

        Without a magnet that is the entropy: the divergence from ones over the legal actions.
        """
        return -jnp.sum(belief * kl_divergence_of_logs(state.log_policies[player], state.log_magnets[player]), axis=1)

    def _residual(self, state: VPGState, temperature: ScalarLike) -> Float[AnyArray, ""]:
        """The largest soft Bellman residual of any player at any decision point, in any context."""
        policies = zip(state.log_policies, state.q, state.log_magnets, strict=True)
        return jnp.max(jnp.stack([jnp.max(log_soft_residual(p, q, temperature, magnet)) for p, q, magnet in policies]))

    def _rests(self, before: Profile, after: Profile) -> Bool[AnyArray, ""]:
        """Whether a sweep left alone what is executed: policies that answer every prediction do not settle that."""
        if self.concept.plans_as_executed:
            return jnp.asarray(True)
        moves = [jnp.max(abs(new - old)) for new, old in zip(after, before, strict=True)]
        return jnp.max(jnp.stack(moves)) <= self.tolerance

    def _swept(self, state: VPGState) -> VPGState:
        """The end of a sweep: count it, average it in, and move the magnet when it is time."""
        sweep = state.sweep + 1
        return state._replace(
            sweep=sweep,
            average=averaged(state.average, state.executed, sweep),
            log_magnets=moved_magnets(self.magnet_every, state.log_magnets, state.log_policies, sweep),
        )

    def _bound(
        self, game: Any, state: VPGState, temperature: ScalarLike, evaluation: SoftEvaluation
    ) -> Float[AnyArray, ""]:
        """Theorem A' for what is executed, whatever the players planned on."""
        profile = self._executed(state)
        plain = self.entropy == "own" and self.magnet is None and not self.magnet_every
        if not (plain and self.concept.plans_as_executed and self.play == "last"):
            evaluation = evaluate_executed(game, profile, temperature)
        return gap_bound(game, profile, temperature, evaluation)
