"""`solve_all`: the equilibria of a game, as many as can be found, each certified, with their stability."""

import contextlib
import itertools
import math
import time as clock
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from equinfer.api import default_eps
from equinfer.arguments import checked_seed, nonnegative, shown
from equinfer.certificates.nash import certify_nash
from equinfer.concepts import Nash
from equinfer.concepts import concept as concept_row
from equinfer.drivers.harvest import SAME, Found, harvest
from equinfer.drivers.protocol import Judge, Outcome, Task, Watch
from equinfer.drivers.side_by_side import cores, side_by_side, worth_threads
from equinfer.errors import BadInput, UnknownName
from equinfer.families import Equilibria, Stability, register_page
from equinfer.games.tabular import TabularGame
from equinfer.recording import recorded
from equinfer.records import Certificate, GameLabels, Solution, Status
from equinfer.solvers.tabular.equilibrium_search import EquilibriumSearch
from equinfer.solvers.tabular.response_stability import OUT_OF_TIME, stability
from equinfer.solvers.tabular.support import SupportEnumeration
from equinfer.tables import Tables
from equinfer.targets import Game, game_to_solve, tabular_game_of
from equinfer.types import Profile

__all__ = ["judged", "refuse_unless_nash", "solve_all"]

_LARGEST_ENUMERATION = 13
"""Actions of both players up to which all supports of a two-player one-shot game are examined: at most a minute."""
_MOST_PAIRS = 2_000
"""Pairs of equilibria between which points are certified, to see whether they lie on one continuum."""
_SEARCHING = 0.8
"""Part of the time that the search may take; the rest is for stability and components."""
_AFTER_CTRL_C = 1.0
"""Seconds for stability and components after Ctrl-C has ended the search."""
_SHARES = (0.37, 0.21, 0.8)
"""Where between two equilibria: nowhere that symmetry would put a third one."""


def solve_all(
    game: Game | str,
    concept: str | None = None,
    *,
    searches: int | None = None,
    eps: float | int | None = None,
    time: float | int | None = None,
    seed: int = 0,
    watch: Watch | None = None,
) -> Equilibria:
    """Find as many Nash equilibria of `game` as can be found, certify each, and say whether they are all.

    Two-player one-shot games of up to 13 x 13 actions are solved completely, by enumeration of supports: all
    equilibria if the game is nondegenerate (`complete` is then True), all extreme ones if it is degenerate. Every other
    game is searched from many starting points (`EquilibriumSearch`), and what is found is not proven to be all.

    **Arguments:** `game`, or a target of `load`; `searches`, how many random searches are made, default 48 (one-shot
    games: 12, after all supports); `eps`, in units of reward, default 1e-8 of the payoff scale: what is above is left
    out; `time` in seconds of wall clock, after which what was found is handed back, as it is after Ctrl-C: four fifths
    for the searches, the rest for stability and components; `watch`, called now and then with what is going on.

    **Raises:** `UnknownName` for another concept than `nash`; `BadInput` for wrong values.
    """
    began = clock.perf_counter()
    refuse_unless_nash(concept, "the search for all equilibria")
    game = tabular_game_of(game_to_solve(game), "the search for all equilibria")
    tables = game.tables()
    eps = default_eps(tables) if eps is None else nonnegative("eps", eps)
    time = None if time is None else nonnegative("time", time)
    enumerable = _is_enumerable(game)
    if searches is None:
        searches = 12 if game.is_one_shot else 48
    if isinstance(searches, bool) or not isinstance(searches, (int, np.integer)) or searches < 0:
        raise BadInput(f"searches must be a whole number, not negative; got {shown(searches)}.")
    solver = SupportEnumeration() if enumerable else EquilibriumSearch(searches=int(searches))
    judge = partial(certify_nash, tables)
    patience = _Patience(began, time)
    search_time = None if time is None else _SEARCHING * time
    task = Task(judge, game.uniform_profile(), checked_seed(seed), search_time, watch)
    with jax.enable_x64(True):
        harvested = harvest(solver, game, task, eps=eps)
        if harvested.ended is Status.interrupted:
            patience.hurry(_AFTER_CTRL_C)
        found = sorted(harvested.found, key=partial(_welfare, tables), reverse=True)
        merged = found if enumerable else _without_interiors(found, judge, eps, patience)
        stabilities = _stabilities(game, merged, patience)
    components = _shared_mixtures(merged, patience) if enumerable else _segments(merged, judge, eps, patience)
    ended = Status.interrupted if patience.interrupted else harvested.ended
    finished = harvested.ended is Status.above_eps
    degenerate = bool(harvested.info.get("degenerate")) if enumerable else None
    left_out = harvested.left_out
    every = not left_out and harvested.info.get("found") == len(harvested.found)  # none merged with a close neighbour
    complete = enumerable and finished and not degenerate and every and len(merged) % 2 == 1
    total = clock.perf_counter() - began
    return Equilibria(
        game=GameLabels.of(tables),
        concept="nash",
        solver=solver.name,
        solutions=tuple(
            judged(game, tables, one.profile, one.certificate, solver.name, eps, one.seconds) for one in merged
        ),
        stabilities=tuple(stabilities),
        components=components,
        complete=complete,
        degenerate=degenerate,
        status=ended if patience.interrupted or not (finished and merged) else Status.certified,
        message=_message(ended, len(merged), len(set(components)), complete, degenerate) + _of_refused(left_out, eps),
        seconds={"total": total, "solve": harvested.seconds},
    )


def refuse_unless_nash(concept: str | None, what: str) -> None:
    """**Raises:** `UnknownName` for a concept that does not exist, or that `what`, a noun, is not for."""
    if concept is not None and concept_row(concept).name != Nash.name:
        raise UnknownName(f"{what} is for concept {Nash.name!r} only; got {concept!r}.")


def judged(
    game: TabularGame,
    tables: Tables,
    profile: Profile,
    certificate: Certificate,
    solver: str,
    eps: float,
    seconds: float,
) -> Solution:
    """The record of a certified profile that some search or continuation came to after `seconds`."""
    profile = tuple(np.asarray(policy, np.float64) for policy in profile)
    outcome = Outcome(profile, certificate, Status.above_eps, {}, seconds)
    return recorded(Nash(), game, tables, outcome, solver, eps, {"total": seconds, "solve": seconds})


class _Patience:
    """Whether there is time for more: until the deadline, and until Ctrl-C, which is held in `keeping`."""

    def __init__(self, began: float, seconds: float | None):
        self._until = math.inf if seconds is None else began + seconds
        self.interrupted = False

    def __call__(self) -> bool:
        return not self.interrupted and clock.perf_counter() < self._until

    def hurry(self, seconds: float) -> None:
        """End in so many seconds at the latest."""
        self._until = min(self._until, clock.perf_counter() + seconds)

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Ctrl-C ends the block, and is remembered: what there is so far is kept."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True


def _is_enumerable(game: TabularGame) -> bool:
    if game.num_players != 2 or not game.is_one_shot or game.num_states > 1:
        return False
    return all(int(np.sum(mask)) <= _LARGEST_ENUMERATION for mask in game.legal)


def _stabilities(game: TabularGame, found: Sequence[Found], patience: _Patience) -> list[Stability]:
    """Of each; undetermined for what is left when time is up, or Ctrl-C comes."""
    verdicts = [Stability(None, reason=OUT_OF_TIME)] * len(found)
    workers = cores() if game.horizon is None and worth_threads(game) else 1
    each = (_stability(game, one.profile, patience) for one in found)
    with patience.keeping():
        for number, verdict in side_by_side(each, workers=workers, window=max(1, len(found))):
            verdicts[number] = verdict or verdicts[number]
            if not patience():
                break
    return verdicts


def _stability(game: TabularGame, profile: Profile, patience: _Patience) -> Iterator[Stability]:
    try:
        yield stability(game, profile, patience) if patience() else Stability(None, reason=OUT_OF_TIME)
    except (np.linalg.LinAlgError, FloatingPointError):
        yield Stability(None, reason="its eigenvalues cannot be computed in 64-bit arithmetic")


def _welfare(tables: Tables, one: Found) -> float:
    values = one.certificate.values
    return float(((values[:, 0] if values.ndim == 3 else values) @ tables.initial).sum())


def _without_interiors(found: Sequence[Found], judge: Judge, eps: float, patience: _Patience) -> list[Found]:
    """Without those that lie on a continuum, on the same supports as one that is kept: one point stands for it. What is
    left when time is up is kept.
    """
    interior: set[int] = set()
    supports: dict[bytes, list[Found]] = {}
    with patience.keeping():
        for place, one in enumerate(found):
            alike = supports.setdefault(b"".join((policy > 0).tobytes() for policy in one.profile), [])
            if any(patience() and _on_one_segment(one, other, judge, eps) for other in alike):
                interior.add(place)
            else:
                alike.append(one)
    return [one for place, one in enumerate(found) if place not in interior]


def _on_one_segment(one: Found, other: Found, judge: Judge, eps: float) -> bool:
    """Equilibria all along between two, as far as three points tell; the middle alone may be another isolated one."""
    return all(
        judge(tuple(share * a + (1 - share) * b for a, b in zip(one.profile, other.profile, strict=True))).holds(eps)
        for share in _SHARES
    )


def _segments(found: Sequence[Found], judge: Judge, eps: float, patience: _Patience) -> tuple[int, ...]:
    """Components of equilibria that are joined by segments of certified points, as many as there is time for. Where
    there are too many pairs, only those of which a single player's policy differs are tried.
    """
    pairs = list(itertools.combinations(range(len(found)), 2))
    if len(pairs) > _MOST_PAIRS:
        pairs = [(i, j) for i, j in pairs if _players_apart(found[i], found[j]) == 1][:_MOST_PAIRS]
    joined: list[tuple[int, int]] = []
    with patience.keeping():
        for i, j in pairs:
            if not patience():
                break
            if _on_one_segment(found[i], found[j], judge, eps):
                joined.append((i, j))
    return _components(len(found), joined)


def _players_apart(one: Found, other: Found) -> int:
    return sum(bool(np.abs(a - b).max() > SAME) for a, b in zip(one.profile, other.profile, strict=True))


def _shared_mixtures(found: Sequence[Found], patience: _Patience) -> tuple[int, ...]:
    """Components of extreme equilibria of a two-player game: between two with a common mixture, all are equilibria. As
    many of them as there is time for.
    """
    joined: list[tuple[int, int]] = []
    with patience.keeping():
        for i, j in itertools.combinations(range(len(found)), 2):
            if not patience():
                break
            if _players_apart(found[i], found[j]) == 1:
                joined.append((i, j))
    return _components(len(found), joined)


def _components(size: int, joined: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Numbers of connected components, in order of their first members."""
    label = list(range(size))
    for i, j in joined:
        low, high = sorted((label[i], label[j]))
        label = [low if each == high else each for each in label]
    order = {each: number for number, each in enumerate(dict.fromkeys(label))}
    return tuple(order[each] for each in label)


def _message(ended: Status, number: int, components: int, complete: bool, degenerate: bool | None) -> str:
    count = f"{number} found"
    together = "" if components == number else f", on {components} component{'s' if components > 1 else ''}"
    if ended is Status.out_of_time:
        return f"{count}{together} until time ran out; not proven to be all."
    if ended is Status.interrupted:
        return f"{count}{together} until it was interrupted; not proven to be all."
    if complete:
        return f"{count}: all equilibria of this game, which is nondegenerate."
    if degenerate and number:
        return (
            f"{count}{together}: the game is degenerate, as far as rounding can tell; these are its extreme "
            "equilibria, and every other one is a convex combination of extreme ones of one component."
        )
    if number and number % 2 == 0 and components == number:
        return f"{count}, not proven to be all: a regular game has an odd number of equilibria."
    return f"{count}{together}, not proven to be all."


def _of_refused(left_out: Sequence[Found], eps: float) -> str:
    """Why what a search took for equilibria is not among the answers."""
    if not left_out:
        return ""
    best = min(left_out, key=lambda one: one.certificate.gap + one.certificate.numerical_error).certificate
    are = "candidate is" if len(left_out) == 1 else "candidates are"
    doubts = best.warnings(eps) if best.holds(eps) else ()
    why = (
        doubts[0]
        if doubts
        else f"{'its' if len(left_out) == 1 else 'the least'} gap is {best.gap:.2g}, to be known within "
        f"{best.numerical_error:.2g}, against eps = {eps:.2g}."
    )
    return f" {len(left_out)} more {are} left out: {why}"


def _report(equilibria: Equilibria, path: Any) -> None:
    from equinfer.report.equilibria import write_equilibria

    write_equilibria(equilibria, path)


register_page(Equilibria, _report)
