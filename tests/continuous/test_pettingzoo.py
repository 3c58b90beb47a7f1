"""Our games as environments of PettingZoo."""

import importlib.util

import numpy as np
import pytest

import equinfer as eq
from equinfer.games.continuous import ContinuousGame

GAMES = {
    "one-shot": lambda: eq.load("catalog:differential"),
    "unequal": lambda: ContinuousGame.one_shot(
        lambda a: (a[0].sum() * a[1].sum(), a[1].sum()), ([-1.0, -1.0], [0.0]), ([1.0, 1.0], [2.0]), player_labels="ab"
    ),
    "states": lambda: eq.load("catalog:cournot_capacity", horizon=5),
    "table": lambda: eq.load("catalog:iterated_prisoners_dilemma"),
    "cut table": lambda: ContinuousGame.from_table(eq.load("catalog:iterated_prisoners_dilemma"), horizon=7),
}


@pytest.mark.peers
@pytest.mark.parametrize("name", GAMES)
@pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")  # that its test imports
def test_pettingzoos_own_test_passes(name):
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    parallel_api_test(eq.to_pettingzoo(GAMES[name]()), num_cycles=40)
    parallel_seed_test(lambda: eq.to_pettingzoo(GAMES[name]()), num_cycles=10)


@pytest.mark.peers
def test_an_episode_is_the_games_own():
    game = GAMES["states"]()
    env = eq.to_pettingzoo(game)
    seen, infos = env.reset(seed=3)
    assert list(seen) == list(infos) == env.agents == ["0", "1"]
    for t in range(5):
        capacity = (4.0, 0.5)[int(seen["0"].argmax())]
        seen, rewards, terminated, truncated, _ = env.step({"0": np.array([0.5]), "1": np.array([0.25])})
        sold = capacity * np.array([0.5, 0.25])
        np.testing.assert_allclose(
            [rewards["0"], rewards["1"]], sold * (10 - sold.sum() - np.array([1, 2])), rtol=1e-6, atol=1e-6
        )
        assert not any(terminated.values())
        assert set(truncated.values()) == {t == 4}
    assert env.agents == []
    with pytest.raises(eq.BadInput, match="the episode is over; call reset first"):
        env.step({})


@pytest.mark.peers
def test_seeds_make_episodes_and_labels_name_agents():
    env = eq.to_pettingzoo(GAMES["cut table"]())
    runs = []
    for _ in range(2):
        env.reset(seed=11)
        moves = [{"0": k % 2, "1": (k // 2) % 2} for k in range(7)]
        first = [env.step(move)[0]["0"].tolist() for move in moves]
        env.reset()  # goes on from the same stream
        runs.append((first, [env.step(move)[0]["0"].tolist() for move in moves]))
    assert runs[0] == runs[1]
    unequal = eq.to_pettingzoo(GAMES["unequal"]())
    assert unequal.possible_agents == ["a", "b"]
    assert unequal.action_space("a").shape == (2,)
    unequal.reset(seed=0)
    rewards = unequal.step({"a": np.array([0.5, 0.25]), "b": np.array([2.0])})[1]
    assert rewards == {"a": 1.5, "b": 2.0}


@pytest.mark.skipif(importlib.util.find_spec("pettingzoo") is not None, reason="PettingZoo is installed")
def test_without_pettingzoo_the_pip_line_is_printed():
    with pytest.raises(eq.MissingExtra, match=r"pip install 'equinfer\[pettingzoo\]'"):
        eq.to_pettingzoo(GAMES["one-shot"]())
