"""Time of a VPG sweep against the memory traffic that it cannot avoid.

A sweep reads the transition table twice (the chain that everybody's play induces, then the expected values, which need
the solution of the chain in between) and the reward table twice. The program sets the time of a sweep against what the
machine would need for that traffic at its measured bandwidth, and beside it the time of the linear solve, which is not
traffic: it grows as S^3 and is the floor of an exact evaluation when there are few joint actions.

    python -m benchmarks.vpg_bandwidth [--repeats 5] [--sizes 2,200,4 2,500,4 3,50,8]
"""

import argparse
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.results import table, versions, write_section
from equinfer.drivers.scan import advance, begin
from equinfer.equations.backup import evaluate_soft
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.vpg import VPG

SIZES = ("2,200,4", "2,500,4", "3,50,8")


def random_game(num_players: int, num_states: int, num_actions: int, seed: int = 0) -> TabularGame:
    rng = np.random.default_rng(seed)
    joint = (num_states, *[num_actions] * num_players)
    kernel = rng.random((*joint, num_states))
    kernel /= kernel.sum(axis=-1, keepdims=True)
    return TabularGame(rng.random((num_players, *joint)), kernel, discount=0.95)


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """The quickest of some runs: what the machine can do when nobody else is using it."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def bandwidth(size: int, repeats: int) -> dict[str, float]:
    """Bytes per second of NumPy's copy (2 arrays) and triad (3, and a temporary), each array of `size` bytes."""
    b, c = np.random.default_rng(0).random((2, max(1, size // 8)))
    a, scaled = np.empty_like(b), np.empty_like(b)
    inner = max(1, (1 << 28) // size)

    def copy() -> None:
        for _ in range(inner):
            np.copyto(a, b)

    def triad() -> None:
        for _ in range(inner):
            np.multiply(c, 3.0, out=scaled)
            np.add(b, scaled, out=a)

    copied, traded = best_seconds(copy, repeats), best_seconds(triad, repeats)
    return {"copy": 2 * inner * a.nbytes / copied, "triad": 5 * inner * a.nbytes / traded}


def measure(size: str, repeats: int) -> dict[str, float]:
    game = random_game(*map(int, size.split(",")))
    solver, game_, state, keys = begin(VPG(temperature=0.5, step_size=0.1, tolerance=0.0), game, seed=0)

    def sweeps(count: int) -> None:
        jax.block_until_ready(advance(solver, game_, state, keys, jnp.asarray(0), jnp.asarray(count)))

    began = time.perf_counter()
    sweeps(1)
    compiled = time.perf_counter() - began
    count = max(4, int(0.3 / best_seconds(lambda: sweeps(1), 1)))
    sweep = best_seconds(lambda: sweeps(count), repeats) / count

    chain = jnp.asarray(game.kernel.induced(game.uniform_profile()))
    reward, discount = (
        jnp.asarray(game.reward).reshape(*game.reward.shape[:2], -1).mean(axis=2),
        jnp.asarray(game.discount),
    )
    solve = jax.jit(evaluate_soft)
    solved = best_seconds(lambda: jax.block_until_ready(solve(reward, chain, discount)), 5 * repeats)
    tables = game.tables()
    traffic = 2 * (tables.kernel.nbytes + tables.reward.nbytes)
    return {"compile": compiled, "sweep": sweep, "solve": solved, "traffic": traffic}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="N,S,A")
    arguments = parser.parse_args()
    rows = []
    with jax.enable_x64(True):
        for size in arguments.sizes:
            measured = measure(size, arguments.repeats)
            speed = bandwidth(int(measured["traffic"] // 2), arguments.repeats)
            floor = measured["traffic"] / max(speed.values())
            rows.append((size, measured, speed, floor))
    header = ["N,S,A", "tables, MB", "copy, GB/s", "triad, GB/s", "compile, s", "sweep, ms", "of it solve, ms"]
    header += ["traffic at full bandwidth, ms", "sweep / traffic", "(sweep - solve) / traffic"]
    lines = [
        [
            size,
            f"{m['traffic'] / 2e6:.1f}",
            f"{speed['copy'] / 1e9:.1f}",
            f"{speed['triad'] / 1e9:.1f}",
            f"{m['compile']:.1f}",
            f"{1e3 * m['sweep']:.3f}",
            f"{1e3 * m['solve']:.3f}",
            f"{1e3 * floor:.3f}",
            f"{m['sweep'] / floor:.2f}",
            f"{(m['sweep'] - m['solve']) / floor:.2f}",
        ]
        for size, m, speed, floor in rows
    ]
    body = table(header, lines)
    print(body)
    command = f"`python -m benchmarks.vpg_bandwidth --repeats {arguments.repeats}`"
    write_section("VPG: a sweep against memory bandwidth", f"{command}. {versions('equinfer', 'jax')}.\n\n{body}")


if __name__ == "__main__":
    main()
