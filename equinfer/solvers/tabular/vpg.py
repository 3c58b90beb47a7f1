"""Variational policy gradient (Algorithm 1) on a game whose tables are known."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from equinfer.concepts import AbstractConcept, Nash
from equinfer.contraction import as_joint, product_law, seen_by
from equinfer.drivers.protocol import AbstractSolver, Info
from equinfer.equations.bounds import soft_residual
from equinfer.equations.information import entropy, kl_divergence
from equinfer.equations.response import magnet_step
from equinfer.errors import BadInput
from equinfer.solvers.tabular.evaluation import SoftEvaluation, evaluate, evaluate_executed, gap_bound, legal_rows
from equinfer.types import AnyArray, PRNGKey, Profile, ScalarLike, Tree

__all__ = ["VPG", "VPGState"]

CHOICES = {
    "order": ("simultaneous", "round-robin"),
    "schedule": ("constant", "annealed"),
    "play": ("last", "average"),
    "entropy": ("own", "team"),
    "start": ("magnet", "random"),
}


class VPGState(NamedTuple):
    """What the next sweep needs. Per player; R decision points, K contexts that a policy tells apart, A actions."""

    sweep: Int[Array, ""]
    policies: tuple[Float[AnyArray, "R K _"], ...]
    magnets: tuple[Float[AnyArray, "R K _"], ...]
    opponents: tuple[Tree, ...]
    executed: tuple[Float[AnyArray, "R _"], ...]
    average: tuple[Float[AnyArray, "R _"], ...]
    q: tuple[Float[AnyArray, "R K _"], ...]
    """What each policy sees of its soft action values, under its belief."""


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
    """`last`, or `average`: what is executed is the last policy, or the mean of all so far, state by state."""
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
    """A run ends once the soft Bellman residual at the final temperature, in units of reward, is no more than this."""

    def __check_init__(self):
        for field, known in CHOICES.items():
            if getattr(self, field) not in known:
                raise BadInput(f"{field} must be one of {', '.join(known)}; got {getattr(self, field)!r}.")
        for field, most in (("temperature", float("inf")), ("step_size", 1.0), ("floor", float("inf"))):
            value = getattr(self, field)
            if isinstance(value, (int, float)) and not 0 < value <= most:
                raise BadInput(f"{field} must lie in (0, {most:g}]; got {value!r}.")

    def init(self, game: Any, *, key: PRNGKey) -> VPGState:
        game, family = self.concept.lift(game), self.concept.policy
        players = range(game.num_players)
        legal = tuple(legal_rows(game, i).astype(float) for i in players)
        magnets = legal
        if self.magnet is not None:
            magnets = tuple(jnp.asarray(m).reshape(mask.shape) for m, mask in zip(self.magnet, legal, strict=True))
        first = magnets
        if self.start == "random":
            keys = jax.random.split(key, game.num_players)
            first = tuple(m * jax.random.exponential(k, m.shape) for m, k in zip(magnets, keys, strict=True))
        executed = tuple(_normalised(policy) for policy in first)
        opponents = tuple(self.concept.opponent.init(game, i) for i in players)
        beliefs = self._beliefs(opponents, executed)
        # A table that does not depend on the context looks the same everywhere: this gives each family its shape.
        spread = [jnp.broadcast_to(executed[i][:, None], (*beliefs[i].shape, executed[i].shape[1])) for i in players]
        policies = tuple(family.look(spread[i], beliefs[i]) for i in players)
        state = VPGState(
            sweep=jnp.asarray(0),
            policies=policies,
            magnets=tuple(jnp.broadcast_to(magnets[i][:, None], policies[i].shape) for i in players),
            opponents=opponents,
            executed=executed,
            average=executed,
            q=policies,
        )
        temperature, _ = self._rates(state.sweep)
        return self._evaluated(game, state, temperature)[0]

    def step(self, game: Any, state: VPGState, *, key: PRNGKey) -> tuple[VPGState, Info]:
        game = self.concept.lift(game)
        players = range(game.num_players)
        temperature, step_size = self._rates(state.sweep)
        next_temperature, next_step_size = self._rates(state.sweep + 1)
        turns = [players] if self.order == "simultaneous" else [[i] for i in players]
        evaluation = None
        for movers, turn_key in zip(turns, jax.random.split(key, len(turns)), strict=True):
            improved = list(state.policies)
            for i in movers:
                policy, legal = state.policies[i], self._legal(game, state, i)
                improved[i] = magnet_step(policy, state.q[i], state.magnets[i], temperature, step_size, legal)
            state = self._played(game, state._replace(policies=tuple(improved)), turn_key)
            evaluated_at = next_temperature if movers is turns[-1] else temperature
            state, evaluation = self._evaluated(game, state, evaluated_at)
        assert evaluation is not None

        residual = self._residual(game, state, next_temperature)
        state = self._swept(state)
        bound = self._bound(game, state, next_temperature, evaluation)
        final = (next_temperature == temperature) & (self.play == "last") & (self.magnet_every == 0)
        converged = (bound <= self.tolerance) | (final & (residual <= self.tolerance))
        return state, {
            "residual": residual,
            "bound": bound,
            "temperature": next_temperature,
            "step_size": next_step_size,
            "converged": converged,
        }

    def profile(self, game: Any, state: VPGState) -> Profile:
        if game.horizon is None:
            return self._executed(state)
        return tuple(policy.reshape(game.horizon, -1, policy.shape[1]) for policy in self._executed(state))

    def _executed(self, state: VPGState) -> Profile:
        return state.average if self.play == "average" else state.executed

    def _rates(self, sweep: Int[Array, ""]) -> tuple[Float[AnyArray, ""], Float[AnyArray, ""]]:
        """Temperature and step size of a sweep."""
        start, step_size = jnp.asarray(self.temperature, float), jnp.asarray(self.step_size, float)
        if self.schedule == "constant":
            return start, step_size
        fallen = start * (1 + sweep.astype(float)) ** -self.decay
        temperature = jnp.maximum(fallen, jnp.minimum(self.floor, start))
        return temperature, step_size * (temperature / start) ** self.step_decay

    def _beliefs(self, opponents: tuple[Tree, ...], executed: Profile) -> tuple[Float[AnyArray, "R _"], ...]:
        return tuple(self.concept.opponent.predict(model, executed, i) for i, model in enumerate(opponents))

    def _played(self, game: Any, state: VPGState, key: PRNGKey) -> VPGState:
        """Everybody acts on what it predicts, once at every decision point, and sees what the others did there."""
        beliefs = self._beliefs(state.opponents, state.executed)
        executed = tuple(map(self.concept.policy.executed, state.policies, beliefs))
        keys = jax.random.split(key, len(executed))
        moves = [jax.random.categorical(k, jnp.log(policy)) for k, policy in zip(keys, executed, strict=True)]
        rows = jnp.arange(len(executed[0]))
        opponents = []
        for i, model in enumerate(state.opponents):
            others = [move for j, move in enumerate(moves) if j != i]
            seen = jnp.stack(others, axis=1) if others else jnp.zeros((len(rows), 0), rows.dtype)
            opponents.append(self.concept.opponent.update(model, rows, seen))
        return state._replace(executed=executed, opponents=tuple(opponents))

    def _evaluated(self, game: Any, state: VPGState, temperature: ScalarLike) -> tuple[VPGState, SoftEvaluation]:
        """What every player's plan is worth to it, and what its policy sees of that."""
        family, players = self.concept.policy, range(game.num_players)
        beliefs = self._beliefs(state.opponents, state.executed)
        if self.concept.plans_as_executed:
            laws = product_law(state.executed)[None]
        else:
            plans = [family.law(state.policies[i], beliefs[i]) for i in players]
            laws = jnp.stack([as_joint(plan, i, game.num_actions) for i, plan in enumerate(plans)])
        bonus = jnp.stack([self._bonus(state, i, beliefs[i]) for i in players])
        if self.entropy == "team":
            bonus = jnp.broadcast_to(jnp.sum(bonus, axis=0, keepdims=True), bonus.shape)
        evaluation = evaluate(game, laws, temperature * bonus)
        q = tuple(family.look(seen_by(evaluation.q[i], i), beliefs[i]) for i in players)
        return state._replace(q=q), evaluation

    def _bonus(self, state: VPGState, player: int, belief: Float[AnyArray, "R C"]) -> Float[AnyArray, " R"]:
        """Entropy, or minus the divergence from the magnet, averaged over the contexts that the policy sees."""
        policy = state.policies[player]
        if self.magnet is None and not self.magnet_every:
            bonus = entropy(policy)
        else:
            bonus = -kl_divergence(policy, state.magnets[player])
        return jnp.sum(belief * bonus, axis=1)

    def _residual(self, game: Any, state: VPGState, temperature: ScalarLike) -> Float[AnyArray, ""]:
        """The largest soft Bellman residual of any player at any decision point, in any context."""
        residuals = [
            jnp.max(soft_residual(state.q[i], policy, temperature, state.magnets[i], self._legal(game, state, i)))
            for i, policy in enumerate(state.policies)
        ]
        return jnp.max(jnp.stack(residuals))

    def _swept(self, state: VPGState) -> VPGState:
        """The end of a sweep: count it, average it in, and move the magnet when it is time."""
        sweep = state.sweep + 1
        average = tuple(
            mean + (policy - mean) / sweep.astype(mean.dtype)
            for mean, policy in zip(state.average, state.executed, strict=True)
        )
        magnets = state.magnets
        if self.magnet_every:
            due = sweep % self.magnet_every == 0
            magnets = tuple(jnp.where(due, new, old) for new, old in zip(state.policies, magnets, strict=True))
        return state._replace(sweep=sweep, average=average, magnets=magnets)

    def _bound(
        self, game: Any, state: VPGState, temperature: ScalarLike, evaluation: SoftEvaluation
    ) -> Float[AnyArray, ""]:
        """Theorem A' for what is executed, whatever the players planned on."""
        profile = self._executed(state)
        plain = self.entropy == "own" and self.magnet is None and not self.magnet_every
        if not (plain and self.concept.plans_as_executed and self.play == "last"):
            evaluation = evaluate_executed(game, profile, temperature)
        return gap_bound(game, profile, temperature, evaluation)

    def _legal(self, game: Any, state: VPGState, player: int) -> Bool[Array, "R K A"]:
        return jnp.broadcast_to(legal_rows(game, player)[:, None], state.policies[player].shape)


def _normalised(weights: Float[AnyArray, "R A"]) -> Float[AnyArray, "R A"]:
    return weights / jnp.sum(weights, axis=1, keepdims=True)
