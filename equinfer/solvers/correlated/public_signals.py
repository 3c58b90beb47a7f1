"""Public signals: in every state, the best mixture of the stage equilibria that are found."""

import math
from collections.abc import Generator, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from equinfer.answer import PublicPlay
from equinfer.contraction import product_law
from equinfer.drivers.glances import with_glances
from equinfer.drivers.protocol import AbstractHostSolver, Choice, Iterate
from equinfer.errors import BadInput
from equinfer.solvers.correlated.first_nash import first_nash
from equinfer.solvers.correlated.laws import discounted_entropies, entropies, values_for_ever
from equinfer.solvers.correlated.mixtures import best_mixture
from equinfer.solvers.correlated.objective import checked_objective
from equinfer.solvers.correlated.stage_equilibria import stage_equilibria
from equinfer.solvers.tabular.settings import check_ranges
from equinfer.solvers.tabular.stage_payoffs import stage_payoffs
from equinfer.types import Profile

__all__ = ["PublicSignals"]

_SETTLED = 1e-13
"""Of the largest value: values that differ by less from those of an earlier sweep are the same."""
_GLANCE = 0.05
"""Seconds between two looks at the clock: each look may cost a certificate."""

_MOST_SIGNALS = 1000
"""Far more than there are equilibria to be mixed; each is judged by itself."""


class PublicSignals(AbstractHostSolver):
    r"""Equilibria that a public signal coordinates (paper, section 5.3): per state the best mixture of Nash equilibria.

    One-shot games: of the equilibria that are found, the best mixture of at most `signals` by the objective; equally
    good ones are mixed evenly. Nothing outside the convex hull of Nash equilibria can be reached (Theorem F), and
    nothing is claimed beyond those found.

    Finite horizon: backward induction, with the same choice in the stage game of every state; continuations are values
    of mixtures, so that more can be reached than by mixing equilibria of the whole game. Discounted games: the same
    choice repeated at the values that it leads to, until one comes back. That need not settle; every sweep is a
    candidate, and so is every Nash equilibrium met, which is public play whose signal says nothing.

    `entropy` is that of the law of what everybody does, added up over epochs; each is chosen for its own.

    Watched: `sweep`, and `change`, by how much the values moved.
    """

    name: ClassVar[str] = "public-signals"
    answers: ClassVar[str] = "signal"

    signals: int = 2
    """How many values the signal has, in every state."""
    objective: Any = "welfare"
    """`welfare`, a weight for each player, or `entropy`."""
    sweeps: int = 60
    searches: int = 12
    """Random searches for the equilibria of one stage game, where supports are too many to examine all."""

    def __check_init__(self) -> None:
        check_ranges(self, {"sweeps": "[0, inf)", "searches": "[1, inf)"})
        if not 1 <= self.signals <= _MOST_SIGNALS:
            raise BadInput(f"signals must be from 1 to {_MOST_SIGNALS}; got {self.signals}.")

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        selection = _Selection(self, game, seed)
        if game.horizon is not None or game.is_one_shot:
            return _backward(selection)
        return _repeated(selection, self.sweeps)


class _Selection:
    """In every state, the mixture of stage equilibria that the objective likes best."""

    def __init__(self, solver: PublicSignals, game: Any, seed: int):
        self.game, self.seed, self.signals = game, seed, solver.signals
        self.objective = checked_objective(solver.objective, game.num_players)
        self._weights = None if self.objective.weights is None else np.array(self.objective.weights)
        self._searches = solver.searches
        self._actions = [[np.flatnonzero(np.asarray(mask)[s]) for mask in game.legal] for s in range(game.num_states)]
        self._known: list[list[Profile]] = [[] for _ in self._actions]

    def at(self, q: Float[np.ndarray, "N S *A"]) -> Generator[None, None, tuple[PublicPlay, Float[np.ndarray, "S *A"]]]:
        """The choice in the stage games `q`, and the law of what everybody does; yields where the clock may be read."""
        choices = []
        for state in range(q.shape[1]):
            choices.append((yield from self._mixture(q[:, state], state)))
        signal, called = zip(*choices, strict=True)
        play = PublicPlay(np.stack(signal), tuple(np.stack(each, axis=1) for each in zip(*called, strict=True)))
        return play, _law(play)

    def choice(self, entropy: Float[np.ndarray, " S"], value: Float[np.ndarray, "N S"], route: str) -> Choice:
        """How play of this entropy from each state on, worth `value`, stands: averaged over the initial states."""
        worth = entropy if self.objective.is_entropy else self.objective.payoff(value)
        reached = self.objective.unit * float(np.asarray(self.game.initial) @ worth)
        return Choice(self.objective.name, reached, route=route)

    def _mixture(
        self, q: Float[np.ndarray, "N *A"], state: int
    ) -> Generator[None, None, tuple[np.ndarray, list[np.ndarray]]]:
        """The law of the signal (W,), and each player's mixed actions under it (W, A_i)."""
        found = yield from self._equilibria(q, state)
        laws = np.stack([product_law(tuple(mixed[None] for mixed in profile))[0] for profile in found])
        values = np.stack([(law * q).reshape(len(q), -1).sum(axis=1) for law in laws])
        probabilities, chosen = best_mixture(values, laws, self._weights, self.signals)
        signal = np.zeros(self.signals)
        signal[: len(chosen)] = probabilities
        called = [found[k] for k in chosen] + [found[chosen[0]]] * (self.signals - len(chosen))
        return signal, [np.stack(mixed) for mixed in zip(*called, strict=True)]

    def _equilibria(self, q: Float[np.ndarray, "N *A"], state: int) -> Generator[None, None, list[Profile]]:
        """Those of one state's game; the last ones if none is found."""
        found: list[Profile] = []
        for profile in stage_equilibria(q, self._actions[state], searches=self._searches, seed=self.seed):
            if profile is not None:
                found.append(profile)
            yield
        if found:
            self._known[state] = found
        if not self._known[state]:
            raise FloatingPointError(f"no equilibrium of the stage game of state {state} was found")
        return self._known[state]


def _backward(selection: _Selection) -> Iterator[Iterate]:
    """One epoch after the other, from the last; in a one-shot game without a horizon there is only one."""
    game = selection.game
    horizon = game.horizon or 1
    value = np.zeros((game.num_players, game.num_states))
    entropy, epochs = np.zeros(game.num_states), list[PublicPlay]()
    shown, info = _silent(game.uniform_profile(), selection.signals), {"sweep": 0.0, "change": math.nan}
    if game.horizon is not None:
        shown = _in_epochs([shown] * horizon)
    for epoch in reversed(range(horizon)):
        q = np.asarray(game.reward) if epoch == horizon - 1 else stage_payoffs(game, value)
        play, law = yield from with_glances(selection.at(q), Iterate(shown, info), _GLANCE)
        before, value = value, (q * law).reshape(*value.shape, -1).sum(axis=-1)
        ahead = np.zeros(law.shape) if epoch == horizon - 1 else np.asarray(game.kernel.expect(entropy))
        entropy = entropies(law) + (law * ahead).reshape(len(law), -1).sum(axis=1)
        epochs.insert(0, play)
        info = {"sweep": float(horizon - epoch), "change": float(np.abs(value - before).max())}
        if epoch:
            shown = _in_epochs([play] * epoch + epochs)
            yield Iterate(shown, info)
        else:
            whole = _in_epochs(epochs) if game.horizon is not None else play
            choice = selection.choice(entropy, value, "one shot" if horizon == 1 else "backward induction")
            yield Iterate(whole, info, candidate=True, choice=choice)


def _repeated(selection: _Selection, sweeps: int) -> Iterator[Iterate]:
    """From a Nash equilibrium: the choice at its values, the values of that choice, the choice at those, and so on."""
    game = selection.game
    value = np.zeros((game.num_players, game.num_states))
    shown, info = _silent(game.uniform_profile(), selection.signals), {"sweep": 0.0, "change": math.nan}
    for iterate in first_nash(game, selection.seed):
        profile = tuple(np.asarray(policy) for policy in iterate.answer)
        law = np.asarray(product_law(profile))
        value, shown = values_for_ever(game, law, game.discount), _silent(profile, selection.signals)
        choice = selection.choice(discounted_entropies(game, law), value, "nash") if iterate.candidate else None
        yield Iterate(shown, info, iterate.candidate, choice)
    visited: list[np.ndarray] = []
    for sweep in range(1, sweeps + 1):
        visited.append(value)
        at = selection.at(stage_payoffs(game, value))
        shown, law = yield from with_glances(at, Iterate(shown, info), _GLANCE)
        before, value = value, values_for_ever(game, law, game.discount)
        change = float(np.abs(value - before).max())
        info = {"sweep": float(sweep), "change": change}
        yield Iterate(
            shown, info, candidate=True, choice=selection.choice(discounted_entropies(game, law), value, "sweeps")
        )
        # Where it has been before, the same choices follow: it has arrived, or goes round in circles.
        if min(float(np.abs(value - earlier).max()) for earlier in visited) <= _SETTLED * float(np.abs(value).max()):
            return


def _silent(profile: Profile, signals: int) -> PublicPlay:
    """A profile as public play: whatever the signal, it is always the first."""
    law = np.zeros((len(profile[0]), signals))
    law[:, 0] = 1.0
    return PublicPlay(law, tuple(np.broadcast_to(policy, (signals, *policy.shape)) for policy in profile))


def _in_epochs(plays: Sequence[PublicPlay]) -> PublicPlay:
    """One play for each epoch: ([H,] S, W), and (W, H, S, A_i) per player."""
    profiles = zip(*(play.profile for play in plays), strict=True)
    return PublicPlay(
        np.stack([play.signal for play in plays]), tuple(np.stack(policies, axis=1) for policies in profiles)
    )


def _law(play: PublicPlay) -> Float[np.ndarray, "S *A"]:
    """Of what everybody does, the signal averaged out."""
    laws = [product_law(tuple(policy[w] for policy in play.profile)) for w in range(play.signal.shape[1])]
    weights = np.moveaxis(play.signal, 1, 0)
    return np.sum([w.reshape(-1, *[1] * (law.ndim - 1)) * law for w, law in zip(weights, laws, strict=True)], axis=0)
