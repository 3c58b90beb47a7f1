"""How near learners come to equilibrium in games with states: those that nobody moves, and those that actions move.

    python -m benchmarks.learning_states [--seeds 16] [--steps 5500] [--only NAME ...] [--dry]

What agents do without chance in each state is held against the known equilibrium, and their gaps are exact: a best
response is a Markov decision process of a few states.
"""

import argparse
import os
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import equinfer as eq
from benchmarks.results import measure_into, versions
from equinfer.api import payoff_scale
from equinfer.games.catalog import equilibria
from equinfer.runs import last_phase

GRID = 2001


class Row(NamedTuple):
    """One run."""

    name: str
    algorithm: str
    target: str
    parameters: dict[str, Any]
    options: dict[str, Any]


GAMES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("demand regimes", "catalog:cournot_demand", {}),
    ("wearing plant", "catalog:cournot_capacity", {}),
    ("random, 2 states", "catalog:random", {"states": 2, "actions": 2, "discount": 0.9, "seed": 1}),
    ("random, 4 states", "catalog:random", {"states": 4, "actions": 3, "discount": 0.9, "seed": 2}),
    ("random potential", "catalog:random_potential", {"states": 3, "actions": 2, "discount": 0.9}),
    ("dynamic rock paper scissors", "catalog:dynamic_rock_paper_scissors", {"discount": 0.9}),
)


def rows() -> list[Row]:
    return [
        Row(f"{algorithm}: {name}", algorithm, target, parameters, {})
        for name, target, parameters in GAMES
        for algorithm in ("mai", "maddpg", "iddpg")
    ]


def measured(row: Row, steps: int, seeds: int) -> list[str]:
    """The cells of a row."""
    game = eq.load(row.target, **row.parameters)
    began = time.perf_counter()
    run = eq.train(row.algorithm, game, steps, seeds, seed=1, **row.options)
    seconds = time.perf_counter() - began
    if isinstance(game, eq.TabularGame):
        scale = payoff_scale(game.tables())
        gaps = np.array([each.gap for each in run.certificate]) / scale
        away = "-"
    else:
        (known,) = equilibria(row.target.partition(":")[2], **row.parameters)
        assert known.profile is not None
        assert known.values is not None
        done = decisions(run)  # (seeds, S, N)
        wide = np.array([space.high[0] - space.low[0] for space in game.spaces]) / 2
        off = np.abs(done - np.stack([policy[:, 0] for policy in known.profile], axis=1)[None]) / wide
        away = f"{off.mean():.3f} ({off.max():.3f})"
        gaps = np.array([gap(game, each) for each in done]) / np.abs(known.values).max()
    value = f"{run.trace['value'][:, -1].mean():.1f}" if "value" in run.trace else "-"
    cells = [row.name, str(seeds), away, f"{np.median(gaps):.3f} ({gaps.max():.3f})", value]
    return [*cells, f"{seconds:.0f}"]


def decisions(run: Any) -> np.ndarray:
    """(seeds, S, N): what agents of one-dimensional boxes do without chance where the state is seen one-hot."""
    phase = last_phase(run.learner, int(run.config["steps"]))
    arena = run.arena
    with jax.enable_x64(False):
        states = jnp.eye(arena.observation_size, dtype=jnp.float32)

        @jax.jit
        def all_of(state: Any) -> Any:
            def one(seen: Any) -> Any:
                seen = jnp.broadcast_to(seen[None], (arena.agents, len(seen)))
                units = run.learner.mode(arena, state, seen, phase, key=jax.random.key(0))
                return jnp.concatenate(arena.actions.to_game(units))

            return jax.vmap(one)(states)

        return np.asarray(jax.vmap(all_of)(run.state), np.float64)


def gap(game: Any, done: np.ndarray) -> float:
    """The most that any firm gains, in the mean over first states: policy iteration on a grid of its own actions."""
    rules, gamma = game.rules.step.__self__, game.discount[0]
    states, firms = done.shape
    gains = []
    for i in range(firms):
        grid = np.append(np.linspace(game.spaces[i].low[0], game.spaces[i].high[0], GRID), 0.0)
        paid, laws = np.zeros((states, GRID + 1)), np.zeros((states, GRID + 1, states))
        for s in range(states):
            grid[-1] = done[s, i]
            joint = np.tile(done[s], (GRID + 1, 1))
            joint[:, i] = grid
            paid[s], laws[s] = outcome(rules, s, joint, i)
        mine = np.full(states, GRID)
        own = worth(paid, laws, mine, gamma)
        best = own
        for _ in range(100):
            turn = (paid + gamma * laws @ best).argmax(axis=1)
            if np.array_equal(turn, mine):
                break
            mine, best = turn, worth(paid, laws, turn, gamma)
        gains.append((best - own).mean())
    return float(max(gains))


def worth(paid: np.ndarray, laws: np.ndarray, policy: np.ndarray, gamma: float) -> np.ndarray:
    """What each state is worth under a deterministic policy."""
    at = np.arange(len(policy))
    return np.linalg.solve(np.eye(len(policy)) - gamma * laws[at, policy], paid[at, policy])


def outcome(rules: Any, state: int, joint: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray]:
    """(K,) profits of firm i and (K, S) laws of the next state, for joint actions (K, N), from the games' formulae."""
    costs = rules.costs[i]
    if hasattr(rules, "stay"):
        number = len(rules.intercepts)
        law = np.full(number, (1 - rules.stay) / max(1, number - 1))
        law[state] = rules.stay if number > 1 else 1.0
        return joint[:, i] * (rules.intercepts[state] - rules.slope * joint.sum(axis=1) - costs), np.tile(
            law, (len(joint), 1)
        )
    sold = joint * rules.capacities[state]
    in_order = rules.repair - rules.wear * joint.mean(axis=1)
    profits = sold[:, i] * (rules.intercept - rules.slope * sold.sum(axis=1) - costs)
    return profits, np.stack([in_order, 1 - in_order], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5500)
    parser.add_argument("--only", nargs="*", default=["*"])
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md as it is")
    arguments = parser.parse_args()
    header = ["run", "seeds", "from Nash", "gap / scale", "value", "s"]
    caption = (
        f"`python -m benchmarks.learning_states --steps {arguments.steps}` ({os.cpu_count()} cores, shared). From "
        "Nash: mean (largest) distance of what an agent does without chance in a state, in units of [-1, 1]. Gap: "
        "median (largest) over seeds, exact, of what is done without chance; in tables, of the policies as they are "
        "executed (of MASQL counted from 2,000 draws); over the payoff scale, or in markets over the largest value at "
        "equilibrium. Value: mean of what agents think that states are worth, where nobody moves them. "
        f"{versions('equinfer', 'jax')}."
    )
    measure_into(
        ("Learning, games with states", caption),
        header,
        rows(),
        arguments.only,
        lambda row: measured(row, arguments.steps, arguments.seeds),
        dry=arguments.dry,
    )


if __name__ == "__main__":
    main()
