"""Random stochastic games for round trips."""

import numpy as np

from equinfer.games.tabular import TabularGame


def random_game(players, states, actions, seed):
    rng = np.random.default_rng(seed)
    shape = (len(states), *map(len, actions))
    legal = [rng.random((len(states), len(own))) < 0.6 for own in actions]
    for mask in legal:
        mask[~mask.any(axis=1)] = True
    return TabularGame(
        rng.normal(size=(len(players), *shape)) * 10.0 ** rng.integers(-200, 200),
        rng.dirichlet(np.ones(len(states)), size=shape),
        discount=rng.random(len(players)),
        legal=legal,
        state_labels=states,
        action_labels=actions,
        player_labels=players,
    )
