r"""Counter-examples (Theorem B): games where the conditional policies of the paper are no approximate equilibrium.

Play that conditions on a *predicted* action of the others, and is executed independently of what they really do,
averages best responses instead of responding to the average. The temperature that goes with each table is 1.
"""

import math

import numpy as np
from jaxtyping import Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.catalog.two_by_two import two_by_two_equilibria
from equinfer.games.tabular import TabularGame

__all__ = [
    "belief_multiplicity",
    "biased_matching_pennies",
    "cliff",
    "copycat",
    "dummy_opponent",
    "near_tied_coordination",
]

_SOURCE = "Theorem B"
_LOG3 = math.log(3.0)


@entry(_SOURCE, two_by_two_equilibria)
def copycat(*, M: float = 10.0) -> TabularGame:
    """Copycat: player 0 earns M by doing what player 1 does, who prefers the first action."""
    require(M > 0, f"copycat needs M > 0; got {M:g}.")
    column = np.array([[_LOG3, 0.0], [_LOG3, 0.0]])
    return TabularGame.from_payoffs([M * np.eye(2), column], name="copycat")


def _dummy_equilibria(game: TabularGame, M: float, beta: float) -> tuple[KnownEquilibrium, ...]:
    r"""Any mixture y of the dummy with any best response to it, for the dummy never minds.

    Meeting at the first action earns $My_0$, at the second $\beta y_1$, alike at $y_0=t=\beta/(M+\beta)$. So there are
    three segments: the first action with $y_0\ge t$, the second one with $y_0\le t$, and any mixture with $y_0=t$.
    """
    tie = beta / (M + beta)
    one, half = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])

    def earning(payoff: float) -> Float[np.ndarray, "2 1"]:
        return np.array([[payoff], [0.0]])

    return (
        KnownEquilibrium(
            (one, one),
            earning(M),
            "best response to at least t of the dummy's first action",
            complete=True,
            family=lambda profile: earning(M * max(profile[1][0, 0], tie)),
        ),
        KnownEquilibrium(
            (1 - one, 1 - one),
            earning(beta),
            "best response to at most t of it",
            complete=True,
            family=lambda profile: earning(beta * (1 - min(profile[1][0, 0], tie))),
        ),
        KnownEquilibrium(
            (half, np.array([[tie, 1 - tie]])), earning(M * tie), "player 0 is indifferent", complete=True
        ),
    )


@entry(_SOURCE, _dummy_equilibria)
def dummy_opponent(*, M: float = 10.0, beta: float = 3.0) -> TabularGame:
    """Dummy opponent: player 1 earns nothing and may do anything; player 0 wants to meet it, at M rather than beta."""
    require(M > 0 and beta > 0, f"dummy_opponent needs M > 0 and beta > 0; got {M:g}, {beta:g}.")
    return TabularGame.from_payoffs([np.diag([M, beta]), np.zeros((2, 2))], name="dummy_opponent")


@entry(_SOURCE, two_by_two_equilibria)
def near_tied_coordination(*, M: float = 10.0) -> TabularGame:
    """Near-tied coordination: a common payoff M for meeting, and log 3 more at the first place."""
    require(M > 0, f"near_tied_coordination needs M > 0; got {M:g}.")
    payoff = np.diag([M + _LOG3, M])
    return TabularGame.from_payoffs([payoff, payoff], name="near_tied_coordination")


@entry(_SOURCE, two_by_two_equilibria)
def biased_matching_pennies(*, M: float = 10.0) -> TabularGame:
    """Biased matching pennies: zero-sum, and M instead of 1 for meeting at heads."""
    require(M > 0, f"biased_matching_pennies needs M > 0; got {M:g}.")
    row = np.array([[M, -1.0], [-1.0, 1.0]])
    labels = [("heads", "tails")] * 2
    return TabularGame.from_payoffs([row, -row], action_labels=labels, name="biased_matching_pennies")


@entry("beliefs at different equilibria, after Theorem B", two_by_two_equilibria)
def belief_multiplicity(*, M: float = 5.0) -> TabularGame:
    """Belief multiplicity: plain coordination, where each player may expect another equilibrium."""
    require(M > 0, f"belief_multiplicity needs M > 0; got {M:g}.")
    return TabularGame.from_payoffs([M * np.eye(2), M * np.eye(2)], name="belief_multiplicity")


def _cliff_equilibria(game: TabularGame, horizon: int, toll: float) -> tuple[KnownEquilibrium, ...]:
    """Player 1 earns nothing; player 0's best responses to the two constant policies of player 1.

    Against left, walking pays 1 for ever. Against right, walking falls, so with n epochs left the detour is worth
    1 + (n - 1)(1 - toll), and walking only the last step. Without a toll the detour earns as much as any play can,
    so the values of all equilibria are these.
    """
    left = np.arange(horizon, 0, -1.0)
    away = 1.0 + (left - 1.0) * (1.0 - toll)
    zero = np.zeros((horizon, 2))
    first, second = np.eye(2)
    walk, detour = np.broadcast_to(first, (horizon, 2, 2)), np.broadcast_to(second, (horizon, 2, 2)).copy()
    detour[-1] = first
    return tuple(
        KnownEquilibrium(
            (policy.copy(), np.broadcast_to(other, (horizon, 2, 2)).copy()),
            np.array([np.stack([good, -left], axis=1), zero]),
            note,
            complete=toll == 0,
        )
        for policy, other, good, note in (
            (walk, first, left, "walk while the path is clear"),
            (detour, second, away, "detour before a path that is never clear, but for the last step"),
        )
    )


@entry(_SOURCE, _cliff_equilibria)
def cliff(*, horizon: int = 20, toll: float = 0.0) -> TabularGame:
    """Cliff: walking falls for ever if player 1 blocks, a detour costs a toll; rewards lie in [-1, 1]."""
    require(0 <= toll <= 2, f"cliff needs a toll in [0, 2]; got {toll:g}.")
    reward = np.zeros((2, 2, 2, 2))
    reward[0, 0] = np.array([[1.0, 1.0], [1.0 - toll, 1.0 - toll]])
    reward[0, 1] = -1.0
    kernel = np.zeros((2, 2, 2, 2))
    kernel[0, :, :, 0] = [[1.0, 0.0], [1.0, 1.0]]
    kernel[0, :, :, 1] = 1.0 - kernel[0, :, :, 0]
    kernel[1, :, :, 1] = 1.0
    return TabularGame(
        reward,
        kernel,
        horizon=horizon,
        initial=[1.0, 0.0],
        state_labels=("good", "bad"),
        action_labels=[("walk", "detour"), ("clear", "block")],
        name="cliff",
    )
