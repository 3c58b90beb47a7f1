"""Who answers what others did long ago goes round with them; who sees it sooner comes to rest."""

import numpy as np
import pytest

import equinfer as eq
from equinfer.games.catalog import equilibria


@pytest.mark.slow
@pytest.mark.parametrize(("window", "least", "most"), [(50, 0.0, 0.05), (500, 0.2, 1.0)])
def test_beliefs_must_be_quicker_than_policies(window, least, most):
    game = eq.load("catalog:quadratic_zero_sum", coupling=3.0)
    run = eq.train("mai", game, 5500, 8, seed=1, window=window)
    (known,) = equilibria("quadratic_zero_sum", coupling=3.0)
    assert known.profile is not None
    away = np.abs(run.actions - np.stack(known.profile)).mean()
    assert least <= away <= most
