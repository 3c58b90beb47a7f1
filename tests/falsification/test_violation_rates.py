"""How often the conditional form breaks Theorem 4.2: the table of the documentation is measured again."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

import equinfer as eq
from benchmarks.conditional_form import drawn, executed_gaps, executed_pair, stationary, table

PAGE = Path(__file__).parents[2] / "docs" / "theory" / "bounds.md"


def test_the_table_of_the_page_is_what_the_program_finds():
    assert table() in PAGE.read_text()


def test_stationary_laws_stand_still_and_keep_small_digits():
    chains = np.random.default_rng(0).dirichlet(np.ones(4), size=(20, 4))
    laws = stationary(chains)
    np.testing.assert_allclose(np.einsum("ga,gab->gb", laws, chains), laws, rtol=1e-12)
    leave, back = 1e-200, 3e-200
    law = stationary(np.array([[1 - leave, leave], [back, 1 - back]]))
    np.testing.assert_allclose(law, [0.75, 0.25], rtol=1e-14)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_its_gaps_are_those_of_the_certificate(scale):
    """One game over three epochs, its executed profile written out and judged as any other."""
    horizon = 3
    reward, kernel = drawn(1, 2, scale, seed=5)
    profile, soft = [], np.zeros((2, 3))
    for _ in range(horizon):
        q = reward[0] + np.einsum("sabt,it->isab", kernel[0], soft)
        row, column = executed_pair(softmax(q[0], axis=1), softmax(q[1], axis=2))
        soft = np.stack([(column * logsumexp(q[0], axis=1)).sum(1), (row * logsumexp(q[1], axis=2)).sum(1)])
        profile.append((row, column))
    game = eq.TabularGame(reward[0], kernel[0], horizon=horizon)
    certificate = eq.certify(game, [np.stack(laws) for laws in zip(*profile[::-1], strict=True)])
    gains = np.stack([certificate.deviation(player).gain[0] for player in range(2)])
    np.testing.assert_allclose(gains, executed_gaps(reward, kernel, horizon)[0], atol=1e-12 * scale)
