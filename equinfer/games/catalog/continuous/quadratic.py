"""Quadratic games: every reward is a quadratic function of the joint action, concave in the own action."""

from typing import Any

import numpy as np
from jaxtyping import Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.continuous import ContinuousGame

__all__ = ["interior_nash", "quadratic", "quadratic_zero_sum"]


def interior_nash(game: ContinuousGame, **_: Any) -> tuple[KnownEquilibrium, ...]:
    """The solution of everybody's first-order conditions, one linear system, if it lies in the boxes.

    It is the only equilibrium of a diagonally strictly concave game (Rosen 1965): the symmetric part of the matrix of
    the system is negative definite.
    """
    tables = game.tables()
    assert tables.quadratic is not None
    matrix, linear = tables.quadratic.matrix[0], tables.quadratic.linear[0]
    columns = tables.columns
    system = np.vstack([2 * matrix[i][own] for i, own in enumerate(columns)])
    right = -np.concatenate([linear[i][own] for i, own in enumerate(columns)])
    row = np.linalg.solve(system, right)
    only = bool(np.linalg.eigvalsh(system + system.T)[-1] < 0)
    if not all(
        (tables.low[i] <= row[own]).all() and (row[own] <= tables.high[i]).all() for i, own in enumerate(columns)
    ):
        return ()
    values = tables.rewards_at(row[None]).T
    actions = tuple(row[own] for own in columns)
    return (KnownEquilibrium(actions, values, "everybody's first-order conditions", complete=only),)


@entry("von Neumann, Zur Theorie der Gesellschaftsspiele, 1928: concave-convex games have a value", interior_nash)
def quadratic_zero_sum(
    *, scale: float = 10.0, coupling: float = 1.5, saddle: tuple[float, ...] = (0.3, -0.4), bound: float = 1.0
) -> ContinuousGame:
    r"""Zero-sum quadratic game of two numbers, with its saddle where one wants it.

    $r_1=-r_2=\sigma(-x^2+cxy+y^2+px+qy)$ with p and q such that the `saddle` is where it is said. By default
    $10(-x^2+1.5xy+y^2+1.2x+0.35y)$ on $[-1,1]^2$.
    """
    require(scale > 0, f"quadratic_zero_sum needs scale > 0; got {scale:g}.")
    require(len(saddle) == 2, f"quadratic_zero_sum needs a saddle of two numbers; got {len(saddle)}.")
    require(max(map(abs, saddle)) <= bound, f"quadratic_zero_sum needs a saddle within {bound:g}; got {saddle}.")
    x, y = saddle
    matrix = scale * np.array([[-1.0, coupling / 2], [coupling / 2, 1.0]])
    linear = scale * np.array([2 * x - coupling * y, -coupling * x - 2 * y])
    high = np.full((2, 1), bound)
    return ContinuousGame.quadratic(
        np.stack([matrix, -matrix]), np.stack([linear, -linear]), np.zeros(2), -high, high, name="quadratic_zero_sum"
    )


def _drawn_matrices(agents: int, dimensions: int, coupling: float, seed: int) -> Float[np.ndarray, "N D D"]:
    """Own parts with eigenvalues between -3 and -1; parts between agents of spectral norm `coupling` / (N - 1)."""
    random = np.random.default_rng(seed)
    matrices = np.zeros((agents, agents * dimensions, agents * dimensions))
    for i in range(agents):
        own = slice(i * dimensions, (i + 1) * dimensions)
        turned = np.linalg.qr(random.standard_normal((dimensions, dimensions)))[0]
        matrices[i, own, own] = -(turned * random.uniform(1.0, 3.0, dimensions)) @ turned.T
        for j in set(range(agents)) - {i}:
            other = slice(j * dimensions, (j + 1) * dimensions)
            block = random.standard_normal((dimensions, dimensions))
            block *= coupling / (agents - 1) / np.linalg.norm(block, 2)
            matrices[i, own, other] = block
            matrices[i, other, own] = block.T
    return matrices


@entry("Rosen, Existence and uniqueness of equilibrium points for concave N-person games, 1965", interior_nash)
def quadratic(
    *,
    agents: int = 2,
    dimensions: int = 2,
    coupling: float = 0.6,
    nash: tuple[float, ...] = (0.4, -0.3, -0.5, 0.25),
    scale: float = 10.0,
    seed: int = 0,
    bound: float = 1.0,
) -> ContinuousGame:
    r"""Quadratic general-sum game of any size, drawn by its seed around its equilibrium.

    Agent i earns $\sigma(a_i^\top M_{ii}a_i+2a_i^\top\sum_jM_{ij}a_j)+b_i^\top a_i$. Linear parts are such that `nash`,
    all agents' numbers in a row (repeated to their number), is the equilibrium. It is the only one while the `coupling`
    is below 1, which makes the game diagonally strictly concave: nobody's reward is steeper in the others' actions
    together than it is curved in the own action.
    """
    require(agents >= 1 and dimensions >= 1, f"quadratic needs agents, dimensions >= 1; got {agents}, {dimensions}.")
    require(0 <= coupling < 1, f"quadratic needs a coupling in [0, 1); got {coupling:g}.")
    require(scale > 0, f"quadratic needs scale > 0; got {scale:g}.")
    require(seed >= 0, f"quadratic needs seed >= 0; got {seed}.")
    require(len(nash) >= 1 and max(map(abs, nash)) < bound, f"quadratic needs a nash within {bound:g}; got {nash}.")
    size = agents * dimensions
    matrices = scale * _drawn_matrices(agents, dimensions, coupling, seed)
    place = np.resize(np.array(nash), size)
    linear = np.zeros((agents, size))
    for i in range(agents):
        own = slice(i * dimensions, (i + 1) * dimensions)
        linear[i, own] = -2 * matrices[i, own] @ place
    high = np.full((agents, dimensions), bound)
    return ContinuousGame.quadratic(matrices, linear, np.zeros(agents), -high, high, name="quadratic")
