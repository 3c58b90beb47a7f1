"""What a mean-field policy leaves one of n players to gain: exactly for few of them, by simulation for many."""

import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from equinfer.arguments import checked_seed, nonnegative, whole
from equinfer.certificate import freeze
from equinfer.certificates.mean_field import exact_flow
from equinfer.certificates.nash import certify_nash
from equinfer.certificates.profile import checked_profile
from equinfer.equations.mean_field import evaluated
from equinfer.equations.mean_field_locality import is_proven_local
from equinfer.equations.mean_field_simulation import Crowd, Plan, Rule, planned, walks
from equinfer.errors import BadInput
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.mean_field_players import entries_of, lifted
from equinfer.games.relabelling import matched
from equinfer.mean_field_tables import MeanFieldTables
from equinfer.records import Solution
from equinfer.saved import file_of
from equinfer.targets import Game, Target, game_of

__all__ = ["Gain", "PlayersGap", "players_gap"]

_EXACT = 1e5
"""Entries of the table of transitions of n players, up to which it is made unless somebody asks for more or less."""
_MOST_WORK = 1e12
"""Operations of a simulation, in its innermost loop."""
_BATCH = 4e6
"""Numbers that paths simulated side by side hold together."""


_ROUNDINGS = 1e3 * float(np.finfo(float).eps)
"""Of rewards summed along a path, beyond which a gain is one."""


class Gain(NamedTuple):
    """The mean over paths of what a deviation gains, and an interval about it."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class PlayersGap:
    """The most that one of `players` players gains by leaving a policy that all of them play, in units of reward."""

    players: int
    kind: str
    """`exact` or `estimate`."""
    gap: float
    """Exact: the gain of the best of all deviations. An estimate: of the better one that was simulated, `blind` or
    `sighted`, and at least 0, which keeping to the policy gains.
    """
    interval: tuple[float, float]
    """Holds the gain of the best of all deviations; infinite above where simulations give no upper bound."""
    confidence: float
    """With which the interval does so; 1 if it is exact, up to rounding."""
    paths: int
    """Simulated; 0 if it is exact."""
    blind: Gain | None = None
    """By a policy of time and own state, learnt from other paths: a lower bound for all deviations."""
    sighted: Gain | None = None
    """By planning anew in every epoch from where everybody is: another one."""
    prescient: Gain | None = None
    """By knowing beforehand what the others will do: an upper bound; None where what they do depends on oneself."""
    policy: Float[np.ndarray, "H S A"] | None = None
    """The blind deviation."""

    def __post_init__(self) -> None:
        if self.policy is not None:
            freeze(self, "policy")

    def __repr__(self) -> str:
        low, high = self.interval
        of = f"one of {self.players:,} players gains {self.gap:.3g}"
        if self.kind == "exact":
            return f"<PlayersGap: {of} (exact).>"
        between = f"between {low:.3g} and {high:.3g}" if np.isfinite(high) else f"at least {low:.3g}"
        return f"<PlayersGap: {of} ({between} with confidence {self.confidence:g}).>"


def players_gap(
    game: Game | Target,
    policy: Any,
    players: int,
    *,
    confidence: float = 0.99,
    paths: int = 4000,
    seed: int = 0,
    exact: bool | None = None,
) -> PlayersGap:
    r"""The Nash gap, in a game of n players, of a policy for infinitely many: what one of them gains by leaving it.

    Everybody sees where everybody is, as in `game.with_players(n)`, and begins by the game's initial law; the gap is in
    the mean over beginnings. It falls like $1/\sqrt n$ for an equilibrium of infinitely many (or faster, where nothing
    is to be learnt from where the others are).

    **Arguments:** `policy`, an array (H, S, A), a `Solution`, or the path of a file of either. `exact`: make the table
    of all players, or simulate `paths` paths; None makes it where it is small. `confidence` of the interval.

    **Simulated:** the gains of two deviations are lower bounds of that of the best: of one that sees time and its own
    state only (a best response to the mean over `paths` other paths), and one that plans anew in every epoch from
    where everybody is. Where dynamics do not depend on the population, what somebody gains who knows beforehand what
    all others will do is an upper bound. Each is a mean over independent paths, on which all of them and the policy
    itself meet the same random numbers, with Student's interval at (2 + confidence) / 3, so that all three hold
    at once. Student's interval supposes that the mean of so many gains is nearly normal: `confidence` is nominal.

    **Raises:** `BadInput` for stationary games, several populations, a policy that is none of the game, rewards
    that are not finite at a law that n players make, and games too large.
    """
    game = game_of(game)
    if not isinstance(game, MeanFieldGame):
        raise BadInput(f"what one of many players gains is asked of mean-field games; {game.name} is one in tables.")
    if game.horizon is None or game.num_players != 1:
        raise BadInput("only games of one population with a horizon can be played by a number of players.")
    players = whole("players", players, least=1)
    paths, seed = whole("paths", paths, least=2), checked_seed(seed)
    confidence = nonnegative("confidence", confidence)
    if not 0 < confidence < 1:
        raise BadInput(f"confidence must lie between 0 and 1; got {confidence:g}.")
    tables = game.tables()
    (own,) = _policies(tables, policy)
    if exact is None:
        exact = entries_of(game, players) <= _EXACT
    if exact:
        table = game.with_players(players)
        certificate = certify_nash(table.tables(), lifted(game, own, players))
        gain = float(certificate.deviation(0).gain[0] @ np.asarray(table.initial))
        error = float(certificate.per_player_error[0])
        return PlayersGap(players, "exact", gain, (max(gain - error, 0.0), gain + error), 1.0, 0)
    with jax.enable_x64(True):
        return _simulated(game, own, players, confidence, paths, seed)


def _policies(tables: MeanFieldTables, policy: Any) -> tuple[Float[np.ndarray, "..."], ...]:
    if isinstance(policy, (str, os.PathLike)):
        from equinfer.games.files.answers import read_answer

        policy = read_answer(file_of(policy), tables)
    elif isinstance(policy, Solution):
        policy = matched(policy.game, tables, "the solution").of(policy.answer)
    return checked_profile(tables, policy)


def _simulated(
    game: MeanFieldGame, policy: Float[np.ndarray, "H S A"], players: int, confidence: float, paths: int, seed: int
) -> PlayersGap:
    tables, compiled = game.tables(), jax.tree.map(jnp.asarray, game.unlabelled())
    horizon, states, actions = policy.shape
    local = tables.fixed_dynamics and is_proven_local(game)
    table = states * actions * (1 if tables.fixed_dynamics else states)
    around = table if local else table * states * actions
    counted = players - 1 > states**2 * actions
    crowd_work = min(players - 1, states**2 * actions)
    work = float(paths) * (horizon**2 * around + 4 * horizon * crowd_work)
    if work > _MOST_WORK:
        raise BadInput(
            f"to simulate {paths} paths of {players} players of {game.name} takes {work:.0e} operations, more than "
            f"{_MOST_WORK:.0e}: ask for fewer paths."
        )
    batch = _side_by_side(paths, int(np.clip(_BATCH / max(around, crowd_work), 1, paths)))
    own = jnp.asarray(policy)
    flow = jnp.asarray(exact_flow(tables, (policy,))[0])
    values, _ = evaluated(compiled, 0, (flow,), own)
    crowd = Crowd(own, flow, jnp.concatenate([values, jnp.zeros_like(values[:1])]))
    learning, judging = (jax.random.split(key, paths) for key in jax.random.split(jax.random.key(seed)))
    number = jnp.asarray(float(players)) if counted else players  # as an array, one compilation serves all numbers
    how = {"local": local, "counted": counted, "batch": batch}
    nothing = Plan(own, jnp.zeros_like(own), jnp.zeros_like(own))
    keep, each = (jnp.asarray(np.array(rules, int)) for rules in ([Rule.kept] * len(Rule), list(Rule)))
    seen = walks(compiled, crowd, nothing, number, learning, keep, **how).others
    plan = planned(compiled, crowd, number, seen, local=local, batch=batch)
    _refuse_rewards(game, np.asarray(plan.rewards), players)
    found = walks(compiled, crowd, plan, number, judging, each, **how)
    kept, *left = np.asarray(found.earned).T
    gains = (*(other - kept for other in left), np.asarray(found.foreseen))
    lost = _ROUNDINGS * horizon * float(np.abs(np.where(game.legal[0], plan.rewards, 0.0)).max())
    blind, sighted, foreseen = (_interval(each, (2 + confidence) / 3, lost) for each in gains)
    prescient = foreseen if tables.fixed_dynamics else None
    low = max(blind.low, sighted.low, 0.0)
    return PlayersGap(
        players,
        "estimate",
        max(blind.mean, sighted.mean, 0.0),
        (low, np.inf if prescient is None else max(prescient.high, low)),
        confidence,
        paths,
        blind,
        sighted,
        prescient,
        np.asarray(plan.policy),
    )


def _side_by_side(paths: int, most: int) -> int:
    """A part of all paths, where there is a large one: what would be left over is compiled once more."""
    parts = [size for size in range(most, most // 4, -1) if paths % size == 0]
    return parts[0] if parts else most


def _interval(gains: Float[np.ndarray, " K"], level: float, lost: float) -> Gain:
    mean, count = float(gains.mean()), len(gains)
    wide = float(student.ppf((1 + level) / 2, count - 1) * gains.std(ddof=1) / np.sqrt(count)) + lost
    return Gain(mean, mean - wide, mean + wide)


def _refuse_rewards(game: MeanFieldGame, rewards: Float[np.ndarray, "H S A"], players: int) -> None:
    off = ~np.isfinite(rewards) & np.asarray(game.legal[0])
    if off.any():
        t, s, a = np.argwhere(off)[0].tolist()
        raise BadInput(
            f"reward at time {t}, state {game.labels.states[s]}, action {game.labels.actions[0][a]} is "
            f"{rewards[t, s, a]:g} at laws that {players} players make."
        )
