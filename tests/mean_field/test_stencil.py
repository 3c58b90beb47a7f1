"""Moves on a grid: shifts of arrays against index arithmetic, and against laws written out by hand."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import equinfer as eq
from equinfer.certificates.populations import averaged, sent
from equinfer.games.stencil import Stencil


@st.composite
def described(draw):
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=2)))
    step = st.tuples(*(st.integers(-min(2, size), min(2, size)) for size in shape))
    moves = draw(st.lists(step, min_size=1, max_size=5))
    noise = {shift: draw(st.floats(0.1, 1)) for shift in draw(st.lists(step, min_size=1, max_size=4, unique=True))}
    noise = {shift: weight / sum(noise.values()) for shift, weight in noise.items()}
    boundary = draw(st.sampled_from(["clip", "torus"]))
    walls = None
    if draw(st.booleans()):
        cells = int(np.prod(shape))
        walls = np.reshape(draw(st.lists(st.booleans(), min_size=cells, max_size=cells)), shape)
    together = walls is None and draw(st.booleans())
    blocked = draw(st.sampled_from(["stay", "share"]))
    return (shape, moves, noise, walls, boundary), {"blocked": blocked, "together": together}


@given(described(), st.integers(0, 2**31))
@settings(max_examples=100)
def test_shifts_and_index_arithmetic_agree(description, seed):
    stencil = Stencil(*description[0], **description[1])
    random = np.random.default_rng(seed)
    value, law = random.normal(size=stencil.num_states), random.random((stencil.num_states, len(stencil.moves)))
    raw = stencil.raw(0, ())
    np.testing.assert_allclose(raw.probabilities.sum(axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(stencil.expect(0, (), value), averaged(raw, value), atol=1e-13)
    assert sent(raw, law) @ value == pytest.approx(np.sum(law * averaged(raw, value)), abs=1e-12)


@pytest.mark.parametrize("together", [True, False])
def test_what_is_sent_is_what_is_averaged_from_the_other_side(together):
    walls = None if together else np.array([[False, True, False], [False, False, False]])
    stencil = Stencil((2, 3), [(0, 1), (1, 0), (0, 0)], {(0, -1): 0.3, (1, 1): 0.7}, walls, together=together)
    law = np.random.default_rng(3).random((6, 3))
    with jax.enable_x64(True):
        np.testing.assert_allclose(stencil.push(0, (), jnp.asarray(law)), sent(stencil.raw(0, ()), law), atol=1e-15)


def row(stencil, state, action, t=0):
    """The law of the next state, by pushing a single player."""
    law = np.zeros((stencil.num_states, len(stencil.moves)))
    law[state, action] = 1
    with jax.enable_x64(True):
        return np.asarray(stencil.push(t, (), jnp.asarray(law)))


def test_adding_up_before_the_border_is_not_one_after_the_other():
    # At the border of four places, outwards, then noise back: 3 + 1 - 1 = 3, but min(3 + 1, 3) - 1 = 2.
    noise = {(-1,): 0.25, (0,): 0.75}
    np.testing.assert_allclose(row(Stencil(4, [[1]], noise, together=True), 3, 0), [0, 0, 0, 1])
    np.testing.assert_allclose(row(Stencil(4, [[1]], noise), 3, 0), [0, 0, 0.25, 0.75])


def test_a_torus_goes_round():
    np.testing.assert_allclose(row(Stencil(5, [[2]], boundary="torus"), 4, 0), [0, 1, 0, 0, 0])


def test_walls_stop_moves_and_noise():
    steps, walls = [[1], [-1]], np.array([False, False, True])
    stay = Stencil(3, steps, {(1,): 0.5, (-1,): 0.5}, walls)
    np.testing.assert_allclose(row(stay, 1, 0), [0.5, 0.5, 0])  # stopped, then half of the noise is stopped too
    share = Stencil(3, steps, {(1,): 0.5, (-1,): 0.5}, walls, blocked="share")
    np.testing.assert_allclose(row(share, 1, 0), [1, 0, 0])
    np.testing.assert_allclose(row(share, 1, 1), [0.5, 0.5, 0])  # to 0, and from there clipped, or back


def test_doors_open_and_close():
    door = np.array([[False, True], [False, False]])
    stencil = Stencil(2, [[1]], walls=door)
    np.testing.assert_allclose(row(stencil, 0, 0, t=0), [1, 0])
    np.testing.assert_allclose(row(stencil, 0, 0, t=1), [0, 1])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Stencil((3, 3), [(0, 0, 1)]), "move 0 has 3 numbers; the grid has 2 axes"),
        (lambda: Stencil(3, [[1]], [0.5, 0.5]), "one probability for each of 1 displacements"),
        (lambda: Stencil(3, [[1]], {(1,): 0.4, (0,): 0.4}), "sum to 0.8, not to one"),
        (lambda: Stencil(3, [[1]], boundary="sphere"), "one of clip, torus; got 'sphere'"),
        (lambda: Stencil(3, [[4]]), "longer than the grid"),
        (lambda: Stencil(3, [[1]], walls=[True]), r"walls must be booleans of shape \(3,\)"),
        (lambda: Stencil(3, [[0.5]]), "move 0 must be whole numbers"),
        (lambda: Stencil(3, [[1]], walls=np.zeros(3, bool), together=True), "leave `together` out"),
    ],
)
def test_what_is_no_stencil_is_refused(make, says):
    with pytest.raises(eq.BadInput, match=says):
        make()


def test_walls_must_fit_the_game():
    walls = np.zeros((3, 4), bool)
    walls[:, 2] = True
    moves, paid = [[-1], [1]], lambda t, law: 0 * law
    doors = Stencil((4,), moves, walls=walls)
    with pytest.raises(eq.BadInput, match="the walls are given for 3 epochs; the horizon is 5"):
        eq.MeanFieldGame(paid, doors, [1, 0, 0, 0], 5)
    with pytest.raises(eq.BadInput, match="a stationary game has walls of shape"):
        eq.MeanFieldGame(paid, doors, [1, 0, 0, 0], discount=0.9)
    with pytest.raises(eq.BadInput, match="initial: somebody begins at 2, where there is a wall"):
        eq.MeanFieldGame(paid, Stencil((4,), moves, walls=walls[0]), [0.5, 0, 0.5, 0], 3)
