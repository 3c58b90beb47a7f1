"""The spaces that a search for presets draws from: one for each algorithm of learning_search."""

import math
from typing import Any, NamedTuple

import numpy as np


class Log(NamedTuple):
    """Evenly on a scale of logarithms, rounded to two digits."""

    low: float
    high: float

    def draw(self, random: np.random.Generator) -> float:
        return rounded(math.exp(random.uniform(math.log(self.low), math.log(self.high))))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


class Among(NamedTuple):
    """One of these."""

    values: tuple[Any, ...]

    def draw(self, random: np.random.Generator) -> Any:
        return self.values[random.integers(len(self.values))]

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


class Levels(NamedTuple):
    """Noise that falls exponentially, or one of the first kind's starts that falls once to one of its ends, late."""

    start: Log
    end: Log
    shares: tuple[float, float]

    def draw(self, random: np.random.Generator) -> tuple[tuple[float, float], ...]:
        high, low, share = self.start.draw(random), self.end.draw(random), rounded(random.uniform(*self.shares))
        return ((0.0, high), (share, low)) if random.integers(2) else ()

    def __str__(self) -> str:
        return f"exponential, or {self.start} until a share of {self.shares[0]} to {self.shares[1]}, then {self.end}"


UNIFORM = Among((500, 1000, 2000, 3000))
FALL = Among((1.0, 0.3, 0.1, 0.03))
START, END = Log(0.3, 2.0), Log(0.005, 0.2)
DETERMINISTIC = {
    "uniform_steps": UNIFORM,
    "critic_rate": Log(2e-3, 2e-2),
    "actor_rate": Log(3e-4, 2e-2),
    "final_rate": FALL,
    "noise": Levels(START, END, (0.4, 0.9)),
    "noise_start": START,
    "noise_end": END,
    "noise_decay": Log(2e-4, 1e-2),
    "correlation": Among((0.0, 0.85)),
    "penalty": Log(1e-4, 1e-2),
    "eager": Among((False, True)),
}
SPACES: dict[str, dict[str, Any]] = {
    "maddpg": DETERMINISTIC,
    "iddpg": DETERMINISTIC,
    "masql": {
        "sampler": Among(("exact", "actions")),
        "uniform_steps": UNIFORM,
        "critic_rate": Log(2e-3, 2e-2),
        "sampler_rate": Log(3e-4, 2e-2),
        "final_rate": FALL,
        "temperature": Log(0.1, 20.0),
        "final_temperature": Log(0.02, 0.5),
        "annealing": Log(5e-4, 1e-2),
        "eager": Among((False, True)),
    },
    "rommeo": {
        "uniform_steps": UNIFORM,
        "rate": Log(1e-3, 2e-2),
        "final_rate": FALL,
        "temperature": Log(0.1, 20.0),
        "final_temperature": Log(0.02, 0.5),
        "annealing": Log(5e-4, 1e-2),
        "eager": Among((False, True)),
    },
    "mai": {
        "uniform_steps": UNIFORM,
        "burn_in": Among((250, 500, 1000)),
        "critic_rate": Log(2e-3, 2e-2),
        "actor_rate": Log(3e-4, 2e-2),
        "prior_rate": Log(1e-3, 3e-2),
        "trust_rate": Log(1e-3, 3e-2),
        "reward_rate": Log(3e-4, 2e-2),
        "final_rate": FALL,
        "temperature": Log(0.05, 2.0),
        "final_temperature": Log(0.02, 0.2),
        "annealing": Log(5e-4, 1e-2),
    },
}


def rounded(number: float) -> float:
    return float(f"{number:.2g}")
