"""What a person reads on stdout."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from equinfer.answer import RARE
from equinfer.certificates.potential import potential_defect, proved_potential
from equinfer.games import structure
from equinfer.games.tabular import TabularGame
from equinfer.mean_field_tables import AnyTables, MeanFieldTables
from equinfer.memory import in_words
from equinfer.records import Certificate, Deviation, GameLabels, Solution, Status
from equinfer.tables import Tables
from equinfer.writing import json_text

__all__ = [
    "certificate_record",
    "clean",
    "figures",
    "hue",
    "mixed",
    "on_stdout",
    "print_catalogue",
    "print_certificate",
    "print_facts",
    "print_info",
    "print_json",
    "print_rest",
    "print_solution",
    "sizes",
]

ROWS = 12
"""States that a summary shows; the files of --out and --json hold all of them."""
COMPARED = 10**7
"""Joint actions times actions of a one-shot game up to which `info` looks for what stands against a potential."""
ACTIONS = 5
"""Actions of one mixed action that a summary spells out."""


def print_json(record: Mapping[str, Any]) -> None:
    text = json_text(record)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # labels that this terminal has no letters for
        text = json.dumps(json.loads(text))
    print(text)


def print_solution(solution: Solution) -> None:
    """What was solved, the equilibrium, the verdict."""
    seconds = solution.seconds
    console = on_stdout()
    print_facts(
        console,
        [
            ("game", sizes(solution.game, solution.tables, _epochs(solution))),
            ("answer", f"{solution.concept}, by {solution.solver} in {seconds['solve']:.3g} s"),
        ],
    )
    console.print()
    if solution.flows is not None:
        from equinfer.cli.population import print_policies

        print_policies(console, solution)
    elif solution.joint is not None:
        _print_joint(console, solution)
    elif solution.signal is not None:
        _print_public(console, solution)
    elif solution.behaviour is None:
        _print_profile(console, solution)
    else:
        _print_behaviour(console, solution)
    console.print()
    facts = _gap_facts(solution.certificate, solution.eps)
    if solution.objective is not None:
        from equinfer.cli.joint import objective_in_words

        facts.append(("objective", objective_in_words(solution)))
    if solution.bound is not None:
        facts.append(("theory", f"promises a gap of at most {solution.bound:.3g}"))
    facts += [("tried", str(attempt)) for attempt in solution.tried]
    facts.append(("seconds", f"{seconds['total']:.3g} in all, {seconds['solve']:.3g} of them solving"))
    print_facts(console, facts)
    _print_status(console, solution.status, solution.certified)
    _print_warnings(console, solution.warnings)
    if not solution.certified:
        console.print()
        _print_deviations(console, solution.game, solution.certificate)


def print_certificate(tables: AnyTables, certificate: Certificate, eps: float) -> None:
    """How far an answer is from equilibrium, and what each player would rather do."""
    console = on_stdout()
    labels = GameLabels.of(tables)
    print_facts(console, [("game", sizes(labels, tables)), *_gap_facts(certificate, eps)])
    console.print()
    _print_deviations(console, labels, certificate)
    console.print()
    holds = certificate.holds(eps)
    console.print(Text(f"{'' if holds else 'no '}{certificate.equilibrium} to within eps", hue(holds)))
    _print_warnings(console, certificate.warnings(eps, labels.players))


def certificate_record(tables: AnyTables, certificate: Certificate, eps: float) -> dict[str, Any]:
    """The object of `certify --json`: the keys that `solve --json` has for the same things."""
    from equinfer.api import payoff_scale

    labels = GameLabels.of(tables)
    return {
        "schema_version": 1,
        "game": labels.to_json(),
        "concept": certificate.concept,
        "certified": certificate.holds(eps),
        "gap": certificate.gap,
        "gap_kind": certificate.kind,
        "gap_unit": certificate.unit,
        "per_player_gap": certificate.per_player,
        "per_player_error": certificate.per_player_error,
        "numerical_error": certificate.numerical_error,
        "eps": eps,
        "payoff_scale": payoff_scale(tables, certificate.concept),
        "payoff_scales": certificate.payoff_scales,
        "warnings": certificate.warnings(eps, labels.players),
        "values": certificate.values,
        "deviations": [{"policy": each.policy, "gain": each.gain} for each in certificate.deviations],
    }


def print_info(game: TabularGame) -> None:
    """Sizes, structure, doubts."""
    console, tables = on_stdout(), game.tables()
    nbytes = tables.reward.nbytes + tables.kernel.nbytes
    potential = proved_potential(tables)
    if potential is None and tables.is_one_shot and tables.legal_joint.size * max(tables.num_actions) <= COMPARED:
        potential = potential_defect(tables)
    found = structure.findings(tables) + (() if potential is None else (potential.message,))
    found = found or ("none that equinfer looks for",)
    reward = tables.reward[:, tables.legal_joint]
    facts = [
        ("game", sizes(GameLabels.of(tables), tables)),
        ("players", ", ".join(map(clean, tables.player_labels))),
        ("rewards", f"from {reward.min():g} to {reward.max():g}; payoff scale {tables.payoff_scale:g}"),
        ("tables", f"{math.prod(tables.num_actions) * tables.num_states} joint rows, {in_words(nbytes)}"),
        *(("structure", phrase) for phrase in found),
        *(("doubt", sentence) for sentence in structure.doubts(tables)),
    ]
    if not tables.legal_joint.all():
        facts.insert(3, ("legal", f"{tables.legal_joint.sum()} of the joint rows"))
    if game.extensive is not None:
        sets = sum(map(len, game.extensive.information_sets))
        facts.insert(1, ("tree", f"{sets} information sets; actions are the strategies of the reduced normal form"))
    print_facts(console, facts)


def print_catalogue() -> None:
    """The games that come along, with their parameters."""
    from equinfer.games import catalog

    table = Table("name", "parameters", "what it is", box=None, pad_edge=False)
    for entry in (*catalog.entries(), *catalog.continuous_entries(), *catalog.mean_field_entries()):
        table.add_row(
            entry.name, " ".join(f"{name}={value}" for name, value in entry.parameters.items()), entry.description
        )
    on_stdout().print(table)


def _print_profile(console: Console, solution: Solution) -> None:
    labels = solution.game
    many = len(labels.states) > 1 or solution.values.ndim > 2
    if not many:
        table = Table("player", "plays", "value", box=None, pad_edge=False)
        for i, player in enumerate(labels.players):
            plays = mixed(solution.profile[i][0], labels.actions[i])
            table.add_row(clean(player), plays, figures(solution.values[i, 0]))
        console.print(table)
        return
    places = _places(solution)
    table = Table(*(["epoch"] if solution.values.ndim > 2 else []), "state", box=None, pad_edge=False)
    for player in labels.players:
        table.add_column(clean(player))
        table.add_column("value", justify="right")
    for place in places[:ROWS]:
        row = [*map(str, place[:-1]), clean(labels.states[int(place[-1])])]
        for i in range(len(labels.players)):
            row += [mixed(solution.profile[i][place], labels.actions[i]), figures(solution.values[(i, *place)])]
        table.add_row(*row)
    console.print(table)
    print_rest(console, len(places))


def _print_joint(console: Console, solution: Solution) -> None:
    """The law of the recommendations, and what each player is worth where the game begins."""
    from equinfer.cli.joint import recommendations

    places = _places(solution)
    console.print(recommendations(solution, places[:ROWS]))
    print_rest(console, len(places))
    console.print()
    _print_values(console, solution, places[0])


def _print_public(console: Console, solution: Solution) -> None:
    """What each signal calls for, and what each player is worth where the game begins."""
    from equinfer.cli.signals import called_for

    places = _places(solution)
    console.print(called_for(solution, places[:ROWS]))
    print_rest(console, len(places))
    console.print()
    _print_values(console, solution, places[0])


def _print_values(console: Console, solution: Solution, place: tuple[int, ...]) -> None:
    table = Table("player", "value", box=None, pad_edge=False)
    for i, player in enumerate(solution.game.players):
        table.add_row(clean(player), figures(solution.values[(i, *place)]))
    console.print(table)


def print_rest(
    console: Console, rows: int, shown: int = ROWS, where: str = "with --json, or in the folder of --out"
) -> None:
    """Say how many rows a table leaves out, if it does, and where they are."""
    if rows > shown:
        console.print(f"... {rows - shown} more rows: all of them {where}")


def _print_behaviour(console: Console, solution: Solution) -> None:
    """Of a game tree: what each player does where it has to choose."""
    table = Table("player", "value", "information set", "plays", box=None, pad_edge=False)
    rows = [
        (i, information_set, actions)
        for i, sets in enumerate(solution.behaviour)
        for information_set, actions in sets.items()
    ]
    for i, information_set, actions in rows[:ROWS]:
        plays = mixed(np.array(list(actions.values())), list(actions))
        value = figures(solution.values[i, 0])
        table.add_row(clean(solution.game.players[i]), value, clean(information_set), plays)
    console.print(table)
    print_rest(console, len(rows))


def _places(solution: Solution) -> list[tuple[int, ...]]:
    """([epoch,] state) of every row; the states in which the game can begin stand first."""
    places = list(np.ndindex(solution.values.shape[1:]))
    if solution.tables is None:
        return places
    initial = solution.tables.initial
    return sorted(places, key=lambda place: (place[:-1], initial[place[-1]] == 0))


def _print_deviations(console: Console, labels: GameLabels, certificate: Certificate) -> None:
    table = Table("player", "gap", "what it would rather do", box=None, pad_edge=False)
    told = certificate.concept in ("correlated", "coarse-correlated")
    best = "it does best to obey" if told else "its policy is a best response"
    for i, player in enumerate(labels.players):
        gap = float(certificate.per_player[i])
        words = f"nothing: {best}"
        if gap > certificate.per_player_error[i] and i < len(certificate.deviations):
            signalled = certificate.deviations[i].gain.ndim == certificate.values.ndim
            at_once = certificate.concept == "mean-field"
            words = _in_words(certificate.deviations[i], labels, i, signalled, at_once)
        table.add_row(clean(player), f"{gap:.3g}", words)
    console.print(table)


def _in_words(deviation: Deviation, labels: GameLabels, player: int, signalled: bool, at_once: bool) -> str:
    """Where its gain is largest, ([signal,] [epoch,] state): what the player should do instead.

    **Arguments:** `at_once`: only in the first epoch, since later few may be there.
    """
    gain = deviation.gain
    if at_once and gain.ndim > 1:
        gain = np.where(np.arange(len(gain))[:, None] == 0, gain, 0.0)
    place = [int(index) for index in np.unravel_index(np.argmax(gain), gain.shape)]
    policy, largest = deviation.policy[tuple(place)], f"gains {gain.max():.3g}"
    signal = f"after signal {place.pop(0)}, " if signalled else ""
    epoch = f"epoch {place[0]}, " if len(place) > 1 else ""
    here = f"from {epoch}state {clean(labels.states[place[-1]])} on, " if len(labels.states) > 1 or epoch else ""
    where = signal + here
    if policy.ndim == 2:
        from equinfer.cli.joint import swaps_in_words

        return f"{where}{swaps_in_words(policy, labels.actions[player])}: {largest}"
    return f"{where}play {mixed(policy, labels.actions[player])}: {largest}"


def _print_status(console: Console, status: Status, certified: bool) -> None:
    console.print()
    console.print(Text(f"{status.value.replace('_', ' ').upper()}. {status.message}", hue(certified)))


def _print_warnings(console: Console, warnings: Sequence[str]) -> None:
    for sentence in warnings:
        console.print(Text(f"Warning: {clean(sentence)}", "yellow"), soft_wrap=True)


def _gap_facts(certificate: Certificate, eps: float) -> list[tuple[str, str]]:
    return [
        (
            "gap",
            f"{certificate.gap:.3g} ± {certificate.numerical_error:.1g} in {certificate.unit} ({certificate.kind}); "
            f"eps is {eps:.3g}",
        )
    ]


def print_facts(console: Console, facts: Sequence[tuple[str, str]]) -> None:
    """Lines of a name and a text; a name that repeats is shown once."""
    width = max(len(name) for name, _ in facts)
    previous = ""
    for name, text in facts:
        shown = "" if name == previous else name
        console.print(Text(f"{shown:<{width}}  ", "bold").append(Text(text, "not bold")), soft_wrap=True)
        previous = name


def sizes(labels: GameLabels, tables: AnyTables | None, epochs: int | None = None) -> str:
    """The name of a game, and how large it is.

    **Arguments:** `epochs`, those of a mean-field game whose tables are not at hand; 0 if it is stationary.
    """
    states = f"{len(labels.states)} states, " if len(labels.states) > 1 else ""
    actions = " x ".join(str(len(actions)) for actions in labels.actions)
    number, who = len(labels.players), "players"
    if isinstance(tables, MeanFieldTables) or epochs is not None:
        number, who = ("one", "population") if number == 1 else (number, "populations")
    duration = f", {epochs} epoch{'s' if epochs > 1 else ''}" if epochs else _duration(tables)
    duration = ", stationary" if epochs == 0 else duration
    return f"{clean(labels.name)}: {number} {who}, {states}{actions} actions{duration}"


def _epochs(solution: Solution) -> int | None:
    """Of a mean-field equilibrium; 0 if it is stationary."""
    if solution.flows is None:
        return None
    return solution.values.shape[1] if solution.values.ndim == 3 else 0


def _duration(tables: AnyTables | None) -> str:
    if tables is None:
        return ""
    discounts = sorted(set(np.atleast_1d(tables.discount).tolist()))
    discount = f"{discounts[0]:g}" if len(discounts) == 1 else f"{discounts[0]:g} to {discounts[-1]:g}"
    if tables.horizon is not None:
        epochs = f"{tables.horizon} epoch{'s' if tables.horizon > 1 else ''}"
        return f", {epochs}" + ("" if discounts == [1.0] else f", discount {discount}")
    return ", one-shot" if isinstance(tables, Tables) and tables.is_one_shot else f", discount {discount}"


def mixed(policy: np.ndarray, actions: Sequence[str]) -> str:
    """A mixed action in words, likeliest first."""
    order = np.argsort(-policy, kind="stable")
    support = [int(a) for a in order if policy[a] > RARE] or [int(order[0])]
    if len(support) == 1:
        return clean(actions[support[0]])
    if len(support) <= ACTIONS and np.ptp(policy[support]) < 1e-12:
        return f"{', '.join(clean(actions[a]) for a in sorted(support))}: {policy[support[0]]:.4g} each"
    words = ", ".join(f"{clean(actions[a])} {policy[a]:.4g}" for a in support[:ACTIONS])
    return words + (f", {len(support) - ACTIONS} more" if len(support) > ACTIONS else "")


def figures(number: float | None) -> str:
    """A number in six figures."""
    return "-" if number is None else f"{number:.6g}"


def clean(label: str) -> str:
    """A label without anything that could drive a terminal."""
    # A file may call an action anything, terminal escapes included.
    return "".join(character if character.isprintable() else "?" for character in label)


def hue(good: bool) -> str:
    """The style of a verdict."""
    return "bold green" if good else "bold yellow"


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def on_stdout() -> Console:
    # Off a terminal nothing is cut to a width that nobody has.
    width = None if sys.stdout.isatty() else 200
    return _Console(highlight=False, markup=False, emoji=False, width=width)
