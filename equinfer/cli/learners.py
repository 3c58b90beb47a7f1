"""What a person reads on stdout of a game of learners."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from equinfer.certificate import weakest
from equinfer.cli.display import clean, figures, on_stdout, print_facts
from equinfer.cli.usage import DONE, INTERRUPTED, RESUMABLE
from equinfer.errors import BadInput
from equinfer.games.continuous import ContinuousGame
from equinfer.games.external import ExternalGame
from equinfer.games.spaces import Box, Space
from equinfer.records import Certificate
from equinfer.runs import Training, last_known

__all__ = ["exit_code", "print_game", "print_training", "training_record"]

_SEEDS = 8
"""Whose actions a summary shows."""


def print_game(game: ContinuousGame) -> None:
    """Agents, what each can do and sees, how the game goes on, and what is declared about it."""
    facts = [("game", f"{clean(game.name)}: {game.num_players} agents")]
    for label, space, size in zip(game.player_labels, game.spaces, game.observation_sizes, strict=True):
        facts.append(("agents", f"{clean(label)}: {_in_words(space)}; observes {size} number{'s' * (size > 1)}"))
    if game.is_one_shot:
        facts.append(("steps", "one, after which nothing follows"))
    else:
        end = "until it ends by itself" if game.horizon is None else f"at most {game.horizon} in an episode"
        facts.append(("steps", f"{end}; discount {', '.join(f'{d:g}' for d in dict.fromkeys(game.discount))}"))
        facts.append(("states", f"{'do not depend' if game.exogenous else 'may depend'} on actions"))
    if game.is_one_shot:
        facts.append(("gaps", _proof(game)))
    print_facts(on_stdout(), facts)


def _in_words(space: Space) -> str:
    if not isinstance(space, Box):
        return f"{space.n} moves"
    return " x ".join(f"[{low:g}, {high:g}]" for low, high in zip(space.low, space.high, strict=True))


def _proof(game: ContinuousGame) -> str:
    if game.is_quadratic:
        return "exact, or bounded from above: rewards are quadratic, or the largest of quadratic functions"
    if game.lipschitz is None:
        return "estimates, by a search: no Lipschitz constant is declared"
    return f"bounded from above: Lipschitz constants {', '.join(f'{c:g}' for c in game.lipschitz)}"


def print_training(training: Training, folder: Path | None) -> None:
    """What was learnt: returns over the seeds, what agents end at, and what it is worth."""
    config, mean, last = training.config, _returns(training), _without_chance(training)
    outside = isinstance(training.game, ExternalGame)
    phases = config["phases"]
    facts = [
        ("game", clean(config["game"]["name"])),
        ("algorithm", f"{training.algorithm}, {config['preset'] or 'no'} preset, {config['seeds']} seeds"),
        ("steps", f"{training.steps[-1]:.0f} of {config['steps']}; {_phases(phases)}"),
        ("seconds", f"{training.seconds:.1f}"),
    ]
    ended, tried = ("no episode has ended", "none was tried yet") if outside else 2 * ("no number",)
    for i, label in enumerate(training.game.player_labels):
        facts.append(("returns", f"{clean(label)}: {_quartiles(mean[:, i], ended)}"))
        facts.append(("without chance", f"{clean(label)}: {_quartiles(last[:, i], tried)}"))
    facts += [("actions", text) for text in _actions(training)]
    judged = _certificates(training)
    if judged:
        facts.append(
            ("gap", f"{_quartiles(np.array([each.gap for each in judged]))} ({weakest(each.kind for each in judged)})")
        )
        if all(each.welfare is not None for each in judged):
            facts.append(("welfare", _quartiles(np.array([each.welfare for each in judged]))))
    if not training.is_finished:
        on = "" if folder is None else f"; equinfer resume {folder} goes on"
        facts.append(("status", f"interrupted{on}"))
    print_facts(on_stdout(), facts)


def training_record(training: Training) -> dict[str, Any]:
    """The object of `train --json`."""
    judged = _certificates(training)
    actions = training.actions
    return {
        "schema_version": training.config["schema_version"],
        "config": dict(training.config),
        "status": "finished" if training.is_finished else "interrupted",
        "seconds": training.seconds,
        "actions": list(actions) if isinstance(actions, tuple) else actions,
        "returns": _returns(training),
        "deterministic_returns": _without_chance(training),
        "gap": [each.gap for each in judged],
        "gap_kind": weakest(each.kind for each in judged) if judged else None,
        "welfare": [each.welfare for each in judged],
    }


def exit_code(training: Training, folder: Path | None) -> int:
    if training.is_finished:
        return DONE
    return INTERRUPTED if folder is None else RESUMABLE


def _certificates(training: Training) -> tuple[Certificate, ...]:
    """Of all seeds; nothing where a gap is not known."""
    try:
        return training.certificate
    except BadInput:
        return ()


def _phases(phases: dict[str, int]) -> str:
    return f"uniform play up to {phases['uniform']}, burn-in up to {phases['burn_in']}, then full play"


def _returns(training: Training) -> Float[np.ndarray, "seeds N"]:
    """Means over the last ten evaluations; in somebody else's environment over those by which an episode had ended."""
    late = training.returns[:, -10:]
    if isinstance(training.game, ExternalGame):
        late = np.ma.masked_where(np.isnan(late), late)
    return np.ma.filled(late.mean(axis=1), np.nan)


def _without_chance(training: Training) -> Float[np.ndarray, "seeds N"]:
    """At the end; in somebody else's environment of the last episode that was tried."""
    if isinstance(training.game, ExternalGame):
        return np.stack([last_known(rows) for rows in training.deterministic_returns])
    return training.deterministic_returns[:, -1]


def _quartiles(values: np.ndarray, otherwise: str = "no number") -> str:
    """Of seeds whose value is a number; `otherwise` is said if there are none."""
    known = values[~np.isnan(values)]
    if not len(known):
        return otherwise
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
    of = f" ({len(known)} of {len(values)} seeds)" if len(known) < len(values) else ""
    return f"median {figures(middle)}, quartiles {figures(low)} to {figures(high)}{of}"


def _actions(training: Training) -> list[str]:
    actions = training.actions
    rows = zip(*actions, strict=True) if isinstance(actions, tuple) else actions
    texts = [
        f"seed {seed}: " + "; ".join(", ".join(figures(float(x)) for x in np.atleast_1d(part)) for part in row)
        for seed, row in enumerate(rows)
    ]
    more = len(texts) - _SEEDS
    return texts if more <= 0 else [*texts[:_SEEDS], f"and those of {more} more seeds"]
