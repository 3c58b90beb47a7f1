"""`equinfer certify --players`: what a mean-field policy leaves one of a number of players to gain."""

from dataclasses import asdict
from typing import Any

from equinfer.cli.display import on_stdout, print_facts, print_json, sizes
from equinfer.cli.usage import verdict_code
from equinfer.many_players import Gain, PlayersGap, players_gap
from equinfer.records import GameLabels

__all__ = ["judge"]

_SEES = {
    "blind": "by a policy of time and its own state",
    "sighted": "by planning anew from where everybody is",
    "prescient": "by knowing beforehand what all others will do",
}


def judge(game: Any, answer: str, players: int, eps: float | None, as_json: bool) -> int:
    """Print it; what the exit code says is whether it is known to be within `eps`, where there is one."""
    found = players_gap(game, answer, players)
    if as_json:
        print_json({"schema_version": 1, "game": GameLabels.of(game.tables()).to_json(), **_record(found)})
    else:
        print_facts(on_stdout(), [("game", sizes(GameLabels.of(game.tables()), game.tables())), *_facts(found)])
    return verdict_code(eps is None or found.interval[1] <= eps)


def _record(found: PlayersGap) -> dict[str, Any]:
    record = asdict(found)
    return record | {what: gain and gain._asdict() for what, gain in _gains(found).items()}


def _gains(found: PlayersGap) -> dict[str, Gain | None]:
    return {what: getattr(found, what) for what in _SEES}


def _facts(found: PlayersGap) -> list[tuple[str, str]]:
    exact = found.kind == "exact"
    facts = [("players", f"{found.players:,}"), ("gain", f"{found.gap:.3g} of one of them, {found.kind}")]
    if not exact:
        low, high = found.interval
        between = f"at least {low:.3g}" if high == float("inf") else f"from {low:.3g} to {high:.3g}"
        facts.append(("interval", f"{between} with confidence {found.confidence:g}, by {found.paths:,} paths"))
    for what, gain in _gains(found).items():
        if gain is not None:
            facts.append((what, f"{gain.mean:.3g}, in [{gain.low:.3g}, {gain.high:.3g}], {_SEES[what]}"))
    return facts
