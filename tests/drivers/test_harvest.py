"""What is harvested does not depend on which search was faster."""

import numpy as np
import pytest

from equinfer.drivers.harvest import SAME, harvest
from equinfer.drivers.protocol import AbstractHostSolver, Iterate, Task
from equinfer.records import Certificate


class Arriving(AbstractHostSolver):
    """Yields what arrives: the search that found it, and the probability of the first of two actions."""

    name = "arriving"
    arrivals: tuple[tuple[int, float], ...]

    def iterates(self, game, *, seed):
        for search, p in self.arrivals:
            yield Iterate((np.array([[p, 1 - p]]),), {"search": float(search)}, candidate=True)


def judge(profile) -> Certificate:
    """Anything near a multiple of 1/4 is an equilibrium; the gap is how near, up to rounding."""
    p = float(profile[0][0, 0])
    gap = abs(4 * p - round(4 * p))
    return Certificate("nash", "exact", gap, np.array([gap]), 1e-12, np.array([1e-12]), np.array([[0.0]]), ())


def harvested(arrivals):
    found = harvest(Arriving(tuple(arrivals)), None, Task(judge, ()), eps=1e-5).found
    return [(float(one.profile[0][0, 0]), one.order[0]) for one in found]


def test_the_earlier_search_counts_whichever_arrives_first():
    tiny = 1e-14  # differences of rounding alone
    arrivals = [(0, 0.5), (1, 0.25 + tiny), (2, 0.5 - tiny), (3, 0.25), (3, 0.75)]
    expected = [(0.5, 0), (0.25 + tiny, 1), (0.75, 3)]
    assert harvested(arrivals) == expected
    for order in ([4, 3, 2, 1, 0], [3, 4, 1, 2, 0], [2, 3, 4, 0, 1]):
        shuffled = [arrivals[k] for k in order]
        # Within one search the order is its own.
        late = [each for each in shuffled if each[0] != 3] + [(3, 0.25), (3, 0.75)]
        early = [(3, 0.25), (3, 0.75)] + [each for each in shuffled if each[0] != 3]
        assert harvested(late) == harvested(early) == expected


def test_the_smaller_gap_counts_before_the_earlier_search():
    off = SAME / 10
    assert harvested([(0, 0.5 + off), (1, 0.5)]) == harvested([(1, 0.5), (0, 0.5 + off)]) == [(0.5, 1)]


@pytest.mark.parametrize("p", [0.3, 0.5 + 1e-5])
def test_what_is_not_certified_is_left_out(p):
    assert harvested([(0, p)]) == []
