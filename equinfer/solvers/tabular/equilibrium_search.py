"""As many equilibria as can be found: supports, stage selections and magnets; in large games several at a time."""

import contextlib
import itertools
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from equinfer.contraction import expected
from equinfer.drivers.harvest import SAME, distance
from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.drivers.side_by_side import cores, side_by_side, worth_threads
from equinfer.games.units import COMPARABLE
from equinfer.solvers.tabular.homotopy import Homotopy
from equinfer.solvers.tabular.lemke_howson import LemkeHowson
from equinfer.solvers.tabular.polish import polish
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.solvers.tabular.stage_games import load
from equinfer.solvers.tabular.stage_nash import StageNash
from equinfer.solvers.tabular.stage_payoffs import stage_payoffs
from equinfer.solvers.tabular.support_sweep import sweep_supports
from equinfer.types import Profile

__all__ = ["EquilibriumSearch"]

_MOST_SUPPORTS = 30_000
"""Profiles of supports that are all tried: some seconds of work. Beyond, only random searches are made."""
_STARTS = 12
"""Random profiles from which Newton's method begins on each."""
_REPEATS = 2
"""How often all supports are tried again, from other profiles, while the number of equilibria is even."""
_ROOM = 600
"""Equilibria between two looks at the clock."""
_SMALL = 400
"""State-action pairs up to which Newton's method for all states at once is cheap enough to be tried at random."""
_TRACEABLE = 3_000
"""State-action pairs up to which paths are followed: beyond, one step takes seconds."""
_TRIES = 12
"""Such attempts in one search."""
_LONGEST_PATH = 1500
_WINDOW = 8
"""Searches that may be under way at once in a game that is worth threads. A search knows what those that came so many
before it have found, and nothing of later ones: what it does depends neither on timing nor on the number of threads."""


class EquilibriumSearch(AbstractHostSolver):
    r"""Searches for equilibria from many starting points; every candidate counts, and none of them ends the search.

    * One-shot games of at most 30 000 profiles of supports: Newton's method on every one of them, from twelve random
      profiles each, and again while an even number is found: a regular game has an odd number of equilibria (Wilson
      1971). All pure equilibria are among what this finds.
    * Two-player one-shot games: the end of the Lemke-Howson path of every label.
    * All games, `searches` times in turn: stage-Nash policy iteration with stage equilibria drawn at random; the path
      of regularised equilibria from a magnet drawn uniformly; and, in small games, Newton's method on random supports,
      or on supports that two equilibria found before are crossed to, state by state; with a finite horizon, backward
      induction with a draw from all equilibria of each stage game. The last also finds equilibria that no path ends
      at and no dynamics learns.

    Nothing here proves that there are no others. Watched: `search`, which one is under way.
    """

    name: ClassVar[str] = "search"
    unit_ratio: ClassVar[float] = COMPARABLE

    searches: int = 48

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        known, last = _Known(), game.uniform_profile()
        window = _WINDOW if worth_threads(game) else 1
        searches = map(_if_it_works, self._searches(game, seed, known, window))
        for number, iterate in side_by_side(searches, workers=min(cores(), window), window=window):
            if iterate is not None:
                last = iterate.answer
                if iterate.candidate:
                    known.note(number, iterate.answer)
            candidate = iterate is not None and iterate.candidate
            yield Iterate(last, {"search": float(number)}, candidate)

    def _searches(self, game: Any, seed: int, known: "_Known", window: int) -> Iterator[Iterator[Iterate]]:
        supports = math.prod(2**size - 1 for size in game.num_actions)
        number = 0
        if game.is_one_shot and game.num_states == 1:
            if supports <= _MOST_SUPPORTS:  # such games are small, and their searches made one after another
                for _ in range(1 + _REPEATS):
                    if len(known.before(number)) % 2 == 0:  # a regular game has an odd number: something was missed
                        yield _on_all_supports(game, np.random.default_rng([seed, number]))
                        number += 1
            if game.num_players == 2:
                for label in range(sum(int(np.sum(mask)) for mask in game.legal)):
                    yield LemkeHowson(initial_label=label).iterates(game, seed=0)
                    number += 1
        kinds = ["stages", *(["path"] if _pairs(game) <= _TRACEABLE else [])]
        if _pairs(game) <= _SMALL and (game.horizon is None or supports <= _MOST_SUPPORTS // 100):
            kinds.append("supports")
        begun = number
        for number, kind in zip(range(begun, begun + self.searches), itertools.cycle(kinds), strict=False):
            random = np.random.default_rng([seed, number])
            if kind == "stages":
                yield StageNash(shuffled=True, restarts=0).iterates(game, seed=int(random.integers(2**31)))
            elif kind == "path":
                magnet = _random_profile(game, random)
                yield Homotopy(magnet=magnet, restarts=0, max_steps=_LONGEST_PATH).iterates(game, seed=0)
            elif game.horizon is None:
                yield _on_random_supports(game, random, known.before(number - window + 1))
            else:
                yield itertools.chain.from_iterable(_backward(game, random) for _ in range(_TRIES))


def _pairs(game: Any) -> int:
    """State-action pairs, of all epochs."""
    return game.num_states * sum(game.num_actions) * (game.horizon or 1)


def _if_it_works(search: Iterator[Iterate]) -> Iterator[Iterate]:
    """One search that fails numerically is one search less."""
    with contextlib.suppress(np.linalg.LinAlgError, FloatingPointError, ZeroDivisionError):
        yield from search


class _Known:
    """The equilibria that the searches have found so far, each once, in the order of the searches."""

    def __init__(self) -> None:
        self._of: dict[int, list[Profile]] = {}
        self._distinct: list[Profile] = []
        self._counted = 0

    def note(self, search: int, profile: Profile) -> None:
        """That search number `search` found `profile`."""
        self._of.setdefault(search, []).append(profile)

    def before(self, search: int) -> list[Profile]:
        """What searches of lower numbers found, all of which have ended."""
        for number in range(self._counted, search):
            for profile in self._of.pop(number, []):
                if all(distance(profile, other) > SAME for other in self._distinct):
                    self._distinct.append(profile)
        self._counted = max(self._counted, search)
        return self._distinct[:]


class _StageGame:
    """One state's game as the compiled sweep over supports takes it."""

    def __init__(self, game: Any, table: Float[np.ndarray, "N *A"], state: int):
        self._num_actions = game.num_actions
        self._actions = [np.flatnonzero(np.asarray(mask)[state]) for mask in game.legal]
        width, players = max(game.num_actions), game.num_players
        orders, legal = np.zeros((players, 1, width), np.int64), np.zeros((players, 1), np.int64)
        for i, actions in enumerate(self._actions):
            orders[i, 0, : len(actions)], legal[i, 0] = actions, len(actions)
        flat = np.ascontiguousarray(table, np.float64).reshape(players, 1, -1)
        self._game = load(flat, np.array(game.num_actions, np.int64), orders, legal, 0)
        self._width = width

    def equilibria(self, random: np.random.Generator) -> Iterator[list[Profile]]:
        """Those on the next so many profiles of supports, arrays (1, A_i); as often as there are more."""
        players = len(self._actions)
        draws = random.exponential(size=(_STARTS, players, self._width)) + 1e-3
        draws[0] = 1.0
        chosen, found = np.ones(players, np.int64), np.zeros((_ROOM, players, self._width))
        more = True
        while more:
            number, more = sweep_supports(*self._game, draws, chosen, found, SAME)
            yield [self._profile(policy) for policy in found[:number]]

    def _profile(self, policy: Float[np.ndarray, "N A"]) -> Profile:
        whole = tuple(np.zeros((1, size)) for size in self._num_actions)
        for row, mixture, actions in zip(whole, policy, self._actions, strict=True):
            row[0, actions] = mixture[: len(actions)]
        return whole


def _on_all_supports(game: Any, random: np.random.Generator) -> Iterator[Iterate]:
    """Newton's method on every profile of supports of a one-shot game."""
    uniform = game.uniform_profile()
    for some in _StageGame(game, np.asarray(game.reward)[:, 0], 0).equilibria(random):
        for profile, candidate in [(uniform, False), *((one, True) for one in some)]:
            lead = () if game.horizon is None else (1,)
            yield Iterate(tuple(policy.reshape(*lead, *policy.shape) for policy in profile), {}, candidate)


def _backward(game: Any, random: np.random.Generator) -> Iterator[Iterate]:
    """Backward induction in which every stage game's equilibrium is drawn at random from all that are found."""
    profile = tuple(np.repeat(policy[None], game.horizon, axis=0) for policy in game.uniform_profile())
    value = np.zeros((game.num_players, game.num_states))
    for epoch in reversed(range(game.horizon)):
        stage = stage_payoffs(game, value)
        for state in range(game.num_states):
            found: list[Profile] = []
            for some in _StageGame(game, stage[:, state], state).equilibria(random):
                found += some
                yield Iterate(profile, {})
            if not found:
                return
            drawn = found[random.integers(len(found))]
            for whole, policy in zip(profile, drawn, strict=True):
                whole[epoch, state] = policy[0]
        now = tuple(policy[epoch] for policy in profile)
        value = np.stack([expected(table, now) for table in stage])
    yield Iterate(tuple(policy.copy() for policy in profile), {}, candidate=True)


def _on_random_supports(game: Any, random: np.random.Generator, known: list[Profile]) -> Iterator[Iterate]:
    """Newton's method, with its repair of the supports, from random profiles and from crossings of known equilibria."""
    scaled = ScaledGame.of(game)
    for attempt in range(_TRIES):
        flat = _random_face(scaled, random)
        if len(known) > 1 and attempt % 2:
            one, other = (known[k] for k in random.choice(len(known), size=2, replace=False))
            here = random.random((game.num_states, 1)) < 0.5
            flat = np.where(here, np.concatenate(one, axis=1), np.concatenate(other, axis=1))
        found = polish(scaled, flat, flat > 0)
        policy = flat if found is None else found.policy
        yield Iterate(tuple(np.array(part) for part in scaled.split(policy)), {}, candidate=found is not None)


def _random_profile(game: Any, random: np.random.Generator) -> tuple[Float[np.ndarray, "S _"], ...]:
    """Uniform on the simplices of the legal actions, kept off their boundary."""
    weights = [(random.exponential(size=mask.shape) + 1e-3) * np.asarray(mask) for mask in game.legal]
    return tuple(weight / weight.sum(axis=1, keepdims=True) for weight in weights)


def _random_face(scaled: ScaledGame, random: np.random.Generator) -> Float[np.ndarray, "S n"]:
    """A profile on random supports: every size of a support equally likely."""
    flat = np.zeros(scaled.legal.shape)
    for columns in scaled.columns:
        legal: Bool[np.ndarray, "S A"] = scaled.legal[:, columns]
        size = random.integers(1, legal.sum(axis=1) + 1)
        rank = np.where(legal, random.random(legal.shape), 2.0).argsort(axis=1).argsort(axis=1)
        weight = np.where(rank < size[:, None], random.exponential(size=legal.shape) + 1e-3, 0.0)
        flat[:, columns] = weight / weight.sum(axis=1, keepdims=True)
    return flat
