"""Every algorithm, in one protocol: it runs, on boxes and on moves, in one shot and in states."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

import equinfer as eq
from equinfer.algorithms import ALGORITHMS, learner
from equinfer.data.arena import Arena
from equinfer.nn.actions import action_units

SMALL = {"hidden": 8, "batch": 16}
GAMES = {
    "boxes": ("catalog:cournot", {}),
    "moves": ("catalog:prisoners_dilemma", {}),
    "states": ("catalog:cournot_capacity", {}),
}


QUICK = {("maddpg", "boxes"), ("masql", "boxes"), ("rommeo", "boxes")}
CASES = [
    pytest.param(algorithm, game, marks=() if (algorithm, game) in QUICK else pytest.mark.slow)
    for algorithm in ALGORITHMS
    for game in GAMES
]
"""A compilation each, of ten seconds or more."""


@pytest.mark.parametrize(("algorithm", "game"), CASES)
def test_every_algorithm_learns_in_every_kind_of_game(algorithm, game):
    target, parameters = GAMES[game]
    run = eq.train(algorithm, eq.load(target, **parameters), steps=500, seeds=2, **SMALL)
    assert run.is_finished
    assert np.isfinite(run.returns).all()
    assert not np.array_equal(run.returns[0], run.returns[1])


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_published_presets_run(algorithm):
    run = eq.train(algorithm, "catalog:cournot", steps=500, seeds=1, preset="published", hidden=8, batch=16)
    assert run.is_finished
    assert np.isfinite(run.returns).all()


def test_seeds_side_by_side_are_seeds_apart():
    """How a seed plays at first does not depend on how many learn beside it; later roundings part them."""
    one = eq.train("maddpg", "catalog:cournot", steps=500, seeds=1, **SMALL)
    two = eq.train("maddpg", "catalog:cournot", steps=500, seeds=3, **SMALL)
    assert np.allclose(one.rewards[0, :8], two.rewards[0, :8], atol=1e-3)


@pytest.mark.slow
def test_the_dilemma_is_confessed_to():
    """A dominant move is found, with the defaults."""
    run = eq.train("mai", "catalog:prisoners_dilemma", steps=1000, seeds=4)
    assert (run.actions == 1).all()
    assert max(certificate.gap for certificate in run.certificate) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "masql"])
def test_thirteen_agents_ride_for_free(algorithm):
    """A public good, of which each gets .4 of what it costs its giver: more joint moves than anybody sums over. MASQL
    plays its part of the best joint move that it drew, which may be one with more of the others' gifts and one's own.
    """
    gives = np.stack(np.meshgrid(*13 * [np.arange(2.0)], indexing="ij"))
    run = eq.train(algorithm, eq.TabularGame.from_payoffs(0.4 * gives.sum(axis=0) - gives), steps=1500, seeds=2)
    assert (run.actions == 0).mean() > 0.9
    assert ("estimate" in {each.kind for each in run.certificate}) == (algorithm == "rommeo")


@pytest.mark.parametrize(
    ("algorithm", "options", "few", "many"),
    [
        ("mai", {}, True, True),
        ("mai", {"policy": "conditional"}, True, False),
        ("mai", {"actor": "gibbs"}, True, False),
        ("maddpg", {}, True, True),
        ("masql", {}, False, False),
        ("rommeo", {}, True, False),
    ],
)
def test_laws_that_depend_on_draws_are_not_known_exactly(algorithm, options, few, many):
    _, chosen = learner(algorithm, "default", options)
    arenas = (Arena(SimpleNamespace(spaces=range(n)), action_units((eq.Discrete(4),) * n)) for n in (5, 6))
    assert tuple(map(chosen.knows_exactly, arenas)) == (few, many)


@pytest.mark.slow
def test_only_actors_that_answer_uniform_play_leave_the_trap():
    """The answer to uniform play is the high peak, where two of three seeds end; actors that begin at zero climb the
    low one.
    """
    reached = {}
    for eager in (True, False):
        run = eq.train("maddpg", "catalog:differential", steps=4000, seeds=16, eager=eager)
        reached[eager] = (run.deterministic_returns[:, -1, 0] > 9).sum()
    assert reached[False] == 0
    assert reached[True] >= 6  # fewer have a chance of 4 in 1,000 at two thirds


@pytest.mark.parametrize(
    "algorithm", ["masql", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rommeo", "mai"))]
)
def test_nobody_makes_a_move_that_is_not_its_own(algorithm):
    """Of two moves against three, where all rewards are negative: padding is worth 0 and must not tempt anybody."""
    rng = np.random.default_rng(0)
    game = eq.TabularGame(rng.uniform(-9, -5, (2, 1, 2, 3)), np.ones((1, 2, 3, 1)), discount=0.0)
    run = eq.train(algorithm, game, steps=500, seeds=4, uniform_steps=100, **SMALL)
    assert (run.actions < np.array([2, 3])).all()
    known = "estimate" if algorithm == "masql" else "exact"  # it only draws its moves
    assert all(certificate.kind == known for certificate in run.certificate)
    floats = [leaf for leaf in jax.tree.leaves(run.state) if np.issubdtype(leaf.dtype, np.floating)]
    assert all(np.isfinite(leaf).all() for leaf in floats)


def test_the_published_preset_begins_as_published():
    """For 1,000 steps nobody learns: untrained policies play, with their noise."""
    run = eq.train("maddpg", "catalog:differential", steps=500, seeds=1, preset="published", **SMALL)
    assert (run.path == run.path[:, :1]).all()
    assert run.rewards[0, :, 0].std() > 0.1
    assert run.trace["noise"][0, [0, -1], 0] == pytest.approx([0.285, 0.0057])
