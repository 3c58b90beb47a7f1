"""Steps a second of the trainers, beside a plain PyTorch loop with the same updates and networks of the same size.

    python -m benchmarks.learning_speed [--steps 800] [--seeds 1 8 32 128]

A step is one of the environment by both agents and one update of every network: 2 x 32 units, batches of 64, the
differential game. Compilation is apart. The PyTorch loop is one seed at a time, as such loops are.
"""

import argparse
import gc
import os
import time
from typing import Any

import jax
import numpy as np

import equinfer as eq
from benchmarks.results import table, versions, write_section
from equinfer.algorithms import learner
from equinfer.data.arena import Arena
from equinfer.drivers.lanes import keys_of_seeds
from equinfer.drivers.learning import EVERY
from equinfer.drivers.training import ROUNDS, InsideDriver


def ours(algorithm: str, seeds: int, steps: int) -> tuple[float, dict[str, float]]:
    """Seconds to compile, and steps a second over all seeds, in each phase of a run."""
    jax.clear_caches()  # numbers of seeds share lanes, and so what was compiled for them
    gc.collect()  # replays of the number before
    _, chosen = learner(algorithm, "default", {})
    phases = chosen.phases(5500)
    driver = InsideDriver(chosen, Arena.of(eq.load("catalog:differential")), phases)
    began = time.perf_counter()
    run = driver.begin(keys_of_seeds(0, seeds), 5500)
    run, _ = driver.advance(run, 0, 1)
    compiled = time.perf_counter() - began
    speeds, at = {}, 0
    for name, end in zip(("uniform play", "burn-in", "full play"), phases, strict=True):
        if end > at:
            rounds = max(1, min(ROUNDS, steps // EVERY, (end - at) // EVERY))
            began = time.perf_counter()
            run, _ = driver.advance(run, at, rounds)
            speeds[name] = rounds * EVERY * seeds / (time.perf_counter() - began)
            at = end
    return compiled, speeds


def theirs(steps: int) -> float | None:
    """Steps a second of MADDPG in PyTorch, one seed; None where it is not installed."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    torch.manual_seed(0)

    def network(inputs: int, last: Any) -> Any:
        layers = [torch.nn.Linear(inputs, 32), torch.nn.ReLU(), torch.nn.Linear(32, 32), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers, torch.nn.Linear(32, 1), *last)

    actors = [network(1, [torch.nn.Tanh()]) for _ in range(2)]
    critics = [network(3, []) for _ in range(2)]
    slow = [network(1, [torch.nn.Tanh()]) for _ in range(2)], [network(3, []) for _ in range(2)]
    adam = [torch.optim.Adam(each.parameters(), lr=1e-2) for each in (*actors, *critics)]
    memory = np.zeros((steps + 64, 3), np.float32)
    noise = np.random.default_rng(0)
    seen = torch.zeros(64, 1)
    began = time.perf_counter()
    for step in range(steps + 64):
        if step == 64:
            began = time.perf_counter()
        with torch.no_grad():
            acts = np.array([actor(seen[:1]).item() for actor in actors]) + noise.normal(size=2) * 0.1
        acts = np.clip(acts, -1, 1)
        a, b = 10 * acts
        memory[step] = *acts, max(-0.8 * ((a + 5) ** 2 + (b + 5) ** 2) / 9, 10 - (a - 5) ** 2 - (b - 5) ** 2)
        if step < 64:
            continue
        batch = torch.from_numpy(memory[noise.integers(0, step + 1, 64)])
        for i in range(2):
            loss = ((critics[i](torch.cat([seen, batch[:, :2]], 1))[:, 0] - batch[:, 2]) ** 2).mean()
            adam[2 + i].zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(critics[i].parameters(), 0.5)
            adam[2 + i].step()
            joint = batch[:, :2].clone()
            joint[:, i : i + 1] = actors[i](seen)
            loss = -critics[i](torch.cat([seen, joint], 1)).mean()
            adam[i].zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(actors[i].parameters(), 0.5)
            adam[i].step()
        with torch.no_grad():
            for fast, target in zip((*actors, *critics), (*slow[0], *slow[1]), strict=True):
                for new, old in zip(fast.parameters(), target.parameters(), strict=True):
                    old.mul_(0.99).add_(new, alpha=0.01)
    return steps / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 8, 32, 128], help="up to 4096 on an accelerator")
    arguments = parser.parse_args()
    peer = theirs(arguments.steps)
    rows = [["PyTorch loop, MADDPG", "1", "-", "-" if peer is None else f"{peer:,.0f}", "1"]]
    for algorithm in ("maddpg", "mai"):
        for seeds in arguments.seeds:
            compiled, speeds = ours(algorithm, seeds, arguments.steps)
            for phase, speed in speeds.items():
                ratio = "-" if peer is None or algorithm != "maddpg" else f"{speed / peer:.0f}"
                rows.append([f"{algorithm}, {phase}", str(seeds), f"{compiled:.1f}", f"{speed:,.0f}", ratio])
                print("  ".join(rows[-1]), flush=True)
    print("  ".join(rows[0]))
    installed = () if peer is None else ("torch",)
    command = f"python -m benchmarks.learning_speed --steps {arguments.steps} --seeds " + " ".join(
        map(str, arguments.seeds)
    )
    write_section(
        "Speed of learning",
        f"`{command}` ({jax.devices()[0].device_kind}, {os.cpu_count()} cores): steps a second, all seeds together. "
        f"{versions('equinfer', 'jax', *installed)}.\n\n"
        + table(["program", "seeds", "compile, s", "steps a second", "times PyTorch"], rows),
    )


if __name__ == "__main__":
    main()
