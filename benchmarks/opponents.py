"""Opponent models side by side: what a learner reaches with each, how many moves they need, and what they foretell.

Four tables. *Play*: the certified gap of sampled VPG after 100,000 moves, with opponents known, counted and inferred.
*All six*: the same with the models that are there for comparison. *Moves*: how far beliefs are from an opponent who
answers softly, after so many moves of everyone. *New rules*: after the kernel, an own payoff or the rule of outcomes
has changed, how well what was learnt before predicts the logit equilibrium that follows, and what the best response to
the prediction loses.

    python -m benchmarks.opponents [--seeds 20] [--only rules,moves,play,others]
"""

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.results import table, versions, write_section
from equinfer.certificates import certify_nash
from equinfer.concepts import concept
from equinfer.contraction import context_law
from equinfer.drivers.scan import advance, begin
from equinfer.equations.information import kl_divergence, total_variation
from equinfer.games.catalog import load
from equinfer.games.tabular import TabularGame
from equinfer.opponents import AbstractOpponentModel, Empirical, Inferred, InferredFlat, Moves, Oracle, Own, Trajectory
from equinfer.opponents.judging import best_response_regret, imagined_game
from equinfer.solvers.tabular.vpg import VPG
from equinfer.solvers.tabular.vpg_sampled import SampledVPG

MATRIX = ("prisoners_dilemma", "stag_hunt", "chicken", "battle_of_the_sexes", "climbing", "matching_pennies")
MODELS: dict[str, Callable[[float], AbstractOpponentModel]] = {
    "oracle": lambda temperature: Oracle(),
    "empirical": lambda temperature: Empirical(renewal=0.5),
    "inferred": lambda temperature: Inferred(),
    "inferred-flat": lambda temperature: InferredFlat(),
    "own": lambda temperature: Own(temperature=temperature),
    "trajectory": lambda temperature: Trajectory(),
}
SAMPLES = 100_000


class Setting(NamedTuple):
    """Of sampled VPG; the temperature in units of the largest range of rewards."""

    share: float
    step_size: float
    worlds: int


ONE_SHOT, WITH_STATES = Setting(0.1, 0.02, 2), Setting(0.05, 0.01, 32)


def play_games() -> list[tuple[str, TabularGame]]:
    games = [(name, load(name)) for name in (*MATRIX, "grid_game_1")]
    return games + [(f"random potential {seed}", load("random_potential", seed=seed)) for seed in range(5)]


def learnt_profiles(game: TabularGame, model: str, setting: Setting, seeds: int) -> list[tuple[np.ndarray, ...]]:
    """The last profile of each seed."""
    temperature = setting.share * float(game.tables().reward_ranges.max())
    row = concept("nash", opponent=MODELS[model](temperature))
    solver = SampledVPG(
        concept=row, temperature=temperature, step_size=setting.step_size, worlds=setting.worlds, seeds=seeds
    )
    solver, played, state, keys = begin(solver, game, seed=0)
    profile = advance(solver, played, state, keys, jnp.asarray(0), jnp.asarray(SAMPLES // setting.worlds))[2]
    return [tuple(np.asarray(policy)[k] for policy in profile) for k in range(seeds)]


def cell(game: TabularGame, model: str, setting: Setting, seeds: int) -> tuple[str, float]:
    """Median and worst gap over the payoff scale, and CPU seconds; and the median as a number."""
    tables, began = game.tables(), time.process_time()
    profiles = learnt_profiles(game, model, setting, seeds)
    gaps = np.array([certify_nash(tables, profile).gap for profile in profiles]) / tables.payoff_scale
    median = float(np.median(gaps))
    return f"{median:.4f} ({gaps.max():.4f}), {time.process_time() - began:.0f} s", median


def play_table(seeds: int) -> str:
    rows = []
    for name, game in play_games():
        setting = ONE_SHOT if game.num_states == 1 else WITH_STATES
        cells = [cell(game, model, setting, seeds) for model in ("oracle", "empirical", "inferred")]
        known, inferred = cells[0][1], cells[2][1]
        holds = inferred <= max(2 * known, known + 0.02) and (inferred <= 0.05 or known > 0.05)
        rows.append([name, *(text for text, _ in cells), "yes" if holds else "**no**"])
        print(*rows[-1], sep=" | ", flush=True)
    return table(["game", "oracle", "empirical", "inferred", "as good as known"], rows)


def others_table(seeds: int) -> str:
    rows = []
    games = [(name, load(name)) for name in ("prisoners_dilemma", "stag_hunt", "chicken")]
    for name, game in [*games, ("random potential 0", load("random_potential", seed=0))]:
        cells = [cell(game, model, WITH_STATES, min(seeds, 5))[0] for model in MODELS]
        rows.append([name, *cells])
        print(*rows[-1], sep=" | ", flush=True)
    return table(["game", *MODELS], rows)


# How many moves.


def soft_equilibrium(game: TabularGame, temperature: float) -> tuple[np.ndarray, ...]:
    """The logit equilibrium where round-robin VPG with a small step goes."""
    solver = VPG(temperature=temperature, step_size=0.1, order="round-robin", tolerance=1e-10)
    solver, played, state, keys = begin(solver, game, seed=0)
    _, info, profile, _ = advance(solver, played, state, keys, jnp.asarray(0), jnp.asarray(20_000))
    if float(info["residual"]) > 1e-6 * temperature:
        print(f"warning: {game.name}: residual {float(info['residual']):.1e}", flush=True)
    return tuple(map(np.asarray, profile))


def moves_seen(game: TabularGame, player: int, profile: Any, rows: np.ndarray, rng: np.random.Generator) -> Moves:
    """What `player` of two sees of one move in each of `rows`."""
    actions = np.stack([_drawn(policy[rows], rng) for policy in profile], axis=1)
    following = _drawn(game.kernel.dense()[(rows, *actions.T)], rng)
    reward = np.asarray(game.reward)[(player, rows, *actions.T)]
    other = actions[:, [1 - player]]
    arrays = (rows, actions[:, player], other, other[:, 0], reward, following, np.ones(len(rows), bool))
    return Moves(*map(jnp.asarray, arrays))


def _drawn(laws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    cumulated = np.cumsum(laws, axis=1)
    return np.minimum((rng.random((len(laws), 1)) > cumulated).sum(axis=1), laws.shape[1] - 1)


def fitted(model: Any, game: TabularGame, profile: Any, moves: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    seen = moves_seen(game, 0, profile, rng.integers(game.num_states, size=moves), rng)

    @jax.jit
    def fit(seen: Moves) -> Any:
        state = model.update(model.init(game, 0), seen, 0)
        return model.refined(state, 0, 2000 if model.features is None else 60) if hasattr(model, "refined") else state

    return fit(seen)


def belief(model: Any, state: Any, game: TabularGame) -> np.ndarray:
    return np.asarray(model.predict(state, tuple(map(jnp.asarray, game.uniform_profile())), 0))


def moves_table(seeds: int) -> str:
    rows = []
    for name in ("matching_pennies", "chicken", "climbing", "grid_game_1"):
        game = load(name, discount=0.9) if name == "grid_game_1" else load(name)
        temperature = 0.1 * float(game.tables().reward_ranges.max())
        profile = soft_equilibrium(game, temperature)
        features = tuple(np.asarray(reward)[..., None] / temperature for reward in np.asarray(game.reward))
        models = {
            "counted": Empirical(),
            "free table": Inferred(ridge=0.3),
            "one weight": Inferred(features=features, ridge=0.3),
        }
        truth = context_law(profile, 0)
        for per_state in (3, 10, 100, 1000):
            cells: list[object] = [name, per_state]
            for model in models.values():
                found = [
                    total_variation(
                        belief(model, fitted(model, game, profile, per_state * game.num_states, s), game), truth
                    )
                    for s in range(min(seeds, 5))
                ]
                cells.append(f"{np.mean(found):.3f}")
            rows.append(cells)
            print(*cells, sep=" | ", flush=True)
    return table(["game", "moves a state", *models], rows)


# New rules.


class World(NamedTuple):
    """A game whose rewards are weights of features."""

    kernel: np.ndarray
    features: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]
    discount: float

    def game(self) -> TabularGame:
        reward = np.stack([phi @ theta for phi, theta in zip(self.features, self.weights, strict=True)])
        return TabularGame(reward, self.kernel, discount=self.discount)


def cournot(intercept: float = 10.0, own_cost: float = 1.0) -> World:
    """Two firms with quantities 0, 1/4, ..., 4: revenue and quantity are the outcomes, costs 1 and 3 the weights."""
    mine, other = np.meshgrid(np.arange(17) / 4, np.arange(17) / 4, indexing="ij")
    price = intercept - mine - other
    features = tuple(np.stack([price * q, q], axis=-1)[None] for q in (mine, other))
    return World(np.ones((1, 17, 17, 1)), features, (np.array([1.0, -own_cost]), np.array([1.0, -3.0])), 0.0)


def race(slip: float = 0.0, own_prize: float = 100.0) -> World:
    """Grid game 1, where a move goes astray with a chance of `slip`; outcomes are arrival and collision."""
    game = load("grid_game_1", discount=0.9)
    mixed = (1 - slip) * np.eye(4) + slip / 4
    reward, kernel = np.asarray(game.reward), game.kernel.dense()

    def astray(outcome: np.ndarray) -> np.ndarray:
        return np.einsum("ac,bd,scd...->sab...", mixed, mixed, outcome)

    features = tuple(astray(np.stack([r == 100.0, r == -1.0], axis=-1).astype(float)) for r in reward)
    return World(astray(kernel), features, (np.array([own_prize, -1.0]), np.array([100.0, -1.0])), 0.9)


def random_world(kernel_seed: int = 0, own_seed: int = 0) -> World:
    """Five states, three actions each, three features that both share with other weights."""
    rng = np.random.default_rng(7)
    features = rng.random((5, 3, 3, 3))
    theirs = rng.normal(size=3)
    kernel = np.random.default_rng(100 + kernel_seed).dirichlet(np.full(5, 0.3), (5, 3, 3))
    own = np.random.default_rng(200 + own_seed).normal(size=3)
    return World(kernel, (features, features), (own, theirs), 0.8)


CHANGES = (
    ("Cournot", "own cost +3", cournot(), cournot(own_cost=4.0), 2.0),
    ("Cournot", "intercept 10 to 14", cournot(), cournot(intercept=14.0), 2.0),
    ("race", "own prize 100 to 20", race(), race(own_prize=20.0), 10.0),
    ("race", "moves go astray, 0.4", race(), race(slip=0.4), 10.0),
    ("random features", "own weights", random_world(), random_world(own_seed=1), 0.3),
    ("random features", "kernel", random_world(), random_world(kernel_seed=1), 0.3),
    ("random features", "nothing", random_world(), random_world(), 0.3),
)


def foretold(before: World, after: World, temperature: float, moves: int, seed: int) -> dict[str, tuple[float, float]]:
    """Per predictor: excess log-loss in nats a move, mean over states, and the regret of answering the prediction."""
    game, new = before.game(), after.game()
    profile, truth = soft_equilibrium(game, temperature), soft_equilibrium(new, temperature)
    tables = new.tables()
    counting = Empirical()
    predictions = {"counted": belief(counting, fitted(counting, game, profile, moves, seed), game)}

    by_features = Inferred(features=tuple(phi / temperature for phi in before.features), ridge=0.01)
    theta = np.asarray(fitted(by_features, game, profile, moves, seed)[0].parameters)
    by_table = Inferred(ridge=0.01)
    free = np.asarray(by_table.rewards(fitted(by_table, game, profile, moves, seed), 0)[0]) * temperature
    for name, reward in (("outcomes", after.features[1] @ theta), ("free table", free)):
        predictions[name] = soft_equilibrium(imagined_game(new, 0, [None, reward]), temperature)[1]
    uniform = new.uniform_profile()[0]
    return {
        name: (
            float(np.mean(kl_divergence(truth[1], law))),
            best_response_regret(tables, 0, (uniform, law), (uniform, truth[1])),
        )
        for name, law in predictions.items()
    }


def rules_table(seeds: int) -> str:
    rows = []
    for game, change, before, after, temperature in CHANGES:
        moves = 4000 * before.kernel.shape[0] if before.kernel.shape[0] < 10 else 1000 * before.kernel.shape[0]
        found = [foretold(before, after, temperature, moves, seed) for seed in range(min(seeds, 5))]
        scale = float(after.game().tables().reward_ranges[0]) / (1 - after.discount)
        cells: list[object] = [game, change]
        for name in found[0]:
            loss, regret = np.mean([each[name] for each in found], axis=0)
            cells.append(f"{loss:.4f}, {regret / scale:.5f}")
        rows.append(cells)
        print(*cells, sep=" | ", flush=True)
    return table(["game", "what changed", "counted", "outcomes", "free table"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default=",".join(PARTS))
    arguments, _ = parser.parse_known_args()
    with jax.enable_x64(True):
        for name in arguments.only.split(","):
            make, title, caption = PARTS[name]
            body = make(arguments.seeds)
            command = f"    python -m benchmarks.opponents --seeds {arguments.seeds} --only {name}"
            write_section(title, f"{command}\n\n{versions('jax')}\n\n{caption}\n\n{body}")


PARTS: dict[str, tuple[Callable[[int], str], str, str]] = {
    "rules": (
        rules_table,
        "Opponent models: after new rules",
        "Excess log-loss over the truth in nats a move, and regret of the best response to the prediction over the "
        "payoff scale; mean of up to 5 seeds.",
    ),
    "moves": (
        moves_table,
        "Opponent models: moves needed",
        "Total variation from an opponent who answers softly: mean over decision points and up to 5 seeds.",
    ),
    "play": (
        play_table,
        "Opponent models: play",
        f"Gap over payoff scale after {SAMPLES:,} moves: median (worst) of the seeds, and CPU seconds, compilation "
        "included where a shape is new. Temperature .1 of the largest reward range, step .02, 2 worlds in one-shot "
        "games; .05, .01 and 32 in games with states. *As good as known*: within twice or .02 of it, and within .05 "
        "wherever it is. In grid game 1 the payoff scale is a hundred times the prize: .0099 is all there is to lose "
        "in some state, with known opponents as with inferred ones.",
    ),
    "others": (
        others_table,
        "Opponent models: all six",
        "As *play*, up to 5 seeds, all with temperature .05, step .01 and 32 worlds.",
    ),
}


if __name__ == "__main__":
    main()
