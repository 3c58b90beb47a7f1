"""How often the conditional form breaks Theorem 4.2 in games drawn at random.

With H = T + 1, its best chance. Two players, three states, transitions from Dirichlet(1, 1, 1), rewards uniform on
[-M, M], temperature 1. Both know the other's executed policy exactly. In every epoch x = C_1 y and y = C_2 x,
where C_i holds player i's soft response to each single action of the other: with two players there is exactly one such
pair. A game counts as a violation if some player's gap in some state exceeds H log n.

    python -m benchmarks.conditional_form [--games 1000]
"""

import argparse

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp, softmax

STATES = 3
SCALES = (1, 3, 10, 30)
HORIZONS = (1, 5, 20)
ACTIONS = (2, 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=1000)
    print(table(parser.parse_args().games))


def table(games: int = 1000) -> str:
    """Violation rates in percent, a row for each number of actions and epochs, a column for each M."""
    lines = ["| actions | epochs H | " + " | ".join(f"M = {scale}" for scale in SCALES) + " |", "|---" * 6 + "|"]
    for actions in ACTIONS:
        for horizon in HORIZONS:
            rates = [violation_rate(games, actions, horizon, scale) for scale in SCALES]
            cells = " | ".join(f"{100 * rate:.1f}" for rate in rates)
            lines.append(f"| {actions} | {horizon} | {cells} |")
    return "\n".join(lines)


def violation_rate(games: int, actions: int, horizon: int, scale: float, seed: int = 0) -> float:
    """The share of `games` in which the executed gap exceeds H log n."""
    gaps = executed_gaps(*drawn(games, actions, scale, seed), horizon)
    return float((gaps.max(axis=(1, 2)) > horizon * np.log(actions)).mean())


def drawn(
    games: int, actions: int, scale: float, seed: int
) -> tuple[Float[np.ndarray, "G N S A B"], Float[np.ndarray, "G S A B T"]]:
    rng = np.random.default_rng(seed)
    reward = rng.uniform(-scale, scale, (games, 2, STATES, actions, actions))
    return reward, rng.dirichlet(np.ones(STATES), (games, STATES, actions, actions))


def executed_gaps(
    reward: Float[np.ndarray, "G N S A B"], kernel: Float[np.ndarray, "G S A B T"], horizon: int
) -> Float[np.ndarray, "G N S"]:
    """What each player could gain alone in every state, with `horizon` epochs left, by backward induction."""
    soft = played = best = np.zeros(reward.shape[:3])

    def ahead(values: Float[np.ndarray, "G N S"]) -> Float[np.ndarray, "G N S A B"]:
        return reward + np.einsum("gsabt,git->gisab", kernel, values)

    for _ in range(horizon):
        q = ahead(soft)
        answers = softmax(q[:, 0], axis=-2), softmax(q[:, 1], axis=-1)
        row, column = executed_pair(*answers)
        # Each values its plan in its own model: it answers the action that it predicts, and is paid its entropy.
        soft = np.stack(
            [
                (column * logsumexp(q[:, 0], axis=-2)).sum(axis=-1),
                (row * logsumexp(q[:, 1], axis=-1)).sum(axis=-1),
            ],
            axis=1,
        )
        played = np.einsum("gisab,gsa,gsb->gis", ahead(played), row, column)
        deviating = ahead(best)
        best = np.stack(
            [
                np.einsum("gsab,gsb->gsa", deviating[:, 0], column).max(axis=-1),
                np.einsum("gsab,gsa->gsb", deviating[:, 1], row).max(axis=-1),
            ],
            axis=1,
        )
    return best - played


def executed_pair(
    first: Float[np.ndarray, "*batch A B"], second: Float[np.ndarray, "*batch A B"]
) -> tuple[Float[np.ndarray, "*batch A"], Float[np.ndarray, "*batch B"]]:
    """x = first y and y = x second; `first` holds P(a | b), `second` P(b | a)."""
    row = stationary(second @ np.swapaxes(first, -1, -2))
    return row, np.einsum("...a,...ab->...b", row, second)


def stationary(chain: Float[np.ndarray, "*batch A A"]) -> Float[np.ndarray, "*batch A"]:
    """The stationary law of chains by elimination without a subtraction (Grassmann, Taksar and Heyman 1985).

    However rare a transition is, its probability keeps all its digits.
    """
    chain = chain.copy()
    size = chain.shape[-1]
    for k in range(size - 1, 0, -1):
        chain[..., :k, k] /= chain[..., k, :k].sum(axis=-1, keepdims=True)
        chain[..., :k, :k] += chain[..., :k, k, None] * chain[..., None, k, :k]
    law = np.zeros(chain.shape[:-1])
    law[..., 0] = 1.0
    for k in range(1, size):
        law[..., k] = (law[..., :k] * chain[..., :k, k]).sum(axis=-1)
    return law / law.sum(axis=-1, keepdims=True)


if __name__ == "__main__":
    main()
