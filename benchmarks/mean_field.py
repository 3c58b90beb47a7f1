"""Mean-field games: what is reached without tuning on every game of the catalogue, and what a step costs.

    python -m benchmarks.mean_field [--limit 400] [--peers 10] [--only NAME ...] [--stretch] [--dry]

Each game is solved in a process of its own, compilation included, imports apart. Times are CPU seconds of one thread
(start it with OMP_NUM_THREADS=1). MFGLib and OpenSpiel, where installed, iterate for `--peers` CPU seconds at their
defaults.
"""

import argparse
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import equinfer as eq
from benchmarks.children import Broken, answers, peak_memory
from benchmarks.mean_field_peers import (
    MFGLIB,
    SETTINGS,
    Reached,
    mfglib_answer,
    mfglib_step,
    missing,
    open_spiel_answer,
)
from benchmarks.results import table, versions, write_section
from equinfer.equations.information import logarithm
from equinfer.equations.mean_field import flow_of, uniform_policies
from equinfer.solvers.mean_field.bayesian_q import BayesianQState, bayesian_q_step


class Row(NamedTuple):
    name: str
    goal: float
    """Exploitability."""
    seconds: float
    """CPU seconds in which it is wanted."""
    options: tuple[tuple[str, Any], ...] = ()
    limit: float = math.inf
    """CPU seconds after which it is interrupted, since it would go on to rounding."""

    @property
    def label(self) -> str:
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.options)])


ROWS = [
    Row("left_right", 1e-10, 10),
    Row("rock_paper_scissors", 1e-10, 10),
    Row("susceptible_infected", 1e-8, 10),
    Row("beach_bar", 1e-10, 10),
    Row("linear_quadratic", 1e-10, 10),
    Row("random_linear", 1e-10, 10),
    Row("random_linear", 1e-10, 10, (("float64", True),)),
    Row("equilibrium_price", 1e-10, 10),
    Row("equilibrium_price", 1e-10, 10, (("d", 10.0),)),
    Row("conservative_treasure_hunting", 1e-10, 10),
    Row("crowd_motion", 1e-10, 10),
    Row("building_evacuation", 1e-9, 10),
    Row("congestion", 1e-10, 10),
    Row("riccati", 1e-10, 10),
    Row("crowd_modelling", 1e-10, 10),
    Row("crowd_modelling_2d", 1e-10, 10),
    Row("four_rooms", 1e-8, 10),
    Row("open_spiel_linear_quadratic", 1e-10, 10),
    Row("periodic_aversion", 1e-9, 10),
    Row("crowd_avoidance", 1e-10, 10),
    Row("crowd_avoidance", 1e-10, 10, (("coef_congestion", 0.5),)),
    Row("predator_prey", 1e-10, 10),
    Row("predator_prey", 1e-10, 10, (("populations", 4), ("horizon", 20))),
    Row("crowd_motion", 1e-8, 60, (("T", 20),)),
]
STRETCH = Row("crowd_motion", 1e-6, 120, (("torus_l", 50), ("torus_w", 50), ("T", 10)), 115)
"""What nobody had before; minutes of work, with `--stretch`."""
STEPS = [
    ("left_right", {}),
    ("beach_bar", {}),
    ("random_linear", {}),
    ("susceptible_infected", {}),
    ("linear_quadratic", {}),
    ("crowd_motion", {}),
    ("building_evacuation", {}),
    ("crowd_motion", {"torus_l": 100, "torus_w": 100, "T": 20}),
    ("crowd_motion", {"torus_l": 316, "torus_w": 316, "T": 20}),
]
PEER_STATES = 2_500
"""MFGLib keeps tables over pairs of states, up to here."""
_DOUBLE_STATES = 20_000
"""Larger games are timed in single precision alone."""


class Answer(NamedTuple):
    seconds: float
    """CPU, of `eq.solve`, compilation included."""
    gap: float
    error: float
    solver: str
    status: str
    uniform: float
    """Exploitability of the uniform policy."""


def answer(task: tuple[Row, float] | None) -> Answer | None:
    """One game, solved in a process where nothing was compiled; None only imports."""
    if task is None:
        return None
    row, limit = task
    game = eq.load(f"catalog:mean_field/{row.name}", **dict(row.options))
    began = time.process_time()

    def watch(_: Any) -> None:
        if time.process_time() - began > row.limit:
            raise KeyboardInterrupt

    solution = eq.solve(game, "mean-field", time=limit, watch=watch)
    seconds = time.process_time() - began
    uniform = eq.certify(game, game.uniform_profile()).gap
    certificate = solution.certificate
    return Answer(seconds, solution.gap, certificate.numerical_error, solution.solver, solution.status.value, uniform)


def peer(task: tuple[str, str, str, float] | None) -> Reached | None:
    if task is None:
        return None
    package, algorithm, name, seconds = task
    return (mfglib_answer if package == "mfglib" else open_spiel_answer)((algorithm, name, seconds))


def peers_of(row: Row, seconds: float) -> list[str]:
    """Cells of MFGLib's and OpenSpiel's mirror descent and fictitious play."""
    cells = []
    for package, module, known in (("mfglib", "mfglib", MFGLIB), ("OpenSpiel", "pyspiel", tuple(SETTINGS))):
        theirs = row.options == ((("float64", True),) if (package, row.name) == ("mfglib", "random_linear") else ())
        for algorithm in ("OnlineMirrorDescent", "FictitiousPlay"):
            if row.name not in known or not theirs or missing(module):
                cells.append("")
                continue
            try:
                found: list[Any] = list(
                    answers(peer, None, [(package, algorithm, row.name, seconds)], 20 * seconds + 60)
                )
                cells.append(f"{found[0].gap:.1e}, {found[0].seconds:.1f} s" if found else "out of time")
            except Broken as error:
                cells.append(f"fails: {str(error).partition(':')[0]}")
    merged = [[cell for cell in cells[k::2] if cell] for k in range(2)]
    return [", ".join(each) for each in merged]


def reached(rows: Sequence[Row], limit: float, peers: float, only: Sequence[str] = ()) -> str:
    lines = []
    for row in rows:
        if only and row.name not in only:
            continue
        try:
            found: list[Any] = list(answers(answer, None, [(row, limit)], limit))
        except Broken as error:
            found, said = [], str(error)
        else:
            said = "out of time"
        if not found:
            lines.append([row.label, said, *[""] * 5, *peers_of(row, peers)])
            continue
        one = found[0]
        met = "yes" if one.gap + one.error <= row.goal and one.seconds <= row.seconds else "no"
        lines.append(
            [
                row.label,
                f"{one.uniform:.3g}",
                f"{one.gap:.1e} ± {one.error:.0e}",
                f"{one.seconds:.2f}",
                one.solver,
                f"{row.goal:g} in {row.seconds:g} s",
                met,
                *peers_of(row, peers),
            ]
        )
        print(*lines[-1], sep="  ", flush=True)
    header = ["game", "uniform policy", "ours: exploitability", "CPU s", "by", "goal", "met"]
    return table([*header, "mirror descent, theirs", "fictitious play, theirs"], lines)


class Step(NamedTuple):
    seconds: float
    memory: float
    theirs: float | None


def step(task: tuple[str, dict[str, Any], bool, float] | None) -> Step | None:
    """CPU seconds of one step of Algorithm 4 (flow, soft values, policy), and of MFGLib's mirror descent."""
    if task is None:
        return None
    name, options, double, budget = task
    with jax.enable_x64(double):
        game = eq.load(f"catalog:mean_field/{name}", **options)
        kind = np.float64 if double else np.float32
        game = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, kind) if np.asarray(leaf).dtype == np.float64 else jnp.asarray(leaf),
            game.unlabelled(),
        )

        @jax.jit
        def begun() -> BayesianQState:
            policies = uniform_policies(game)
            logs = tuple(map(logarithm, policies))
            return BayesianQState(jnp.asarray(0), logs, logs, flow_of(game, policies))

        @jax.jit
        def many(state: BayesianQState, count: Any) -> BayesianQState:
            return jax.lax.fori_loop(0, count, lambda _, now: bayesian_q_step(game, now, 1.0, 1.0, 1), state)

        state = begun()
        count = 1
        jax.block_until_ready(many(state, jnp.asarray(count)))
        while True:
            began = time.process_time()
            jax.block_until_ready(many(state, jnp.asarray(count)))
            spent = time.process_time() - began
            if spent >= budget:
                break
            count *= 2
    theirs = None
    if not missing("mfglib") and game.num_states <= PEER_STATES:
        theirs = mfglib_step(name, budget, options, double=double)
    return Step(spent / count, peak_memory(), theirs)


def steps(budget: float) -> str:
    lines = []
    for name, options in STEPS:
        game = eq.load(f"catalog:mean_field/{name}", **options)
        size = (game.horizon or 1) * game.num_states * sum(game.num_actions)
        for double in (True, False):
            if double and game.num_states > _DOUBLE_STATES:
                continue
            try:
                found: list[Any] = list(answers(step, None, [(name, options, double, budget)], 60))
            except Broken as error:  # JAX refuses float64 constants of some rewards in single precision
                print(name, options, double, str(error)[:200], flush=True)
                continue
            if not found:
                continue
            one = found[0]
            theirs = "" if one.theirs is None else f"{one.theirs:.1e}"
            ratio = "" if one.theirs is None else f"{one.theirs / one.seconds:.0f}"
            kind = "float64" if double else "float32"
            label = " ".join([name, *(f"{key}={value}" for key, value in options.items())])
            cells = [label, f"{size:,}", kind, f"{one.seconds:.1e}", f"{one.memory / 1e9:.2f}", theirs, ratio]
            lines.append(cells)
            print(*cells, sep="  ", flush=True)
    return table(["game", "S A H", "", "ours, CPU s", "peak memory, GB", "MFGLib, CPU s", "ratio"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=400, help="seconds a game, by the clock")
    parser.add_argument("--peers", type=float, default=10, help="CPU seconds of each algorithm of others")
    parser.add_argument("--only", nargs="*", default=[], help="names of games")
    parser.add_argument("--stretch", action="store_true", help="the largest grid as well")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md as it is")
    arguments = parser.parse_args()
    rows = [*ROWS, STRETCH] if arguments.stretch else ROWS
    first = reached(rows, arguments.limit, arguments.peers, arguments.only)
    second = "" if arguments.only else steps(1.0)
    print(first, second, sep="\n\n")
    if arguments.dry or arguments.only:
        return
    absent = [name for name, module in (("MFGLib", "mfglib"), ("OpenSpiel", "pyspiel")) if missing(module)]
    installed = [name for name in ("mfglib", "open_spiel") if not missing({"open_spiel": "pyspiel"}.get(name, name))]
    stretch = " --stretch" if arguments.stretch else ""
    command = f"`OMP_NUM_THREADS=1 python -m benchmarks.mean_field{stretch} --peers {arguments.peers:g}`"
    write_section(
        "Mean-field games",
        f"{command}: `eq.solve(game, concept='mean-field')` without any option, a process for each game, compilation "
        "included and imports apart. Exploitability is that of the certificate (of MFGLib's policies as well; "
        "OpenSpiel's NashConv of its own games, which remember the last move where ours do not), in units of reward. "
        f"Others iterate for {arguments.peers:g} CPU seconds with their default parameters (OpenSpiel's mirror descent "
        f"with steps of .1) and show the best they met.{' Not installed: ' + ', '.join(absent) + '.' if absent else ''}"
        f" {versions('equinfer', 'jax', 'scipy', *installed)}.\n\n{first}\n\nOne step of Algorithm 4, prior = previous "
        f"policy, beside one of MFGLib's mirror descent, compilation apart:\n\n{second}",
    )


if __name__ == "__main__":
    main()
