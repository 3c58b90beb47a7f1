r"""Stability of an equilibrium under (★): the eigenvalues of the joint soft best response, at small temperatures.

The response maps the logits $\ell$ of all players in all states to $\bar Q^i(s,a)/\tau$, action values of softmax play
that include its entropy bonus. A player's own logits do not move its values at a fixed point, by the envelope theorem:
what remains is the others' play in the same state, and through the values in every other one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from equinfer.contraction import expected
from equinfer.equations.stability import stable_step_size
from equinfer.families import Stability
from equinfer.solvers.tabular.polish import Values, exact_values
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.solvers.tabular.stage_payoffs import stage_payoffs
from equinfer.types import Profile

__all__ = ["TEMPERATURES", "stability"]

TEMPERATURES = (1e-3, 1e-4, 1e-5, 1e-6)
"""In units of the widest range of rewards. The first two that follow each other at which there is a soft equilibrium
beside the equilibrium are the two that count."""
_LARGEST = 1200
"""Probabilities that are solved for at once; there are no more states than this either."""
_DEAD = 40.0
"""Temperatures below the best action at which an action counts as not played: it has a weight of 4e-18."""
_NEAR = 0.1
"""A soft equilibrium whose probabilities all differ by less from an equilibrium's is the one beside it."""
_ITERATIONS = 40
_PATIENCE = 8
"""Steps of Newton's method without a new best error after which it is given up."""
_ROUNDING = 1e-14
_CLOSE = 1e-7
"""Of the error in logits, weighted by the probabilities: Newton's method has converged if it then stops improving."""
_LONGEST_STEP = 2.0


def _always() -> bool:
    return True


def stability(game: Any, profile: Profile, in_time: Callable[[], bool] = _always) -> Stability:
    """Whether (★) comes back to the equilibrium `profile`; `Stability` says what that means precisely.

    It is undetermined as soon as `in_time`, which is asked at every step of Newton's method, says no.

    With a finite horizon the response is block triangular in the epochs, so that its eigenvalues are those of the stage
    games of every epoch, at the equilibrium's values.
    """
    scaled, flat = _stationary(game, profile)
    if scaled.num_states > _LARGEST or np.count_nonzero(flat) > _LARGEST:
        return Stability(None)
    rates: list[float] = []
    for temperature in TEMPERATURES:
        eigenvalues = _SoftGame(scaled, flat, temperature).eigenvalues(in_time)
        if not in_time():
            return Stability(None)
        if eigenvalues is None:
            rates.clear()
            continue
        rates.append(float(np.real(eigenvalues).max()))
        if len(rates) == 2:
            return Stability(
                stable=rates[0] < 1 if (rates[0] - 1) * (rates[1] - 1) > 0 else None,
                temperature=temperature * scaled.unit,
                growth=rates[1],
                radius=float(np.abs(eigenvalues).max()),
                step_size=stable_step_size(eigenvalues),
            )
    return Stability(None)


def _stationary(game: Any, profile: Profile) -> tuple[ScaledGame, Float[np.ndarray, "R n"]]:
    """The game and the profile as the algebra below wants them; the epochs of a finite horizon become states, which
    nothing leads from one to another, with the values ahead as part of the reward.
    """
    if game.horizon is None:
        return ScaledGame.of(game), np.concatenate([np.asarray(policy) for policy in profile], axis=1)
    value, stages = np.zeros((game.num_players, game.num_states)), []
    for epoch in reversed(range(game.horizon)):
        stage = stage_payoffs(game, value)
        now = tuple(np.asarray(policy)[epoch] for policy in profile)
        value = np.stack([expected(table, now) for table in stage])
        stages.append(stage)
    legal = [np.tile(np.asarray(mask), (game.horizon, 1)) for mask in game.legal]
    rewards = np.concatenate(stages[::-1], axis=1)
    scaled = ScaledGame.of_arrays(rewards, game.kernel, np.zeros(game.num_players), legal)
    rows = [np.asarray(policy).reshape(-1, policy.shape[-1]) for policy in profile]
    return scaled, np.concatenate(rows, axis=1)


class _Point(NamedTuple):
    """Softmax play at one point, with what its linearisation needs."""

    policy: Float[np.ndarray, "S n"]
    error: Float[np.ndarray, " k"]
    """Logits less action values over temperature, of the actions that are alive; the mean of each player's is zero."""
    values: Values


class _SoftGame:
    """Soft equilibria at one temperature beside an equilibrium."""

    def __init__(self, game: ScaledGame, flat: Float[np.ndarray, "S n"], temperature: float):
        self._game, self._flat, self._temperature = game, flat, temperature
        values = exact_values(game, flat)
        regret = values.value[:, game.owner] - values.action_values
        self._alive: Bool[np.ndarray, "S n"] = game.legal & ((flat > 0) | (regret < _DEAD * temperature))
        self._state, self._action = np.nonzero(self._alive)
        played = np.log(np.where(flat > 0, flat, 1.0))
        self._logits = np.where(flat > 0, played, -regret / temperature)

    def eigenvalues(self, in_time: Callable[[], bool]) -> Complex[np.ndarray, " k"] | None:
        """Of the response, at the soft equilibrium beside; None if Newton's method finds none there in time."""
        if len(self._state) > _LARGEST:
            return None
        logits, previous, best, stale = self._logits, np.inf, np.inf, 0
        for _ in range(_ITERATIONS):
            here = self._evaluate(logits)
            size = float(np.abs(here.error * here.policy[self._state, self._action]).max())
            best, stale = (size, 0) if size < best else (best, stale + 1)
            if stale > _PATIENCE or not in_time():
                return None
            jacobian = self._response(here)
            if size <= _ROUNDING or (size < _CLOSE and size > previous / 4):
                if np.abs(here.policy - self._flat).max() > _NEAR:
                    return None
                return np.linalg.eigvals(jacobian).astype(complex)
            previous = size
            try:
                step = np.linalg.solve(np.eye(len(jacobian)) - jacobian, -here.error)
            except np.linalg.LinAlgError:
                return None
            if not np.isfinite(step).all():
                return None
            change = np.zeros_like(logits)
            change[self._state, self._action] = step
            change -= self._mean(here.policy, change)
            longest = np.abs(change[self._state, self._action]).max()
            logits = logits + change * min(1.0, _LONGEST_STEP / max(longest, 1e-300))
        return None

    def _mean(self, policy: Float[np.ndarray, "S n"], entries: Float[np.ndarray, "S n"]) -> Float[np.ndarray, "S n"]:
        return self._game.totals(policy * entries)[:, self._game.owner]

    def _evaluate(self, logits: Float[np.ndarray, "S n"]) -> _Point:
        game = self._game
        masked = np.where(self._alive, logits, -np.inf)
        top = np.maximum.reduceat(masked, game.starts, axis=1)[:, game.owner]
        weights = np.exp(masked - top)
        policy = weights / game.totals(weights)[:, game.owner]
        surprise = -np.log(np.where(policy > 0, policy, 1.0))
        values = exact_values(game, policy, self._temperature * surprise)
        advantage = values.action_values - values.value[:, game.owner]
        error = np.where(self._alive, logits - advantage / self._temperature, 0.0)
        error = error - self._mean(policy, error)
        return _Point(policy, error[self._state, self._action], values)

    def _response(self, here: _Point) -> Float[np.ndarray, "k k"]:
        r"""Derivatives of $\bar Q^i(s,a)/\tau$ in the logits of $(s',j,b)$, over the actions that are alive."""
        game, state, action = self._game, self._state, self._action
        pairs = game.pair_values(here.policy, game.action_tables(here.values.value))
        # In the logit of (j, b): pi_j(b) times what b is worth to i against a, less what j's play is worth.
        average = np.add.reduceat(pairs * here.policy[:, None, :], game.starts, axis=2)[:, :, game.owner]
        slope = here.policy[:, None, :] * (pairs - average)
        jacobian = np.where(state[:, None] == state, slope[state[:, None], action[:, None], action], 0.0)
        if game.discount.any():
            touched, place = np.unique(state, return_inverse=True)
            visits = here.values.visits(touched)
            for i, columns in enumerate(game.columns):
                rows: Int[np.ndarray, " r"] = np.flatnonzero(game.owner[action] == i)
                worth = np.einsum("sa,sab->sb", here.policy[:, columns], slope[:, columns])[state, action]
                moved = here.values.moves.rows(i, state[rows], action[rows])
                jacobian[rows] += (moved @ visits[i])[:, place] * worth
        return jacobian / self._temperature
