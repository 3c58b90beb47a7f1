r"""Stability of an equilibrium under (★): the eigenvalues of the joint soft best response, at small temperatures.

The response maps the logits $\ell$ of all players in all states to $\bar Q^i(s,a)/\tau$, action values of softmax play
that include its entropy bonus. A player's own logits do not move its values at a fixed point, by the envelope theorem:
what remains is the others' play in the same state, and through the values in every other one.

Temperatures are in players' own units, $\tau_i=\tau\,\mathrm{osc}(r_i)$: what is said of an equilibrium must not depend
on the units in which each counts its payoffs.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from equinfer.contraction import expected
from equinfer.equations.stability import stable_step_size
from equinfer.families import Stability
from equinfer.games.units import in_own_units
from equinfer.solvers.tabular.polish import Values, exact_values
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.tables import joint_mask
from equinfer.types import Profile

__all__ = ["OUT_OF_TIME", "TEMPERATURES", "stability"]

OUT_OF_TIME = "there was no time left for it"
"""A reason why a stability is undetermined."""

TEMPERATURES = (1e-3, 1e-4, 1e-5, 1e-6)
"""As parts of each player's range of rewards. The first two that follow each other at which there is a soft equilibrium
beside the equilibrium are the two that count."""
_LARGEST = 1200
"""Mixing probabilities whose eigenvalues are computed at once: some seconds."""
_MOST_VISITS = 2**24
"""States times mixing states: discounted visits of the latter from the former, one linear solve for each of these."""
_STRICT = 1e-10
"""By how much other actions are worse in a strict equilibrium, relative to the values."""
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
_NONE_BESIDE = "no soft equilibrium is found beside it, as on a continuum or with a tie"


def _always() -> bool:
    return True


def stability(game: Any, profile: Profile, in_time: Callable[[], bool] = _always) -> Stability:
    """Whether (★) comes back to the equilibrium `profile`; `Stability` says what that means precisely.

    It is undetermined as soon as `in_time`, which is asked at every step of Newton's method, says no.

    With a finite horizon the response is block triangular in the epochs, so that its eigenvalues are those of the stage
    games of every epoch, at the equilibrium's values.
    """
    scaled, flat = _stationary(game, profile)
    margin = _strictness(scaled, flat)
    if margin > 0:
        # From this temperature down other actions have no weight within rounding: the response is constant nearby.
        still = np.zeros(1, complex)
        return _verdict(True, min(TEMPERATURES[1], margin / _DEAD), still)
    rates: list[float] = []
    reason = ""
    for temperature in TEMPERATURES:
        eigenvalues = _eigenvalues(scaled, flat, temperature / scaled.unit, in_time)
        if not in_time():
            return Stability(None, reason=OUT_OF_TIME)
        if isinstance(eigenvalues, str):
            rates.clear()
            reason = eigenvalues
            continue
        rates.append(float(np.real(eigenvalues).max()))
        if len(rates) == 2:
            agree = (rates[0] - 1) * (rates[1] - 1) > 0
            return _verdict(rates[0] < 1 if agree else None, temperature, eigenvalues)
    return Stability(None, reason=reason or "a soft equilibrium is beside it at a single temperature only")


def _verdict(stable: bool | None, temperature: float, eigenvalues: Complex[np.ndarray, " k"]) -> Stability:
    return Stability(
        stable=stable,
        temperature=temperature,
        growth=float(np.real(eigenvalues).max()),
        radius=float(np.abs(eigenvalues).max()),
        step_size=stable_step_size(eigenvalues),
        reason="it is stable at one temperature and not at another" if stable is None else "",
    )


def _stationary(game: Any, profile: Profile) -> tuple[ScaledGame, Float[np.ndarray, "R n"]]:
    """The game, in players' own units, and the profile as the algebra below wants them; the epochs of a finite horizon
    become states, which nothing leads from one to another, with the values ahead as part of the reward.
    """
    rewards, _ = in_own_units(np.asarray(game.reward), joint_mask([np.asarray(mask) for mask in game.legal]))
    if game.horizon is None:
        flat = np.concatenate([np.asarray(policy) for policy in profile], axis=1)
        return ScaledGame.of_arrays(rewards, game.kernel, game.discount, game.legal), flat
    value, stages = np.zeros((game.num_players, game.num_states)), []
    for epoch in reversed(range(game.horizon)):
        stage = rewards + np.asarray(game.kernel.expect(np.asarray(game.discount)[:, None] * value))
        now = tuple(np.asarray(policy)[epoch] for policy in profile)
        value = np.stack([expected(table, now) for table in stage])
        stages.append(stage)
    legal = [np.tile(np.asarray(mask), (game.horizon, 1)) for mask in game.legal]
    unrolled = np.concatenate(stages[::-1], axis=1)
    scaled = ScaledGame.of_arrays(unrolled, game.kernel, np.zeros(game.num_players), legal)
    rows = [np.asarray(policy).reshape(-1, policy.shape[-1]) for policy in profile]
    return scaled, np.concatenate(rows, axis=1)


def _strictness(game: ScaledGame, flat: Float[np.ndarray, "S n"]) -> float:
    """By how much every deviation from a strict equilibrium costs, in players' own units; 0 if it is not strict."""
    if np.any(game.totals((flat > 0).astype(float)) > 1):
        return 0.0
    values = exact_values(game, flat)
    worse = np.where(game.legal & (flat == 0), values.value[:, game.owner] - values.action_values, np.inf)
    margin = float(worse.min())
    return margin * game.unit if margin > _STRICT * (1.0 + float(np.abs(values.value).max())) else 0.0


def _eigenvalues(
    game: ScaledGame, flat: Float[np.ndarray, "S n"], temperature: float, in_time: Callable[[], bool]
) -> Complex[np.ndarray, " k"] | str:
    """Of the response at the soft equilibrium beside `flat`; or why there are none. States between which nothing is
    discounted are games of their own.
    """
    if game.discount.any() or game.num_states == 1:
        return _SoftGame(game, flat, temperature).eigenvalues(in_time)
    found = []
    for s in range(game.num_states):
        stage = replace(game, reward=game.reward[:, s : s + 1], legal=game.legal[s : s + 1])
        one = _SoftGame(stage, flat[s : s + 1], temperature).eigenvalues(in_time)
        if isinstance(one, str):
            return one
        found.append(one)
    return np.concatenate(found)


class _Point(NamedTuple):
    """Softmax play at one point, with what its linearisation needs."""

    policy: Float[np.ndarray, "S n"]
    error: Float[np.ndarray, " k"]
    """Logits less action values over temperature, of the unknowns; the mean of each player's is zero."""
    values: Values


class _SoftGame:
    """Soft equilibria at one temperature beside an equilibrium."""

    def __init__(self, game: ScaledGame, flat: Float[np.ndarray, "S n"], temperature: float):
        self._game, self._flat, self._temperature = game, flat, temperature
        values = exact_values(game, flat)
        regret = values.value[:, game.owner] - values.action_values
        self._alive: Bool[np.ndarray, "S n"] = game.legal & ((flat > 0) | (regret < _DEAD * temperature))
        several = game.totals(self._alive.astype(float))[:, game.owner] > 1
        # A single action is played whatever its logit: its column of the response is zero, and so is its eigenvalue.
        self._state, self._action = np.nonzero(self._alive & several)
        played = np.log(np.where(flat > 0, flat, 1.0))
        self._logits = np.where(flat > 0, played, -regret / temperature)

    def eigenvalues(self, in_time: Callable[[], bool]) -> Complex[np.ndarray, " k"] | str:
        """Of the response, at the soft equilibrium beside; the reason if Newton's method finds none there in time."""
        if not len(self._state):
            return np.zeros(1, complex)
        if len(self._state) > _LARGEST:
            return f"{len(self._state)} probabilities may mix; eigenvalues are computed of {_LARGEST} at most"
        mixing = len(np.unique(self._state))
        if self._game.discount.any() and self._game.num_states * mixing > _MOST_VISITS:
            return f"play mixes in {mixing} of {self._game.num_states} states, more than eigenvalues are computed for"
        logits, previous, best, stale = self._logits, np.inf, np.inf, 0
        for _ in range(_ITERATIONS):
            here = self._evaluate(logits)
            size = float(np.abs(here.error * here.policy[self._state, self._action]).max())
            best, stale = (size, 0) if size < best else (best, stale + 1)
            if not in_time():
                return OUT_OF_TIME
            if stale > _PATIENCE:
                return _NONE_BESIDE
            jacobian = self._response(here)
            if size <= _ROUNDING or (size < _CLOSE and size > previous / 4):
                if np.abs(here.policy - self._flat).max() > _NEAR:
                    return _NONE_BESIDE
                return np.linalg.eigvals(jacobian).astype(complex)
            previous = size
            try:
                step = np.linalg.solve(np.eye(len(jacobian)) - jacobian, -here.error)
            except np.linalg.LinAlgError:
                return _NONE_BESIDE
            if not np.isfinite(step).all():
                return _NONE_BESIDE
            change = np.zeros_like(logits)
            change[self._state, self._action] = step
            change -= self._mean(here.policy, change)
            longest = np.abs(change[self._state, self._action]).max()
            logits = logits + change * min(1.0, _LONGEST_STEP / max(longest, 1e-300))
        return _NONE_BESIDE

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
        r"""Derivatives of $\bar Q^i(s,a)/\tau$ in the logits of $(s',j,b)$, over the unknowns."""
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
