"""Nash equilibria by the path of regularised equilibria: follow it while it cools, polish, restart elsewhere."""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.contraction import expected
from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.errors import BadInput
from equinfer.games.units import COMPARABLE
from equinfer.solvers.tabular.path import PathEnd, PathPoint, follow
from equinfer.solvers.tabular.polish import Equilibrium, polish
from equinfer.solvers.tabular.qre import QRESystem
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.solvers.tabular.stage_payoffs import stage_payoffs
from equinfer.types import Profile

__all__ = ["Homotopy"]

POLISH_EVERY = 1.6
"""Factor in the inverse temperature between two attempts of the polish."""
LOOK_AHEAD = 8.0
"""Actions that are still alive at this many times the inverse temperature, by the tangent, are the first support."""
ALIVE = 1e-3
MOST_MIXED = 500
"""Supports of so few actions are always tried."""
NEAR = 0.5
"""An equilibrium is on the branch only if no probability differs by more from the branch's."""
PERTURBATION = 0.02
"""Standard deviation of the noise in the logs of a magnet that is moved away from a branching point."""


class Homotopy(AbstractHostSolver):
    r"""The branch of regularised equilibria (Prop. 5.2 in marginal form) as the temperature falls to zero.

    From the magnet at infinite temperature the branch leads to a Nash equilibrium: from the uniform magnet to the
    principal one of McKelvey and Palfrey (1995). On the way the equilibrium is guessed and solved exactly on its
    support, and taken only if it can be where the branch goes: the branch is cooling, near, and of index +1. Others
    that were met are offered when the branch ends without one. Then the next magnet: a little beside the last one if
    two branches crossed (symmetric games), otherwise one drawn at random, which leads to another branch and often to
    another equilibrium. With a finite horizon every epoch's stage games have paths of their own, from the last
    epoch backwards.

    Watched: `temperature` in units of reward, `bound`, the gap that Theorem A allows at it, `residual` of the fixed
    point in probabilities, `step_length` in Fisher length, `steps`, `attempt` (which magnet), `cooling` (1, or 0
    where the path runs back between two folds); with a horizon also `epoch` and `state`, and no `bound`, since the
    path is one stage game's.
    """

    name: ClassVar[str] = "homotopy"
    # Below it one temperature serves all players, and the branch is the principal one.
    unit_ratio: ClassVar[float] = COMPARABLE

    magnet: Profile | None = None
    """The first magnet, ([H,] S, A_i) per player, positive on legal actions; uniform unless given."""
    restarts: int = 20
    """How many further magnets are tried."""
    max_steps: int = 10_000
    """Steps of one path, refused ones included."""
    tolerance: float = 1e-7
    """On the fixed-point residual of every point of the path, in probabilities and unit payoffs."""

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        if game.horizon is not None:
            yield from self._backward(game, seed)
            return
        scaled = ScaledGame.of(game)
        first = flat_magnet(game, self.magnet)
        for traced in self._traced(scaled, first, np.random.default_rng(seed)):
            yield Iterate(scaled.split(traced.policy), traced.info, candidate=traced.equilibrium is not None)

    def _traced(
        self, scaled: ScaledGame, first: Float[np.ndarray, "S n"], rng: np.random.Generator
    ) -> Iterator["Traced"]:
        """The paths from one magnet after another; each ends at an equilibrium, or where it can go no further."""
        magnet, steps = first, 0
        for attempt in range(self.restarts + 1):
            end = None
            for traced in branch(QRESystem(scaled, log_of(magnet, scaled)), self.tolerance, self.max_steps):
                steps += traced.moved
                end = traced.end
                traced.info.update(steps=float(steps), attempt=float(attempt))
                yield traced
            beside = end is PathEnd.branching
            magnet = perturbed(magnet, scaled, rng) if beside else random_magnet(scaled, rng)

    def _backward(self, game: Any, seed: int) -> Iterator[Iterate]:
        """Backward induction: the stage games of an epoch, given the values of the next, one after another."""
        magnets = flat_magnet(game, self.magnet)
        value = np.zeros((game.num_players, game.num_states))
        profile = tuple(np.repeat(policy[None], game.horizon, axis=0) for policy in game.uniform_profile())
        solved = True
        for epoch in reversed(range(game.horizon)):
            stage = stage_payoffs(game, value)
            for state in range(game.num_states):
                only = slice(state, state + 1)
                legal = tuple(np.asarray(mask)[only] for mask in game.legal)
                one = ScaledGame.of_arrays(stage[:, only], game.kernel, np.zeros(game.num_players), legal)
                magnet = (magnets if magnets.ndim == 2 else magnets[epoch])[only]
                found = False
                for traced in self._traced(one, magnet, np.random.default_rng([seed, epoch, state])):
                    for played, policy in zip(profile, one.split(traced.policy), strict=True):
                        played[epoch, state] = policy[0]
                    traced.info.update(epoch=float(epoch), state=float(state), bound=np.nan)
                    found = traced.equilibrium is not None
                    done = found and solved and epoch == 0 and state == game.num_states - 1
                    yield Iterate(tuple(policy.copy() for policy in profile), traced.info, candidate=done)
                    if found:
                        break
                solved &= found
            now = tuple(policy[epoch] for policy in profile)
            value = np.stack([expected(table, now) for table in stage])


class Traced(NamedTuple):
    """A moment of a path: a point of the branch, or an equilibrium that it led to."""

    policy: Float[np.ndarray, "S n"]
    info: dict[str, float]
    equilibrium: Equilibrium | None
    moved: bool
    """False where the path stands still and only an equilibrium met earlier is offered."""
    end: PathEnd | None


def branch(system: QRESystem, tolerance: float, max_steps: int) -> Iterator[Traced]:
    """The branch of one magnet, up to its equilibrium; one that is not on the branch only when the branch ends."""
    next_rate, aside, last = 1.0, None, None
    for point in follow(system, tolerance=tolerance, max_steps=max_steps):
        if isinstance(point, PathEnd):
            if last is not None:
                policy = last.policy if aside is None else aside.policy
                yield Traced(policy, _watched(system, last), aside, False, point)
            return
        found, last = None, point
        if point.cooling and point.rate >= next_rate:
            next_rate = POLISH_EVERY * point.rate
            living = _living(system, point)
            if _affordable(system, living):
                found = polish(system.game, point.policy, living)
            if found is not None and not _on_branch(system, found, point):
                found, aside = None, found
        yield Traced(point.policy if found is None else found.policy, _watched(system, point), found, True, None)
        if found is not None:
            return


def _affordable(system: QRESystem, support: np.ndarray) -> bool:
    """Whether the support leaves no more to be solved for than a step of the path does."""
    game = system.game
    return int(support.sum()) <= max(2 * game.num_players * game.num_states, MOST_MIXED)


def _on_branch(system: QRESystem, equilibrium: Equilibrium, point: PathPoint) -> bool:
    r"""Whether the branch can end here: index, nearness, and approach at the rate of a limit or faster.

    Close to its limit $\pi(\lambda)=\pi^*+c/\lambda$, so that $d\pi/d\log\lambda=-(\pi-\pi^*)$; half of that is asked.
    """
    away = point.policy - equilibrium.policy
    far = float(np.abs(away).max())
    drift = point.policy * _log_slope(system, point)
    approaching = far < ALIVE or np.sum(away * drift) <= -0.5 * np.sum(away * away)
    return equilibrium.index >= 0 and far < NEAR and bool(approaching)


def _log_slope(system: QRESystem, point: PathPoint) -> Float[np.ndarray, "S n"]:
    r"""$d\log\pi/d\log\lambda$ along the branch."""
    game = system.game
    change, _, cooling = system.split(point.tangent)
    mean = game.totals(point.policy * change)[:, game.owner]
    return point.rate / cooling * (change - mean)


def _living(system: QRESystem, point: PathPoint) -> np.ndarray:
    r"""The actions that the tangent expects alive further down the path: the support that it is heading for.

    Off the support probabilities fall like $e^{-\lambda D}$, on it they stay, however small: sooner or later
    $1/\lambda$ parts the two.
    """
    ahead = (LOOK_AHEAD - 1.0) * _log_slope(system, point)
    return np.log(np.maximum(point.policy, 1e-300)) + ahead > np.log(min(ALIVE, 1.0 / point.rate))


def _watched(system: QRESystem, point: PathPoint) -> dict[str, float]:
    game = system.game
    temperature = game.unit / point.rate if point.rate > 0 else np.inf
    surprise = np.maximum.reduceat(-system.log_magnet, game.starts, axis=1).max(axis=0)
    return {
        "temperature": temperature,
        "bound": float(np.max(temperature * surprise / (1.0 - game.discount))) if point.rate > 0 else np.inf,
        "residual": point.residual,
        "step_length": point.step_length,
        "cooling": float(point.cooling),
    }


def flat_magnet(game: Any, magnet: Profile | None) -> Float[np.ndarray, "*H S n"]:
    """The players' magnets side by side, uniform over legal actions unless given.

    **Raises:** `BadInput` if the shape is wrong, or a legal action has no weight.
    """
    if magnet is None:
        return np.concatenate(game.uniform_profile(), axis=1)
    if len(magnet) != game.num_players:
        raise BadInput(f"magnet has {len(magnet)} arrays; expected one array per player ({game.num_players}).")
    flat = []
    for player, (given, mask) in enumerate(zip(magnet, game.legal, strict=True)):
        array, legal = np.asarray(given, float), np.asarray(mask)
        if array.shape not in (legal.shape, (game.horizon, *legal.shape)):
            raise BadInput(f"magnet of player {player} has shape {array.shape}; expected {legal.shape}.")
        if not (np.all(np.isfinite(array)) and np.all(array[..., legal] > 0)):
            raise BadInput(f"magnet of player {player} must be positive on every legal action.")
        weight = np.where(legal, array, 0.0)
        flat.append(weight / weight.sum(axis=-1, keepdims=True))
    return np.concatenate(flat, axis=-1)


def log_of(magnet: Float[np.ndarray, "S n"], game: ScaledGame) -> Float[np.ndarray, "S n"]:
    """Log of a flat magnet, zero on illegal actions."""
    return np.log(np.where(game.legal, magnet, 1.0))


def perturbed(magnet: Float[np.ndarray, "S n"], game: ScaledGame, rng: np.random.Generator) -> Float[np.ndarray, "S n"]:
    """A magnet close by, in no symmetric position."""
    return _normalised(magnet * np.exp(PERTURBATION * rng.standard_normal(magnet.shape)), game)


def random_magnet(game: ScaledGame, rng: np.random.Generator) -> Float[np.ndarray, "S n"]:
    """Uniform on the simplices (Dirichlet with all parameters one), kept off their boundary."""
    return _normalised(rng.exponential(size=game.legal.shape) + 1e-3, game)


def _normalised(weight: Float[np.ndarray, "S n"], game: ScaledGame) -> Float[np.ndarray, "S n"]:
    weight = np.where(game.legal, weight, 0.0)
    return weight / game.totals(weight)[:, game.owner]
