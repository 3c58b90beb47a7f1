"""Sums over candidates and contexts: exact for moves, integrals by the uniform law for boxes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.nn.actions import Cloud, action_units
from equinfer.nn.laws import Categorical, SquashedGaussian

ALL = jnp.array([True])


def test_candidates_weigh_integrals_by_the_uniform_law():
    """E_U[x^2] = 1/3 and E_U[e^x] = sinh 1, with half of the candidates drawn from a narrow law far off."""
    boxes = action_units((eq.Box(-3, 5), eq.Box(0, 1)))
    law = SquashedGaussian(jnp.array([1.0]), jnp.array([-1.5]), ALL)
    cloud = boxes.candidates(jax.random.key(0), law, ALL, 2000, 2000)
    weights = np.asarray(jax.nn.softmax(cloud.log_weights))
    x = np.asarray(cloud.points)[:, 0]
    assert weights @ x**2 == pytest.approx(1 / 3, abs=0.02)
    assert weights @ np.exp(x) == pytest.approx(np.sinh(1), abs=0.02)


def test_boxes_of_different_dimensions_are_padded():
    boxes = action_units((eq.Box([-1, 0], [1, 4]), eq.Box(2, 3)))
    units = jnp.array([[0.5, -0.5], [1.0, 0.0]])
    first, second = boxes.to_game(units)
    assert np.asarray(first).tolist() == [0.5, 1.0]
    assert np.asarray(second).tolist() == [3.0]


def test_contexts_of_moves_are_all_that_can_happen():
    moves = action_units((eq.Discrete(2), eq.Discrete(3), eq.Discrete(2)))
    chances = np.array([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]], np.float32)
    eye = jnp.broadcast_to(jnp.eye(3), (2, 3, 3))
    contexts = moves.contexts(jax.random.key(0), Cloud(eye, jnp.log(jnp.asarray(chances))), 7)
    assert contexts.points.shape == (9, 2, 3)
    want = [chances[0, a] * chances[1, b] for a, b in itertools.product(range(3), repeat=2)]
    assert np.allclose(contexts.weights, want)


def test_contexts_of_boxes_are_independent_draws():
    """Two agents whose candidates have means of .5 and -.25: the mean of the product is theirs."""
    boxes = action_units((eq.Box(-1, 1),) * 3)
    points = jnp.stack([jnp.linspace(0, 1, 50), jnp.linspace(-1, 0.5, 50)])[..., None]
    contexts = boxes.contexts(jax.random.key(0), Cloud(points, jnp.zeros((2, 50))), 20_000)
    drawn = np.asarray(contexts.points)[..., 0]
    assert drawn.mean(axis=0) == pytest.approx([0.5, -0.25], abs=0.01)
    assert (drawn[:, 0] * drawn[:, 1]).mean() == pytest.approx(-0.125, abs=0.01)


def test_the_law_of_moves_is_its_own_cloud():
    moves = action_units((eq.Discrete(3), eq.Discrete(3)))
    law = Categorical.of(jnp.array([0.1, 0.7, -1.0]), jnp.ones(3, bool))
    cloud = moves.cloud(jax.random.key(0), law, jnp.ones(3, bool), 5)
    assert np.allclose(jax.nn.softmax(cloud.log_weights), jax.nn.softmax(jnp.array([0.1, 0.7, -1.0])))


def test_boxes_beside_moves_are_refused():
    with pytest.raises(eq.BadInput, match="agent 0 acts in a box and agent 1 by moves"):
        action_units((eq.Box(0, 1), eq.Discrete(2)))


def test_where_too_much_can_happen_together_contexts_are_draws():
    """Of independent laws; gradients are those of the exact sum where what is summed is linear in what each does."""
    moves = action_units((eq.Discrete(10), *(eq.Discrete(4),) * 5))
    chances = np.random.default_rng(0).dirichlet(np.ones(4), size=5)
    logits = jnp.log(jnp.asarray(np.pad(chances, [(0, 0), (0, 6)]), jnp.float32))
    clouds = Cloud(jnp.broadcast_to(jnp.eye(10), (5, 10, 10)), logits)
    contexts = moves.contexts(jax.random.key(0), clouds, 20_000)
    drawn = np.asarray(contexts.points)
    assert drawn.shape == (20_000, 5, 10)
    assert np.allclose(np.unique(drawn), [0, 1])
    assert np.allclose(contexts.weights, 1 / 20_000)
    assert drawn.mean(axis=0)[:, :4] == pytest.approx(chances, abs=1e-3)  # systematic: to within one of 20,000
    assert not drawn[..., 4:].any()
    together = np.einsum("lja,lkb->jkab", drawn, drawn)[..., :4, :4] / len(drawn)
    for j, k in itertools.combinations(range(5), 2):
        assert together[j, k] == pytest.approx(np.outer(chances[j], chances[k]), abs=0.02)

    worth = jnp.asarray(np.random.default_rng(1).normal(size=(5, 10)), jnp.float32)

    def drawn_mean(of_all, logits, count):
        contexts = moves.contexts(jax.random.key(0), Cloud(clouds.points, logits), count)
        return contexts.weights @ of_all(jnp.einsum("ljd,jd->lj", contexts.points, worth), axis=1)

    def mean(of_all, logits):
        return of_all((jax.nn.softmax(logits, axis=-1) * worth[:, :4]).sum(axis=1), axis=0)

    for of_all, count, error in ((jnp.sum, 32, 1e-5), (jnp.prod, 20_000, 5e-3)):
        found = jax.grad(drawn_mean, 1)(of_all, logits, count)[:, :4]
        assert np.allclose(found, jax.grad(mean, 1)(of_all, logits[:, :4]), atol=error)
