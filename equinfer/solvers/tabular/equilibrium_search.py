"""As many equilibria as can be found: supports, stage selections and magnets, tried one after another."""

import itertools
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from equinfer.drivers.harvest import SAME, distance
from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.solvers.tabular.homotopy import Homotopy
from equinfer.solvers.tabular.lemke_howson import LemkeHowson
from equinfer.solvers.tabular.polish import polish
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.solvers.tabular.stage_games import load
from equinfer.solvers.tabular.stage_nash import StageNash
from equinfer.solvers.tabular.support_sweep import sweep_supports
from equinfer.types import Profile

__all__ = ["EquilibriumSearch"]

_MOST_SUPPORTS = 30_000
"""Profiles of supports that are all tried: some seconds of work. Beyond, only random searches are made."""
_STARTS = 12
"""Random profiles from which Newton's method begins on each."""
_ROOM = 600
"""Equilibria between two looks at the clock."""
_SMALL = 400
"""State-action pairs up to which Newton's method for all states at once is cheap enough to be tried at random."""
_TRACEABLE = 3_000
"""State-action pairs up to which paths are followed: beyond, one step takes seconds."""
_TRIES = 12
"""Such attempts in one search."""
_LONGEST_PATH = 1500


class EquilibriumSearch(AbstractHostSolver):
    r"""Searches for equilibria from many starting points; every candidate counts, and none of them ends the search.

    * One-shot games of at most 30 000 profiles of supports: Newton's method on every one of them, from twelve random
      profiles each. All pure equilibria are among what this finds.
    * Two-player one-shot games: the end of the Lemke-Howson path of every label.
    * All games, `searches` times in turn: stage-Nash policy iteration with stage equilibria drawn at random; the path
      of regularised equilibria from a magnet drawn uniformly; and, in small discounted games, Newton's method on random
      supports, or on supports that two equilibria found before are crossed to, state by state. The last also finds
      equilibria that no path ends at and no dynamics learns.

    Nothing here proves that there are no others. Watched: `search`, which one is under way.
    """

    name: ClassVar[str] = "search"

    searches: int = 48

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        random = np.random.default_rng(seed)
        known: list[Profile] = []
        for number, search in enumerate(self._searches(game, random, known)):
            try:
                for iterate in search:
                    if iterate.candidate and all(distance(iterate.profile, other) > SAME for other in known):
                        known.append(iterate.profile)
                    yield Iterate(iterate.profile, {"search": float(number)}, iterate.candidate)
            except (np.linalg.LinAlgError, FloatingPointError, ZeroDivisionError):
                continue  # one search that fails numerically is one search less

    def _searches(self, game: Any, random: np.random.Generator, known: list[Profile]) -> Iterator[Iterator[Iterate]]:
        if game.is_one_shot and game.num_states == 1:
            if math.prod(2**size - 1 for size in game.num_actions) <= _MOST_SUPPORTS:
                yield _on_all_supports(game, random)
            if game.num_players == 2:
                for label in range(sum(int(np.sum(mask)) for mask in game.legal)):
                    yield LemkeHowson(initial_label=label).iterates(game, seed=0)
        size = game.num_states * sum(game.num_actions)
        kinds = ["stages", *(["path"] if size <= _TRACEABLE else [])]
        if game.horizon is None and size <= _SMALL:
            kinds.append("supports")
        for kind, _ in zip(itertools.cycle(kinds), range(self.searches), strict=False):
            drawn = int(random.integers(2**31))
            if kind == "stages":
                yield StageNash(shuffled=True, restarts=0).iterates(game, seed=drawn)
            elif kind == "path":
                magnet = _random_profile(game, random)
                yield Homotopy(magnet=magnet, restarts=0, max_steps=_LONGEST_PATH).iterates(game, seed=drawn)
            else:
                yield _on_random_supports(game, random, known)


def _on_all_supports(game: Any, random: np.random.Generator) -> Iterator[Iterate]:
    """Newton's method on every profile of supports of a one-shot game."""
    masks = [np.asarray(mask)[0] for mask in game.legal]
    width = max(map(len, masks))
    orders, legal = np.zeros((len(masks), 1, width), np.int64), np.zeros((len(masks), 1), np.int64)
    for i, mask in enumerate(masks):
        actions = np.flatnonzero(mask)
        orders[i, 0, : len(actions)], legal[i, 0] = actions, len(actions)
    table = np.ascontiguousarray(game.reward, np.float64).reshape(len(masks), 1, -1)
    payoffs, sizes, tolerance = load(table, np.array(game.num_actions, np.int64), orders, legal, 0)
    draws = random.exponential(size=(_STARTS, len(masks), width)) + 1e-3
    draws[0] = 1.0
    chosen, found = np.ones(len(masks), np.int64), np.zeros((_ROOM, len(masks), width))
    lead, more = (1,) if game.horizon is None else (1, 1), True
    uniform = game.uniform_profile()
    while more:
        number, more = sweep_supports(payoffs, sizes, tolerance, draws, chosen, found, SAME)
        yield Iterate(tuple(policy.reshape(*lead, -1) for policy in uniform), {})
        for policy in found[:number]:
            profile = tuple(np.zeros((*lead, size)) for size in game.num_actions)
            for i, (whole, size) in enumerate(zip(profile, sizes, strict=True)):
                whole[..., orders[i, 0, :size]] = policy[i, :size]
            yield Iterate(profile, {}, candidate=True)


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
