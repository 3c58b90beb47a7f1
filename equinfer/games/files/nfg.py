"""Strategic games in Gambit's `.nfg` format, as payoffs or as outcomes."""

import math
from array import array
from pathlib import Path

import numpy as np
from jaxtyping import Float

from equinfer.errors import BadInput
from equinfer.games.extensive import distinct
from equinfer.games.files.gambit import Tokens, quoted
from equinfer.games.files.source import decimal, read_text, write_text
from equinfer.games.tabular import TabularGame
from equinfer.tables import refuse_unless_it_fits

__all__ = ["read", "write"]


def read(path: Path) -> TabularGame:
    """The one-shot game of a `.nfg` file: payoff or outcome form, any number of players.

    Players and strategies keep their labels (empty or repeated ones are numbered); strategies that are only counted
    are numbered from 0.

    **Raises:** `BadInput` naming the line.
    """
    text = read_text(path)
    tokens = Tokens(text, str(path))
    title, players = tokens.header("NFG", "1")
    labels, counts = _strategies(tokens, players, len(text))
    tokens.skip_comment()
    profiles = math.prod(counts)
    table = _outcome_form(tokens, players, profiles) if tokens.at("{") else _payoff_form(tokens, len(players), profiles)
    refuse_unless_it_fits(len(players), 1, counts, str(path))
    # The first player's strategy varies fastest in the file, the players' payoffs faster still.
    payoffs = table.reshape(*reversed(counts), len(players)).T
    return TabularGame.from_payoffs(payoffs, action_labels=labels, player_labels=players, name=title or path.stem)


def _strategies(
    tokens: Tokens, players: tuple[str, ...], longest: int
) -> tuple[tuple[tuple[str, ...], ...] | None, tuple[int, ...]]:
    """Labels of the strategies if the file has them, and their counts: `{ 3 2 }` or `{ { "a" "b" } { "c" } }`.

    A file of `longest` characters cannot hold more payoffs than that, so a larger table is refused here.
    """
    tokens.mark("{", "'{' before the strategies")
    labels, counts = [], []
    for player in players:
        if tokens.at("{"):
            labels.append(distinct(tokens.texts(f"a strategy of player {player} in quotes")))
            counts.append(len(labels[-1]))
        else:
            counts.append(tokens.whole(f"the number of strategies of player {player}", least=1))
        if not counts[-1]:
            tokens.fail(f"player {player} has no strategies")
        if math.prod(counts) > longest:
            tokens.fail(f"the file is too short for {' x '.join(map(str, counts))} strategy profiles")
    if labels and len(labels) != len(players):
        tokens.fail("either all players or none have their strategies listed by name")
    tokens.mark("}", f"'}}' after the strategies of {len(players)} players")
    return tuple(labels) or None, tuple(counts)


def _payoff_form(tokens: Tokens, num_players: int, profiles: int) -> Float[np.ndarray, " _"]:
    """The body as a flat list of payoffs, one per player for each strategy profile."""
    payoffs, needed = array("d"), num_players * profiles
    while not tokens.at_end:
        if payoffs and tokens.at(","):
            tokens.mark(",", "a comma")
        payoffs.append(tokens.number("a payoff"))
        if len(payoffs) > needed:
            tokens.fail(f"more payoffs than {needed} = {profiles} strategy profiles x {num_players} players")
    if len(payoffs) < needed:
        tokens.fail(f"only {len(payoffs)} payoffs of {needed} = {profiles} strategy profiles x {num_players} players")
    return np.frombuffer(payoffs)


def _outcome_form(tokens: Tokens, players: tuple[str, ...], profiles: int) -> Float[np.ndarray, " _"]:
    """The body as a list of outcomes and, for each strategy profile, the number of one (0: all payoffs are 0)."""
    outcomes = [(0.0,) * len(players)]
    tokens.mark("{", "'{' before the outcomes")
    while not tokens.at("}"):
        tokens.mark("{", "'{' before an outcome or '}' after the last")
        tokens.text("the outcome's name in quotes")
        outcomes.append(tokens.payoffs(players))
    tokens.mark("}", "'}' after the outcomes")
    chosen = array("q")
    while not tokens.at_end:
        outcome = tokens.whole("an outcome number")
        if len(chosen) == profiles:
            tokens.fail(f"more outcome numbers than the {profiles} strategy profiles")
        if outcome >= len(outcomes):
            tokens.fail(f"outcome {outcome} does not exist; there are {len(outcomes) - 1}")
        chosen.append(outcome)
    if len(chosen) < profiles:
        tokens.fail(f"only {len(chosen)} outcome numbers of {profiles}, one per strategy profile")
    return np.array(outcomes)[np.frombuffer(chosen, np.int64)].ravel()


def write(game: TabularGame, path: Path) -> None:
    """Write the legal strategies of a one-shot game in payoff form; every float comes back to the bit.

    **Raises:** `BadInput` if the game has more than one state or decision epoch.
    """
    tables = game.tables()
    if not game.is_one_shot or tables.num_states > 1:
        raise BadInput(f"{path}: an .nfg file holds a one-shot game; write {game.name!r} to .csv or .npz.")
    legal = [np.flatnonzero(mask[0]) for mask in tables.legal]
    payoffs = tables.reward[:, 0][(slice(None), *np.ix_(*legal))]
    if game.labels.actions is None and all(mask.all() for mask in tables.legal):
        strategies = " ".join(map(str, tables.num_actions))
    else:
        strategies = "\n".join(
            "{ " + " ".join(quoted(labels[a]) for a in allowed) + " }"
            for labels, allowed in zip(tables.action_labels, legal, strict=True)
        )
    rows = payoffs.T.reshape(-1, tables.num_players)
    lines = [
        f"NFG 1 R {quoted(game.name)}",
        "{ " + " ".join(map(quoted, tables.player_labels)) + " }",
        "{ " + strategies + " }",
        "",
        *(" ".join(map(decimal, row)) for row in rows.tolist()),
    ]
    write_text(path, "\n".join(lines) + "\n")
