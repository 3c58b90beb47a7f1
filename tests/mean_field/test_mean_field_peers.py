"""Our equilibria, judged by OpenSpiel and MFGLib themselves."""

import numpy as np
import pytest

import equinfer as eq

pytestmark = pytest.mark.peers


def nash_conv(name, setting, play):
    """OpenSpiel's NashConv of `play(state)`, the probabilities of all actions."""
    pyspiel = pytest.importorskip("pyspiel")
    os_policy = pytest.importorskip("open_spiel.python.policy")
    pytest.importorskip("open_spiel.python.mfg.games")
    factory = pytest.importorskip("open_spiel.python.mfg.games.factory")
    judge = pytest.importorskip("open_spiel.python.mfg.algorithms.nash_conv")
    game = pyspiel.load_game(name) if setting is None else factory.create_game_with_setting(name, setting)

    class Ours(os_policy.Policy):
        def action_probabilities(self, state, player_id=None):
            return dict(enumerate(play(state)))

    return judge.NashConv(game, Ours(game, list(range(game.num_players())))).nash_conv()


def test_a_crowd_on_a_circle_by_open_spiel():
    game = eq.load("catalog:mean_field/crowd_modelling", as_open_spiel=True)
    for policy, gap in ((game.uniform_profile()[0], 2.8135365543870385), (eq.solve(game).policy, 0.0)):
        found = nash_conv("python_mfg_crowd_modelling", None, lambda state, now=policy: now[state.t, state.x])
        assert found == pytest.approx(gap, abs=1e-11)


def test_predators_and_prey_by_open_spiel():
    policies = eq.solve(eq.load("catalog:mean_field/predator_prey")).profile

    def play(state):
        x, y = state.pos
        return policies[state.mean_field_population()][state.t, 5 * x + y]

    assert nash_conv("python_mfg_predator_prey", "predator_prey_5x5x3", play) == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize(
    "name",
    ["left_right", "rock_paper_scissors", "susceptible_infected", "beach_bar", "crowd_motion", "building_evacuation"],
)
def test_equilibria_by_mfglib(name):
    torch = pytest.importorskip("torch")
    pytest.importorskip("mfglib.alg")  # the order matters to its imports
    scoring = pytest.importorskip("mfglib.scoring")
    environment = pytest.importorskip("mfglib.env").Environment
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        theirs = getattr(environment, name)()
        policy = eq.solve(eq.load(f"catalog:mean_field/{name}")).policy
        shaped = torch.tensor(np.array(policy)).reshape((theirs.T + 1, *theirs.S, *theirs.A))
        assert scoring.exploitability_score(theirs, shaped) == pytest.approx(0.0, abs=1e-9)
    finally:
        torch.set_default_dtype(before)
