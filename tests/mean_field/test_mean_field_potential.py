"""Rewards that are a gradient of the law, and the witnesses against those that are none."""

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.equations.mean_field_potential import potential_structure_of

# On paper: rewards by the mass of one's own place are the gradient of the sum of their integrals; the price of what
# everybody sells, that of its integral; a bar that only attracts, of a linear function.
POTENTIAL = ("left_right", "congestion", "beach_bar", "equilibrium_price", "crowd_motion", "building_evacuation")


@pytest.mark.parametrize("name", POTENTIAL)
def test_congestion_and_prices_are_potentials(name):
    seen = potential_structure_of(eq.load(f"catalog:mean_field/{name}").tables())
    assert seen.examined
    assert seen.witness is None
    assert seen.defect == 0


def linear(matrix):
    """Rewards A mass: a potential exactly if A is symmetric on differences."""
    count = len(matrix)
    kernel = np.broadcast_to(np.eye(count), (count, count, count))

    def reward(t, law):
        return (jnp.asarray(matrix) @ law.sum(axis=1))[:, None] * jnp.ones((1, count))

    return eq.MeanFieldGame(reward, kernel, np.full(count, 1 / count), horizon=2)


def test_a_chase_has_none_and_the_defect_is_that_of_its_matrix():
    """Places by which all pairs of an action are alike: D is the centred antisymmetric part, state by state."""
    chase = np.array([[0.0, -1, 2], [1, 0, -1], [-2, 1, 0]])
    seen = potential_structure_of(linear(chase).tables())
    centre = np.eye(3) - 1 / 3
    expected = centre @ (chase - chase.T) @ centre
    assert seen.examined
    assert seen.defect == pytest.approx(np.abs(expected).max(), rel=1e-6)
    witness = seen.witness
    assert expected[witness.one[1], witness.other[1]] == pytest.approx(witness.defect, rel=1e-6)


def test_what_all_are_paid_alike_does_not_count():
    """Each row of A the same: everybody is paid the same, whatever they do."""
    assert potential_structure_of(linear(np.tile([1.0, 5, -2], (3, 1))).tables()).witness is None
    assert potential_structure_of(linear(np.array([[0.0, 1, 2], [1, 0, 3], [2, 3, 1]])).tables()).witness is None


def test_a_witness_can_be_checked_by_hand():
    tables = eq.load("catalog:mean_field/rock_paper_scissors").tables()
    witness = potential_structure_of(tables).witness
    law = witness.flow[0][witness.epoch]
    pairs = law.size

    def along(place):
        change = np.full(law.shape, -1 / pairs)
        change[place[1:]] += 1
        return change

    def second(first, then):
        """How the reward along one direction changes along the other."""
        flows = [(witness.flow[0] + sign * 1e-6 * along(then),) for sign in (1, -1)]
        up, down = (tables.rewards(flow)[0][witness.epoch] for flow in flows)
        return (along(first) * (up - down)).sum() / 2e-6

    skew = second(witness.one, witness.other) - second(witness.other, witness.one)
    assert skew == pytest.approx(witness.defect, rel=1e-6)
    assert witness.defect > 1


def test_predators_and_prey_want_different_things():
    seen = potential_structure_of(eq.load("catalog:mean_field/predator_prey").tables())
    assert seen.examined
    assert seen.witness.one[0] != seen.witness.other[0]


@pytest.mark.parametrize("name", ["susceptible_infected", "random_linear"])
def test_nothing_is_said_where_the_population_moves_people(name):
    seen = potential_structure_of(eq.load(f"catalog:mean_field/{name}").tables())
    assert not seen.examined
    assert seen.witness is None
