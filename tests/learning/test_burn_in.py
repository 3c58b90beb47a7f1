"""With three agents the optimum is not the answer to uniform play: what agents suppose in the burn-in decides."""

import pytest

import equinfer as eq


@pytest.mark.slow
@pytest.mark.parametrize(("optimistic", "least", "most"), [(False, 0, 0), (True, 7, 8)])
def test_the_optimistic_burn_in_is_what_decides(optimistic, least, most):
    """The differential game as it is printed: the trap at -5 without it, the top at 5 with it."""
    run = eq.train("mai", eq.load("catalog:differential", agents=3), 4000, 8, optimistic=optimistic)
    reached = (run.deterministic_returns[:, -1, 0] > 5).sum()
    assert least <= reached <= most
