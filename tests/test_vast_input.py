"""Arrays that take no memory, and would take all of it once copied; names and numbers of unusual kinds."""

import inspect
from collections.abc import Callable

import numpy as np
import pytest

import equinfer as eq
from equinfer.errors import BadInput, UnknownName

MANY = 10**12


def vast(*shape: int, of: float | int | bool = 1) -> np.ndarray:
    return np.broadcast_to(of, (MANY, *shape))


def one_state(**options) -> eq.TabularGame:
    return eq.TabularGame(np.zeros((2, 1, 2, 2)), np.ones((1, 2, 2, 1)), discount=0.0, **options)


CHICKEN = eq.load("catalog:chicken")
PENNIES = eq.load("catalog:matching_pennies")
LADDER = "catalog:quality_ladder"


def sensitivity(parameter):
    return eq.solve(PENNIES).sensitivity(parameter)


CASES: dict[str, Callable[[], object]] = {
    "legal": lambda: one_state(legal=[vast(2, of=True), vast(2, of=True)]),
    "initial": lambda: one_state(initial=vast()),
    "labels": lambda: one_state(state_labels=range(MANY)),
    "payoffs": lambda: eq.TabularGame.from_payoffs(np.broadcast_to(1, (2, 10**6, 10**6))),
    "profile": lambda: eq.certify(CHICKEN, [vast(2), vast(2)]),
    "joint law": lambda: eq.certify(CHICKEN, vast(2, 2)),
    "magnet": lambda: eq.solve(CHICKEN, magnet=(vast(2), vast(2))),
    "reward direction": lambda: sensitivity({"reward": vast(2)}),
    "kernel direction": lambda: sensitivity({"kernel": vast(2)}),
    "discount direction": lambda: sensitivity({"discount": vast()}),
    "gradient": lambda: sensitivity("reward").vjp(values=vast()),
    "swept values": lambda: eq.sweep(LADDER, "cost", vast()),
    "range of values": lambda: eq.sweep(LADDER, "cost", range(MANY)),
    "table of values": lambda: eq.sweep(LADDER, "cost", vast(2)),
    "start of a sweep": lambda: eq.sweep(LADDER, "cost", [1.0, 2.0], start=[vast(2)] * 2),
    "batch": lambda: eq.solve_batch(vast(2, 2, 2)),
    "eps of a batch": lambda: eq.solve_batch(np.zeros((3, 2, 2, 2)), eps=vast()),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_copied_is_refused(case):
    with pytest.raises(BadInput) as refused:
        CASES[case]()
    assert str(refused.value).count(". ") <= 1


@pytest.mark.parametrize("parameter", ["name", "target", "game"])
def test_no_parameter_is_mistaken_for_an_argument_of_ours(parameter):
    with pytest.raises(BadInput, match=f"no parameter '{parameter}'"):
        eq.sweep(LADDER, parameter, [1.0, 2.0])
    with pytest.raises(UnknownName, match=f"no parameter '{parameter}'"):
        eq.load(LADDER, **{parameter: 1})


def test_the_parameter_of_a_sweep_is_a_name():
    with pytest.raises(BadInput, match="must be a name; got 3"):
        inspect.unwrap(eq.sweep)(LADDER, 3, [1.0, 2.0])


def test_masked_entries_are_no_numbers():
    masked = np.ma.masked_array(np.zeros((2, 2, 2)), mask=np.zeros((2, 2, 2)))
    assert eq.solve_batch(masked[None]).certified.all()  # nothing is masked
    masked[1, 0, 1] = np.ma.masked
    with pytest.raises(BadInput, match=r"masked, the first at \(0, 1, 0, 1\)"):
        eq.solve_batch(masked[None])
    with pytest.raises(BadInput, match=r"masked, the first at \(1, 0, 1\)"):
        eq.TabularGame.from_payoffs(masked)
    with pytest.raises(BadInput, match="policy of player 0 are masked"):
        eq.certify(CHICKEN, [np.ma.masked_array([[0.5, 0.5]], mask=[[False, True]]), [[0.5, 0.5]]])


def test_whole_numbers_of_numpy_are_whole_numbers():
    assert len(inspect.unwrap(eq.solve_all)(CHICKEN, searches=np.int64(4))) == 3


def test_rewards_whose_sums_are_no_numbers_are_refused():
    """Their payoff scale, and with it eps, would be infinite, and anything within eps."""
    reward, kernel = np.full((2, 2, 2, 2), 1e305), np.full((2, 2, 2, 2), 0.5)
    reward[:, :, 0, 0] = -1e305
    with pytest.raises(BadInput, match=r"rewards of player 0, up to 1e.305 in size, add up to values beyond float64"):
        eq.TabularGame(reward, kernel, discount=0.999)
    small = eq.solve(eq.TabularGame(reward / 1e10, kernel, discount=0.999))
    assert small.certified
    assert np.isfinite(small.eps)


def test_nothing_is_within_an_infinite_eps():
    certificate = eq.certify(CHICKEN, [[[1.0, 0.0]], [[1.0, 0.0]]])
    assert not certificate.holds(np.inf)
    assert certificate.holds(1e9)
