"""What a person reads on stdout of a mean-field game and its equilibrium."""

import numpy as np
from rich.console import Console
from rich.table import Table

from equinfer.certificates.mean_field import certify_mean_field
from equinfer.cli.display import ROWS, clean, mixed, on_stdout, print_facts, print_rest, sizes
from equinfer.equations.mean_field_potential import PotentialStructure, potential_structure_of
from equinfer.equations.mean_field_structure import structure_of
from equinfer.games.mean_field import MeanFieldGame
from equinfer.mean_field_tables import MeanFieldTables
from equinfer.memory import in_words
from equinfer.records import GameLabels, Solution

__all__ = ["print_game", "print_policies"]


def print_game(game: MeanFieldGame) -> None:
    """Sizes, dynamics, and how far uniform play is from equilibrium."""
    tables = game.tables()
    facts = [("game", sizes(GameLabels.of(tables), tables))]
    if game.num_players > 1:
        facts.append(("populations", ", ".join(map(clean, tables.player_labels))))
    if game.grid is not None:
        facts.append(("grid", " x ".join(map(str, game.grid))))
    fixed = "do not depend on the population" if game.has_fixed_dynamics else "depend on the population"
    facts += [("moves", fixed), ("tables", f"{in_words(game.nbytes)} of policy, flow, rewards and action values")]
    uniform = certify_mean_field(tables, game.uniform_profile())
    says = f"exploitability {uniform.gap:.6g} when everybody draws actions uniformly"
    facts.append(("uniform", says if uniform.doubt is None else uniform.doubt))
    facts += [("structure", phrase) for phrase in _structure(tables)]
    print_facts(on_stdout(), facts)


def _structure(tables: MeanFieldTables) -> list[str]:
    """What is seen at random laws, and the witnesses against it."""
    seen, gradient = structure_of(tables), potential_structure_of(tables)
    when = "" if tables.horizon is None else f" at time {seen.epoch}"
    crowds = (
        "crowds repel (Lasry and Lions), at all pairs of laws that were tried"
        if seen.monotone
        else f"crowds attract: two laws were met that pay more to go from one to the other{when}"
    )
    where = "rewards depend on the masses in the same place" if seen.local else "rewards depend on masses elsewhere"
    return [crowds, where, _potential(tables, gradient)]


def _potential(tables: MeanFieldTables, seen: PotentialStructure) -> str:
    if not seen.examined:
        return "potential not examined: dynamics may depend on the population, or rewards are not finite"
    if seen.witness is None:
        return f"rewards are the gradient of a potential of the law, between {seen.pairs} pairs of state and action"
    when = "" if tables.horizon is None else f" at time {seen.witness.epoch}"
    pairs = " and ".join(
        f"({clean(tables.state_labels[s])}, {clean(tables.action_labels[p][a])})"
        + (f" of {clean(tables.player_labels[p])}" if tables.num_players > 1 else "")
        for p, s, a in (seen.witness.one, seen.witness.other)
    )
    return f"no potential{when}: {pairs} mind each other differently, by {seen.defect:.3g} per mass"


def print_policies(console: Console, solution: Solution) -> None:
    """What is played where the population is, place by place in the order of time; nothing of empty places."""
    assert solution.flows is not None
    labels, several = solution.game, len(solution.profile) > 1
    timed = solution.values.ndim == 3
    table = Table(*(["population"] if several else []), *(["time"] if timed else []), "state", box=None, pad_edge=False)
    table.add_column("part", justify="right")
    table.add_column("plays")
    table.add_column("value", justify="right")
    masses = [flow.sum(axis=-1) for flow in solution.flows]
    rows = [(p, tuple(place)) for p, mass in enumerate(masses) for place in np.argwhere(mass > 0).tolist()]
    for p, place in rows[:ROWS]:
        table.add_row(
            *([clean(labels.players[p])] if several else []),
            *map(str, place[:-1]),
            clean(labels.states[place[-1]]),
            f"{masses[p][place]:.4g}",
            mixed(solution.profile[p][place], labels.actions[p]),
            f"{solution.values[(p, *place)]:.6g}",
        )
    console.print(table)
    print_rest(console, len(rows))
