r"""How far a game is from a Markov potential game, and its potential where there is one (Definition 5.4).

A game has an *exact potential* if some $\Phi(s;\pi)$ changes by what the player gains whenever one player changes its
policy: $V_i(s;\pi_i',\pi_{-i})-V_i(s;\pi)=\Phi(s;\pi_i',\pi_{-i})-\Phi(s;\pi)$ for all $i,s,\pi$. Values are without
entropy. It has one iff the four gains around every square of policies of two players add up to zero (Monderer and
Shapley, 1996, Theorem 2.8). The *defect* is the largest such sum, in units of reward.

**Nobody moves the state, equal discounts.** The discounted law $d_s$ of the states to come is one and the same for all
policies, and $V_i(s)=\sum_{s'}d_s(s')\,r_i(s',\pi(s'))$. A four-cycle of policies is the $d_s$-weighted sum of
four-cycles of stage games, and each of those can be chosen by itself: the defect is
$\max_{s,ij}\sum_{s'}d_s(s')C_{ij}(s')$, $C_{ij}$ the worst of a stage. It is zero iff every stage game has a potential.

**Somebody moves it.** A sufficient condition for a potential is in `potential_conditions`. Where it fails, the largest
four-cycle that a search finds is a lower bound.

Players who never have a choice do not count, nor do their discounts.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import sparse

from equinfer.certificates.averages import average_first
from equinfer.certificates.decision import Backup, MarkovChain
from equinfer.certificates.potential_conditions import Proof, controllers, identical_up_to_shaping, stage_by_stage
from equinfer.certificates.potential_search import Duel, Found, Policies, deterministic, improved, search, stochastic
from equinfer.certificates.potential_stage import StageCycles, worst_stage_cycles
from equinfer.certificates.potential_values import cycle_in_words, four_cycle, largest
from equinfer.certificates.raw import RawGame, raw_game
from equinfer.certificates.rounding import gamma, outward
from equinfer.errors import BadInput
from equinfer.four_cycles import PotentialDefect
from equinfer.tables import Tables, discounted_length

__all__ = ["potential_defect", "proved_potential"]

_SEARCH_EFFORT = 2e9
"""Multiplications for the random cycles of one pair of players, about."""
_CAST_EFFORT = 5e6
"""Multiplications of an evaluation times the pairs of beginnings of the others' play, about; from 2 to 8 pairs."""
_MOST_TOGETHER = 2e8
"""Multiplications of an evaluation up to which the others' play is improved: a few seconds for every beginning."""
_FEWEST_CYCLES, _MOST_CYCLES = 20, 2000
_IMPROVED = 3
"""How many of the random cycles of either kind are improved locally, for one pair."""
_MOST_BYTES = 2**30


def potential_defect(tables: Tables, *, cycles: int | None = None, seed: int = 0) -> PotentialDefect:
    """The exact defect where the structure of the game gives it away, and otherwise a lower bound with its witness.

    **Arguments:** `cycles`, how many random four-cycles a pair of players are searched where no condition of this
    module decides, default between 20 and 2,000 by the size of the game; `seed` of that search.

    **Returns:** `kind` is "exact" if nobody moves the state and discounts are equal, if a sufficient condition proves
    that there is a potential, or if fewer than two players ever choose. Otherwise it is "lower_bound": a positive
    defect is a proof, computed again by exact evaluation of the witness; 0 means that no violation was found.

    **Raises:** `BadInput` if the tables are no game, or too large to be searched, with the estimate.
    """
    found = _structure(tables)
    if found.answer is not None:
        return found.answer
    if found.alike and not found.moving:
        return _exact(tables, found.game, found.active, _simulation_error(found.game, found.influence))
    return _lower_bound(tables, found.game, found.active, cycles, seed)


def proved_potential(tables: Tables) -> PotentialDefect | None:
    """The same for a game that is proved to have a potential; None for any other, without looking for a defect."""
    return _structure(tables).answer


class _Structure(NamedTuple):
    game: RawGame
    active: list[int]
    """The players who ever have a choice."""
    alike: bool
    """They discount alike, as far as there is anything to discount."""
    moving: list[int]
    """Those of them whose choices matter to where the play goes."""
    influence: float
    """How much the choices of the others matter, which is rounding."""
    answer: PotentialDefect | None
    """If there is a potential."""


def _structure(tables: Tables) -> _Structure:
    game = raw_game(tables)
    active = [i for i, legal in enumerate(game.legal) if (legal.sum(axis=1) > 1).any()]
    if len(active) < 2:
        return _Structure(game, active, True, [], 0.0, _of_one(tables, active))
    moving, influence = controllers(tables, game, active)
    alike = tables.horizon == 1 or bool(np.ptp(game.discount[active]) == 0)
    prove = identical_up_to_shaping if moving else stage_by_stage
    proof = prove(tables, game, active, moving) if alike else None
    answer = None if proof is None else _proved(tables, proof, _simulation_error(game, influence))
    return _Structure(game, active, alike, moving, influence, answer)


def _of_one(tables: Tables, active: list[int]) -> PotentialDefect:
    potential = np.where(tables.legal_joint, tables.reward[active[0]] if active else 0.0, 0.0)
    who = f"only player {tables.player_labels[active[0]]} ever has a choice" if active else "nobody ever has a choice"
    message = f"An exact potential game: {who}."
    return PotentialDefect(0.0, "exact", 0.0, None, _shown(tables, potential), message)


def _proved(tables: Tables, proof: Proof, error: float) -> PotentialDefect:
    message = f"An exact potential game: {proof.condition}."
    shown = _shown(tables, proof.potential)
    return PotentialDefect(0.0, "exact", outward(proof.error + error), None, shown, message)


def _simulation_error(game: RawGame, influence: float) -> float:
    """What it does to a four-cycle if players who are taken to move no state do so by `influence`, a rounding error.

    The simulation lemma, for the eight values of the cycle.
    """
    length, size = discounted_length(game.discount, game.horizon).max(), (game.unit * game.size).max()
    return 8 * influence * float(size * length * length)


def _shown(tables: Tables, potential: Float[np.ndarray, "S *A"]) -> Float[np.ndarray, "..."]:
    return potential[0] if tables.is_one_shot and tables.num_states == 1 else potential


def _exact(tables: Tables, game: RawGame, active: list[int], rest: float) -> PotentialDefect:
    """Nobody moves the state: the worst cycle is made of the worst cycles of the stages."""
    reward = game.unit.reshape(-1, *[1] * (game.reward.ndim - 1)) * game.reward
    best: tuple[float, float, StageCycles] | None = None
    for cycles in worst_stage_cycles(reward, game.legal):
        if not set(cycles.players) <= set(active):
            continue
        i, j = cycles.players
        rounding = gamma(8) * 4 * float(game.unit[i] * game.size[i] + game.unit[j] * game.size[j])
        total, error = _accumulated(tables, game, cycles.sums, rounding, i)
        if best is None or total > best[0]:
            best = (total, error, cycles)
    assert best is not None
    total, error, cycles = best[0], outward(best[1] + rest), best[2]
    if total <= error:
        return PotentialDefect(0.0, "exact", outward(total + error), None, None, "No defect beyond rounding.")
    profiles = _square_of(tables, cycles)
    gains, _ = four_cycle(game, profiles, cycles.players)
    witness = largest(gains, profiles, cycles.players)
    message = f"Not a potential game: {cycle_in_words(tables, witness, total)}."
    return PotentialDefect(total, "exact", error, witness, None, message)


def _accumulated(
    tables: Tables, game: RawGame, sums: Float[np.ndarray, " S"], rounding: float, player: int
) -> tuple[float, float]:
    """The largest discounted sum over the stages to come of the worst cycles of each, and its error."""
    discount, length = float(game.discount[player]), float(discounted_length(game.discount, game.horizon)[player])
    if game.horizon == 1 or not discount:
        return float(sums.max()), outward(rounding)
    # Any joint action moves the state alike: everybody's first legal one.
    flat = np.ravel_multi_index([legal.argmax(axis=1) for legal in game.legal], tables.num_actions)
    rows = game.kernel if sparse.issparse(game.kernel) else game.kernel.reshape(-1, game.kernel.shape[-1])
    chain = rows[np.arange(tables.num_states) * int(np.prod(tables.num_actions)) + flat]
    roundings, size = game.row_terms + game.kernel_roundings + 8, float(sums.max())
    if game.horizon is None:
        solver = MarkovChain(chain, discount)
        values = solver.values(sums)
        error = Backup(roundings, size, discount).error(values, solver.backup(sums, values))
    else:
        values, error = np.zeros(len(sums)), 0.0
        for _ in range(game.horizon):
            ahead, values = values, sums + discount * (chain @ values)
            error = discount * error + Backup(roundings, size, discount).rounding(ahead, values)
    return float(values.max()), outward(error + rounding * length)


def _square_of(tables: Tables, cycles: StageCycles) -> list[list[np.ndarray]]:
    """The four pure profiles around the stage cycles of all states at once."""
    ends = cycles.actions
    lead = () if tables.horizon is None else (tables.horizon,)
    profiles = []
    for corner in ((0, 0), (1, 0), (1, 1), (0, 1)):
        side = dict(zip(cycles.players, corner, strict=True))
        pure = [
            (ends[side.get(player, 0)][:, player, None] == np.arange(size)).astype(float)
            for player, size in enumerate(tables.num_actions)
        ]
        profiles.append([np.broadcast_to(policy, (*lead, *policy.shape)) for policy in pure])
    return profiles


def _lower_bound(tables: Tables, game: RawGame, active: list[int], cycles: int | None, seed: int) -> PotentialDefect:
    """The largest four-cycle that a search finds, whose sum is then computed again."""
    kernel, generator = _dense_kernel(tables, game), np.random.default_rng(seed)
    best, tried = None, 0
    for i, j in itertools.combinations(active, 2):
        others = [k for k in range(tables.num_players) if k not in (i, j)]
        choosing = bool(set(others) & set(active))
        everybody = _duel(game, kernel, (i, j), {})
        casts = [stochastic]
        if choosing:  # where the others' play begins: more often in games where that costs little
            casts = [deterministic, stochastic] * int(np.clip(_CAST_EFFORT / everybody.cost, 2, 8))
        for draw in casts:
            play = {k: draw(generator, game.legal[k], ()) for k in others}
            duel = _duel(game, kernel, (i, j), play)
            number = _number(duel, cycles, len(casts))
            tried += 2 * max(1, number // 2)
            try:
                found = search(duel, generator, number, max(1, _IMPROVED // len(casts)))
                found = found._replace(policies=_with(found.policies, play))
                if choosing and everybody.cost <= _MOST_TOGETHER:
                    found = improved(everybody, found, len(casts))
            except np.linalg.LinAlgError:  # exactly singular in float64
                raise BadInput("the values of this game are beyond float64: a discount is too close to one.") from None
            if best is None or found.sum > best[0].sum:
                best = found, (i, j), others
    assert best is not None
    found, players, others = best
    profiles = _corners(tables, found, players, others)
    gains, error = four_cycle(game, profiles, players)
    witness = largest(gains, profiles, players)
    if witness.sum > error:
        message = f"Not a potential game: {cycle_in_words(tables, witness, witness.sum)}."
        return PotentialDefect(witness.sum, "lower_bound", error, witness, None, message)
    message = (
        f"No violation found in {tried:,} cycles, half of them deterministic, of which the best were improved locally: "
        "no proof of a potential."
    )
    return PotentialDefect(0.0, "lower_bound", error, None, None, message)


def _dense_kernel(tables: Tables, game: RawGame) -> Float[np.ndarray, "S *A S"]:
    if not sparse.issparse(game.kernel):
        return game.kernel
    needed = 8 * tables.num_states * tables.legal_joint.size
    if needed > _MOST_BYTES:
        raise BadInput(
            f"whether this game has a potential is not decided by its structure, and a search of {tables.num_states} "
            f"states with {' x '.join(map(str, tables.num_actions))} joint actions needs a dense kernel of "
            f"{needed / 2**30:.3g} GiB, more than the {_MOST_BYTES / 2**30:g} GiB that it may take."
        )
    return game.kernel.toarray().reshape(*tables.legal_joint.shape, tables.num_states)


def _duel(
    game: RawGame, kernel: Float[np.ndarray, "S *A S"], players: tuple[int, int], play: dict[int, np.ndarray]
) -> Duel:
    """What two players face, and the others behind them, when some of these `play` a stationary policy each."""
    i, j = players
    states = len(kernel)
    present = [k for k in range(len(game.legal)) if k not in play]
    order = [i, j, *(k for k in present if k not in players)]
    tables = [kernel, *(game.unit[k] * game.reward[k] for k in players)]
    for absent in sorted(play, reverse=True):
        tables = [average_first(np.moveaxis(table, 1 + absent, 1), play[absent]) for table in tables]
    axes = [1 + present.index(k) for k in order]
    tables = [np.moveaxis(table, axes, range(1, 1 + len(axes))) for table in tables]
    of_first, of_second = (table.reshape(states, -1) for table in tables[1:])
    first, second = float(game.discount[i]), float(game.discount[j])
    apart = ((-of_first, first), (of_second, second))
    channels = ((of_second - of_first, first),) if first == second else apart
    legal = tuple(game.legal[k] for k in order)
    return Duel(tables[0].reshape(states, -1, states), channels, game.horizon, legal)


def _with(square: Policies, play: dict[int, np.ndarray]) -> Policies:
    """The policies of a square and those of the others, as long as they."""
    lead = square[0].shape[:-2]
    return *square, *(np.broadcast_to(policy, (*lead, *policy.shape)) for policy in play.values())


def _number(duel: Duel, cycles: int | None, parts: int) -> int:
    if cycles is None:
        cycles = int(np.clip(_SEARCH_EFFORT / duel.cost, _FEWEST_CYCLES, _MOST_CYCLES))
    return max(2, cycles // parts)


def _corners(tables: Tables, found: Found, players: tuple[int, int], others: list[int]) -> list[list[np.ndarray]]:
    x, further, y, away, *rest = found.policies
    walk = ((x, y), (further, y), (further, away), (x, away))
    played = [dict(zip((*players, *others), (*corner, *rest), strict=True)) for corner in walk]
    return [[policies[k] for k in range(tables.num_players)] for policies in played]
