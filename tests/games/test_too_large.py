"""Arrays that are views of a single number, and games beyond this machine's memory: refused before they are made."""

import numpy as np
import pytest

import equinfer as eq

VAST = 10**6
SPOTS = np.broadcast_to(0.0, (2, VAST, 2, 2))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: eq.TabularGame.from_payoffs(np.broadcast_to(0.0, (2, VAST, VAST))),
            "the entries of payoffs, of shape",
        ),
        (
            lambda: eq.TabularGame(np.broadcast_to(0.0, (1, VAST, VAST)), np.ones((1, 1, 1)), discount=0.5),
            r"the entries of reward, of shape \(1, 1000000, 1000000\), need about 7451 GiB; this machine has",
        ),
        (
            lambda: eq.TabularGame(SPOTS, np.broadcast_to(1 / VAST, (VAST, 2, 2, VAST)), discount=0.5),
            "the entries of kernel, of shape .* GiB",
        ),
        (
            lambda: eq.SparseKernel(
                np.broadcast_to(0, (VAST, 2, 2, VAST)), np.broadcast_to(1 / VAST, (VAST, 2, 2, VAST))
            ),
            "successors of a sparse kernel, of shape .* GiB",
        ),
    ],
    ids=["payoffs", "reward", "kernel", "lists"],
)
def test_a_view_of_one_number_is_refused_before_it_is_copied(make, says):
    with pytest.raises(eq.BadInput, match=says):
        make()


def test_reward_and_kernel_must_fit_together(monkeypatch):
    reward, kernel = np.zeros((2, 60, 3, 3)), np.full((60, 3, 3, 60), 1 / 60)
    eq.TabularGame(reward, kernel, discount=0.5)
    monkeypatch.setattr("equinfer.memory.installed", lambda: 2 * (reward.nbytes + kernel.nbytes) - 1)
    with pytest.raises(eq.BadInput, match=r"the entries of kernel, of shape \(60, 3, 3, 60\), need about 262 KiB"):
        eq.TabularGame(reward, kernel, discount=0.5)
