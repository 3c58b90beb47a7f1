"""Random games made to be difficult: ties, dominated actions, payoffs of very different size, long discounting."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import equinfer as eq

KINDS = ("one-shot", "stochastic", "finite horizon")
MOST_STATES, MOST_ACTIONS, MOST_PLAYERS = 40, 5, 4
DISCOUNTS = (0.5, 0.9, 0.99, 0.999)
DECADES = 6
"""Payoffs spread over so many, within a player and between players."""


class NastyGame(NamedTuple):
    game: eq.TabularGame
    kind: str
    features: tuple[str, ...]
    """What makes it difficult."""


def nasty_game(seed: int, kind: str | None = None) -> NastyGame:
    """The game of a seed: a kind, a size, and every feature by a throw of its own."""
    draft = Draft(np.random.default_rng([2026, seed]), kind)
    for feature in FEATURES:
        if draft.rng.random() < CHANCE:
            feature(draft)
    return NastyGame(draft.finished(f"nasty {seed}"), draft.kind, tuple(draft.features))


class Draft:
    """A game in the making; every feature alters its arrays and signs its name."""

    def __init__(self, rng: np.random.Generator, kind: str | None):
        self.rng, self.features = rng, []
        self.kind = kind or str(rng.choice(KINDS, p=(0.3, 0.55, 0.15)))
        self.players = int(rng.choice(MOST_PLAYERS, p=(0.1, 0.4, 0.3, 0.2))) + 1
        self.states = 1 if self.kind == "one-shot" else int(np.exp(rng.uniform(0, np.log(MOST_STATES + 1))))
        self.sizes = tuple(rng.integers(1, MOST_ACTIONS + 1, size=self.players).tolist())
        self.horizon = int(rng.integers(2, 13)) if self.kind == "finite horizon" else None
        self.discount = np.full(self.players, 0.0 if self.kind == "one-shot" else rng.choice(DISCOUNTS))
        if self.kind == "finite horizon" and rng.random() < 0.5:
            self.discount[:] = 1.0
        self.legal = [np.ones((self.states, size), bool) for size in self.sizes]
        self.reward = rng.random((self.players, self.states, *self.sizes))
        self.kernel = rng.dirichlet(np.ones(self.states), size=(self.states, *self.sizes))

    def finished(self, name: str) -> eq.TabularGame:
        discount = None if self.horizon and (self.discount == 1).all() else self.discount
        return eq.TabularGame(
            self.reward, self.kernel, discount=discount, horizon=self.horizon, legal=self.legal, name=name
        )

    def sign(self, feature: str) -> None:
        self.features.append(feature)

    @property
    def stochastic(self) -> bool:
        return self.kind != "one-shot"

    def pick(self) -> tuple[int, int, int] | None:
        """A player with two actions or more, and two of them; None if everybody has only one."""
        free = [i for i, size in enumerate(self.sizes) if size > 1]
        if not free:
            return None
        player = int(self.rng.choice(free))
        one, other = self.rng.choice(self.sizes[player], size=2, replace=False)
        return player, int(one), int(other)

    def playing(self, table: np.ndarray, player: int, action: int) -> np.ndarray:
        """The part of a table (S, *A, ...) in which `player` takes `action`: a view."""
        return np.moveaxis(table, 1 + player, 0)[action]


def integers(draft: Draft) -> None:
    """Payoffs are small integers, so that many tie."""
    draft.reward = np.floor(draft.reward * int(draft.rng.integers(2, 8))) - 1.0
    draft.sign("integer ties")


def mostly_zero(draft: Draft) -> None:
    draft.reward *= draft.rng.random(draft.reward.shape) < 0.15
    draft.sign("mostly zero")


def sparse(draft: Draft) -> None:
    """At most three successors each."""
    if draft.stochastic and draft.states > 3:
        rank = draft.rng.random(draft.kernel.shape).argsort(axis=-1)
        kept = np.where(rank < 3, draft.kernel, 0.0)
        draft.kernel = kept / kept.sum(axis=-1, keepdims=True)
        draft.sign("sparse")


def deterministic(draft: Draft) -> None:
    if draft.stochastic and draft.states > 1:
        successor = draft.rng.integers(draft.states, size=draft.kernel.shape[:-1])
        draft.kernel = np.eye(draft.states)[successor]
        draft.sign("deterministic")


def absorbing(draft: Draft) -> None:
    """A third of the states are never left; half of the time they pay nothing."""
    if draft.stochastic and draft.states > 1:
        ends = draft.rng.choice(draft.states, size=max(1, draft.states // 3), replace=False)
        draft.kernel[ends] = np.eye(draft.states)[ends].reshape(len(ends), *[1] * draft.players, draft.states)
        if draft.rng.random() < 0.5:
            draft.reward[:, ends] = 0.0
        draft.sign("absorbing")


def opposed_or_common(draft: Draft) -> None:
    if draft.players == 2 and draft.rng.random() < 0.5:
        draft.reward[1] = -draft.reward[0]
        draft.sign("zero-sum")
    elif draft.players > 1:
        draft.reward[:] = draft.reward[:1]
        draft.sign("common interest")


def wide_within(draft: Draft) -> None:
    """Payoffs of each player over six decades: from cell to cell, or from state to state."""
    by_state = draft.stochastic and draft.rng.random() < 0.5
    shape = (draft.states, *[1] * draft.players) if by_state else draft.reward.shape[1:]
    draft.reward *= 10.0 ** draft.rng.uniform(-DECADES / 2, DECADES / 2, size=shape)
    draft.sign("wide, by state" if by_state else "wide, by cell")


def duplicated(draft: Draft) -> None:
    """An action that is another one by a second name."""
    if (picked := draft.pick()) is not None:
        player, one, other = picked
        for table in (*draft.reward, draft.kernel):
            draft.playing(table, player, other)[...] = draft.playing(table, player, one)
        draft.sign("duplicated action")


def dominated(draft: Draft) -> None:
    """An action that is never better than another and leads to the same; half of the time it is often as good."""
    if (picked := draft.pick()) is not None:
        player, one, other = picked
        draft.playing(draft.kernel, player, other)[...] = draft.playing(draft.kernel, player, one)
        good = draft.playing(draft.reward[player], player, one)
        loss = np.abs(good).max() * draft.rng.random(good.shape)
        if draft.rng.random() < 0.5:
            loss *= draft.rng.random(good.shape) < 0.3
        draft.playing(draft.reward[player], player, other)[...] = good - loss
        draft.sign("dominated action")


def near_ties(draft: Draft) -> None:
    """Every payoff a little off, by a relative 1e-7 to 1e-13."""
    draft.reward *= 1 + 10.0 ** draft.rng.uniform(-13, -7) * draft.rng.standard_normal(draft.reward.shape)
    draft.sign("near ties")


def constant(draft: Draft) -> None:
    """One player does not care, or nobody does."""
    who = slice(None) if draft.rng.random() < 0.2 else int(draft.rng.integers(draft.players))
    draft.reward[who] = draft.rng.integers(-1, 2)
    draft.sign("constant payoffs")


def unequal_units(draft: Draft) -> None:
    """Players whose payoffs are up to six decades apart."""
    if draft.players > 1:
        units = 10.0 ** draft.rng.uniform(-DECADES / 2, DECADES / 2, size=draft.players)
        draft.reward *= units.reshape(-1, *[1] * (draft.reward.ndim - 1))
        draft.sign("unequal units")


def large_level(draft: Draft) -> None:
    """A constant a thousand times the payoffs on top of them."""
    draft.reward += 1e3 * np.abs(draft.reward).max()
    draft.sign("large level")


def unequal_discounts(draft: Draft) -> None:
    if draft.stochastic and draft.players > 1:
        draft.discount = draft.rng.choice((0.0, *DISCOUNTS), size=draft.players)
        draft.sign("unequal discounts")


def long_sighted(draft: Draft) -> None:
    if draft.kind == "stochastic":
        draft.discount[:] = 0.999
        draft.sign("discount .999")


def ragged(draft: Draft) -> None:
    """Legal actions from state to state."""
    for mask in draft.legal:
        mask &= draft.rng.random(mask.shape) < 0.7
        mask[np.arange(draft.states), draft.rng.integers(mask.shape[1], size=draft.states)] = True
    draft.sign("ragged")


FEATURES: tuple[Callable[[Draft], None], ...] = (
    integers,
    mostly_zero,
    sparse,
    deterministic,
    absorbing,
    opposed_or_common,
    wide_within,
    duplicated,
    dominated,
    near_ties,
    constant,
    unequal_units,
    large_level,
    long_sighted,
    unequal_discounts,
    ragged,
)
CHANCE = 0.25
