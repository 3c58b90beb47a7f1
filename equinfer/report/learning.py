"""The page of a run of learners: what was earned, where everybody ended, what that is worth, and what was believed."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.offline

from equinfer.games.spaces import Box
from equinfer.opponent_judgements import OpponentJudgement
from equinfer.records import Certificate
from equinfer.report.bands import agent_names
from equinfer.report.joint_actions import action_curves, known_actions, paths_over_rewards
from equinfer.report.learning_curves import return_curves, shares_rewards, watched_curves
from equinfer.report.page import embedded, write_page
from equinfer.report.theme import number
from equinfer.runs import Training, last_known

__all__ = ["End", "OpponentRow", "SeedRow", "ends", "opponent_rows", "seed_rows", "write_training"]

MOST_ROWS = 100
_SAME = 0.05
"""Of the width of a box: joint actions that are nearer than this to the first of a group are counted as one end."""


class End(NamedTuple):
    """Seeds that ended at one place."""

    seeds: int
    actions: str
    known: str
    """How an equilibrium close by is known, if there is one."""
    returns: str
    gap: str


class SeedRow(NamedTuple):
    """One seed."""

    seed: int
    actions: str
    gap: str
    kind: str
    welfare: str
    returns: str


class OpponentRow(NamedTuple):
    """What one agent thinks of another, medians over seeds with the tenth and ninetieth percentile."""

    who: str
    whom: str
    log_loss: str
    truth: str
    excess: str
    regret: str


def write_training(
    training: Training,
    path: str | os.PathLike[str],
    *,
    certificates: Sequence[Certificate],
    uncertified: str | None = None,
    opponents: OpponentJudgement | None = None,
) -> None:
    """Write the page of a run.

    **Arguments:** `certificates`, of each seed, or none, and then `uncertified` says why; `opponents`, where agents
    model each other.
    """
    paths = paths_over_rewards(training)
    pictures = {
        "returns": return_curves(training),
        "paths": paths,
        "actions": action_curves(training),
        "watched": watched_curves(training),
    }
    rows = seed_rows(training, certificates)
    write_page(
        "learning.html.j2",
        path,
        training=training,
        name=training.config["game"]["name"],
        pictures={name: embedded(picture, name) for name, picture in pictures.items() if picture is not None},
        facts=_facts(training),
        gaps=_gaps(certificates),
        kinds=_kinds(certificates),
        counted="chances" in training.trace,
        moves=not isinstance(training.game.spaces[0], Box),
        known=bool(known_actions(training.game)),
        shared=shares_rewards(training),
        uncertified=uncertified,
        ends=ends(training, certificates),
        rows=rows[:MOST_ROWS],
        hidden=max(0, len(rows) - MOST_ROWS),
        opponents=[] if opponents is None else opponent_rows(training, opponents),
        plotly=plotly.offline.get_plotlyjs(),
    )


def seed_rows(training: Training, certificates: Sequence[Certificate]) -> list[SeedRow]:
    """Best welfare first, then the smallest gap; without certificates by the return without chance."""
    rows = []
    for seed in range(len(training.returns)):
        worth = float(last_known(training.deterministic_returns[seed]).sum())
        gap = kind = welfare = ""
        key = (-worth, 0.0)
        if certificates:
            each = certificates[seed]
            total = worth if each.welfare is None else each.welfare
            gap, kind, welfare = number(each.gap, 3), each.kind.replace("_", " "), number(total, 5)
            key = (-total, each.gap)
        returns = ", ".join(number(float(value), 4) for value in last_known(training.deterministic_returns[seed]))
        rows.append((key, SeedRow(seed, _in_words(_joint(training, seed)), gap, kind, welfare, returns)))
    return [row for _, row in sorted(rows, key=lambda each: each[0])]


def ends(training: Training, certificates: Sequence[Certificate]) -> list[End]:
    """Seeds grouped by where they ended, the largest group first: joint actions that are the same but for 5 % of the
    width of a box.
    """
    joint = [_joint(training, seed) for seed in range(len(training.returns))]
    widths = [_widths(space) for space in training.game.spaces]
    groups: list[list[int]] = []
    for seed, actions in enumerate(joint):
        near = (group for group in groups if _apart(joint[group[0]], actions, widths) <= _SAME)
        group = next(near, None)
        if group is None:
            groups.append([seed])
        else:
            group.append(seed)
    known = known_actions(training.game)
    found = []
    for group in sorted(groups, key=lambda group: -len(group)):
        middle = [np.median([joint[seed][i] for seed in group], axis=0) for i in range(len(widths))]
        notes = [note for note, actions in known if _apart(middle, actions, widths) <= _SAME]
        returns = [float(last_known(training.deterministic_returns[seed]).sum()) for seed in group]
        gaps = [certificates[seed].gap for seed in group] if certificates else []
        found.append(
            End(len(group), _in_words(middle), notes[0] if notes else "", _range(returns), _range(gaps) if gaps else "")
        )
    return found


def opponent_rows(training: Training, opponents: OpponentJudgement) -> list[OpponentRow]:
    names = agent_names(training)
    rows = []
    for i, who in enumerate(names):
        for j, whom in enumerate(names):
            if i != j:
                loss, truth, excess = opponents.log_loss[:, i, j], opponents.truth[:, j], opponents.excess[:, i, j]
                regret = _spread(opponents.regret[:, i])
                rows.append(OpponentRow(who, whom, _spread(loss), _spread(truth), _spread(excess), regret))
    return rows


def _joint(training: Training, seed: int) -> list[np.ndarray]:
    """What each agent does, (d_i,); a move is a whole number."""
    return [np.atleast_1d(np.asarray(part)[seed]) for part in _parts(training)]


def _parts(training: Training) -> list[Any]:
    actions = training.actions
    return list(actions) if isinstance(actions, tuple) else list(np.moveaxis(np.asarray(actions), 1, 0))


def _widths(space: Any) -> np.ndarray:
    return np.array(space.high) - np.array(space.low) if isinstance(space, Box) else np.ones(1)


def _apart(one: Sequence[np.ndarray], other: Sequence[np.ndarray], widths: Sequence[np.ndarray]) -> float:
    """The largest difference, in widths of the boxes."""
    return max(float((np.abs(a - b) / w).max()) for a, b, w in zip(one, other, widths, strict=True))


def _in_words(actions: Sequence[np.ndarray]) -> str:
    return "; ".join(", ".join(number(float(x), 4) for x in np.atleast_1d(part)) for part in actions)


def _range(values: Sequence[float]) -> str:
    low, high = number(float(np.min(values)), 3), number(float(np.max(values)), 3)
    return low if low == high else f"{low} to {high}"


def _spread(values: np.ndarray) -> str:
    if not np.isfinite(values).any():
        return "not known"
    low, middle, high = np.nanquantile(values, [0.1, 0.5, 0.9])
    return f"{number(middle, 3)} ({number(low, 2)} to {number(high, 2)})" if len(values) > 1 else number(middle, 3)


def _gaps(certificates: Sequence[Certificate]) -> tuple[str, str, str] | None:
    """Median, least and largest."""
    if not certificates:
        return None
    gaps = [each.gap for each in certificates]
    return number(float(np.median(gaps)), 3), number(min(gaps), 3), number(max(gaps), 3)


def _kinds(certificates: Sequence[Certificate]) -> list[str]:
    return list(dict.fromkeys(each.kind for each in certificates))


def _facts(training: Training) -> list[tuple[str, str]]:
    config, phases = training.config, training.config["phases"]
    parts = [f"uniform play to {phases['uniform']}"] if phases["uniform"] else []
    if phases["burn_in"] > phases["uniform"]:
        parts.append(f"burn-in to {phases['burn_in']}")
    facts = [
        ("algorithm", f"{training.algorithm}, {config['preset'] or 'no'} preset"),
        ("seeds", str(config["seeds"])),
        ("steps", f"{training.steps[-1]:.0f} of {config['steps']}"),
        ("phases", ", ".join([*parts, f"full play to {phases['steps']}"])),
    ]
    options = config["options"]
    facts += [(name, str(options[name])) for name in ("opponent", "policy", "actor") if name in options]
    return [*facts, ("agents", str(len(training.game.spaces))), ("seconds", number(training.seconds, 3))]
