"""Compiled kernels for two-player one-shot games: support enumeration and Lemke-Howson.

Player 0 chooses rows, player 1 columns; `payoffs` (2, m, n) are normalised to [0, 1] as in `stage_games`.
"""

from typing import no_type_check

import numpy as np

from equinfer.solvers.tabular.stage_games import (
    ROUNDING,
    is_equilibrium,
    kernel,
    load,
    solve_linear,
    store,
)

__all__ = [
    "PATH_ENDED",
    "PATH_LOST",
    "basic_solution",
    "follow_labels",
    "lemke_howson_tableaux",
    "next_combination",
    "pivoted_equilibrium",
    "scan_support_pairs",
    "solve_bimatrix_states",
    "vertex",
]

_SMALL_SUPPORT = 3
_SUPPORT_PAIRS = 5_000
"""Small supports are tried first: random games nearly always have an equilibrium there, and few mixed actions make
the next sweep quick. A game with more pairs of supports of one size than this goes to Lemke-Howson instead."""

_PIVOTS_PER_LABEL = (10, 1_000)
"""Lemke-Howson paths mostly have a few pivots per label; a long one is left for a shorter one of another label."""
_PIVOTING_WORK = 3e8
"""Multiplications that all paths of a game may take together, beyond the first: some tenths of a second."""

PATH_ENDED, PATH_LOST = -1, -2


@kernel
@no_type_check
def next_combination(chosen, total):
    """Advance the sorted indices `chosen` to the next subset of range(`total`); at the end, False and the first one."""
    size = len(chosen)
    place = size - 1
    while place >= 0 and chosen[place] == total - size + place:
        place -= 1
    if place < 0:
        for k in range(size):
            chosen[k] = k
        return False
    chosen[place] += 1
    for k in range(place + 1, size):
        chosen[k] = chosen[k - 1] + 1
    return True


@kernel
@no_type_check
def vertex(payoff, own, tied, tolerance, mixed):
    """The mixture over the actions `own` that makes the opponent indifferent among `tied`, and no action better.

    `payoff` (opponent's actions, own actions) is the opponent's. The two index lists have one length. The mixture is
    written to `mixed` (own actions,).

    Returns the number of the opponent's best responses, 0 if there is no such mixture with positive probabilities.
    """
    size = len(own)
    matrix, rhs = np.zeros((size + 1, size + 1)), np.zeros(size + 1)
    for r in range(size):
        for c in range(size):
            matrix[r, c] = payoff[tied[r], own[c]]
        matrix[r, size] = -1.0
        matrix[size, r] = 1.0
    rhs[size] = 1.0
    if solve_linear(matrix, rhs) == 0:
        return 0
    for a in range(len(mixed)):
        mixed[a] = 0.0
    for c in range(size):
        if not rhs[c] > tolerance:
            return 0
        mixed[own[c]] = rhs[c]
    best_responses = 0
    for r in range(payoff.shape[0]):
        value = 0.0
        for c in range(size):
            value += payoff[r, own[c]] * rhs[c]
        if value > rhs[size] + tolerance:
            return 0
        if value >= rhs[size] - tolerance:
            best_responses += 1
    return best_responses


@kernel
@no_type_check
def scan_support_pairs(row_payoff, column_payoff, own, other, tolerance, mixtures, ties):
    """The vertices that belong to the next pairs of supports (rows `own`, columns `other`, of one size).

    For pair t, `mixtures[t]` (2, A) holds the mixtures on these supports that make the respective opponent indifferent
    among the other support, and `ties[t]` (2,) the numbers of the opponent's best responses to them: 0 where there is
    no such mixture. Where both exist they are an equilibrium. `own` and `other` are advanced in place.

    Returns how many pairs were scanned, and whether there are more of this size.
    """
    rows, columns = row_payoff.shape
    for t in range(len(ties)):
        ties[t, 0] = vertex(column_payoff, own, other, tolerance, mixtures[t, 0, :rows])
        ties[t, 1] = vertex(row_payoff, other, own, tolerance, mixtures[t, 1, :columns])
        if not next_combination(other, columns) and not next_combination(own, rows):
            return t + 1, False
    return len(ties), True


@kernel
@no_type_check
def small_support_equilibrium(row_payoff, column_payoff, tolerance, policy):
    """The first equilibrium with equal supports of 2 to `_SMALL_SUPPORT` actions; False if there is none.

    `row_payoff` (m, n) is of player 0, `column_payoff` (n, m) of player 1, transposed.
    """
    rows, columns = row_payoff.shape
    worst = max(tolerance[0], tolerance[1])
    for size in range(2, min(_SMALL_SUPPORT, rows, columns) + 1):
        pairs = 1.0
        for k in range(size):
            pairs *= (rows - k) * (columns - k) / (k + 1.0) ** 2
        if pairs > _SUPPORT_PAIRS:
            return False
        own, other = np.arange(size), np.arange(size)
        more_rows = True
        while more_rows:
            more_columns = True
            while more_columns:
                if (
                    vertex(row_payoff, other, own, worst, policy[1, :columns]) > 0
                    and vertex(column_payoff, own, other, worst, policy[0, :rows]) > 0
                ):
                    return True
                more_columns = next_combination(other, columns)
            more_rows = next_combination(own, rows)
    return False


@kernel
@no_type_check
def lemke_howson_tableaux(row_payoff, column_payoff):
    r"""Tableaux of $\{x\ge0,\ B^\top x\le1\}$ and $\{y\ge0,\ Ay\le1\}$ for A, B = 1 + payoffs, and their first bases.

    Columns are numbered by label: i < m for row i, m + j for column j, and the right-hand side last. Slack variables
    are basic at first.
    """
    rows, columns = row_payoff.shape
    labels = rows + columns
    first, second = np.zeros((columns, labels + 1)), np.zeros((rows, labels + 1))
    first_basis, second_basis = np.empty(columns, np.int64), np.empty(rows, np.int64)
    for j in range(columns):
        for i in range(rows):
            first[j, i] = 1.0 + column_payoff[j, i]
        first[j, rows + j] = 1.0
        first[j, labels] = 1.0
        first_basis[j] = rows + j
    for i in range(rows):
        for j in range(columns):
            second[i, rows + j] = 1.0 + row_payoff[i, j]
        second[i, i] = 1.0
        second[i, labels] = 1.0
        second_basis[i] = i
    return first, second, first_basis, second_basis


@kernel
@no_type_check
def lexicographic_row(tableau, entering, slack, slacks):
    """The row that leaves when column `entering` enters: the lexicographic minimum ratio test, -1 if unbounded.

    Rows are compared by right-hand side, then by the `slacks` columns from `slack` on (the inverse of the basis), each
    divided by the entering column. No two rows ever tie, so degenerate games cannot cycle.
    """
    last = tableau.shape[1] - 1
    best = -1
    for r in range(tableau.shape[0]):
        if tableau[r, entering] <= 1e-10:
            continue
        if best < 0:
            best = r
            continue
        for k in range(-1, slacks):
            column = last if k < 0 else slack + k
            mine = tableau[r, column] / tableau[r, entering]
            theirs = tableau[best, column] / tableau[best, entering]
            if abs(mine - theirs) > ROUNDING * (1.0 + abs(mine)):
                if mine < theirs:
                    best = r
                break
    return best


@kernel
@no_type_check
def pivot(tableau, row, entering):
    """Make column `entering` the unit vector of `row`, in place."""
    rows, columns = tableau.shape
    scale = 1.0 / tableau[row, entering]
    for c in range(columns):
        tableau[row, c] *= scale
    tableau[row, entering] = 1.0
    for r in range(rows):
        factor = tableau[r, entering]
        if r != row and factor != 0.0:
            for c in range(columns):
                tableau[r, c] -= factor * tableau[row, c]
            tableau[r, entering] = 0.0


@kernel
@no_type_check
def follow_labels(first, second, first_basis, second_basis, dropped, entering, side, budget):
    """Up to `budget` complementary pivots of the Lemke-Howson path that drops the label `dropped`.

    `entering` is the next label to enter tableau `side` (0 or 1); a path begins with `dropped` itself, in tableau 0 if
    it is a row and in tableau 1 if it is a column. Everything is advanced in place.

    Returns the label and the side to go on with, and the number of pivots done; the label is `PATH_ENDED` when
    all labels are there again, `PATH_LOST` if the ratio test found no row, which only rounding can bring about.
    """
    columns, rows = len(first_basis), len(second_basis)
    for done in range(budget):
        if side == 0:
            row = lexicographic_row(first, entering, rows, columns)
            if row < 0:
                return PATH_LOST, side, done
            pivot(first, row, entering)
            leaving = first_basis[row]
            first_basis[row] = entering
        else:
            row = lexicographic_row(second, entering, 0, rows)
            if row < 0:
                return PATH_LOST, side, done
            pivot(second, row, entering)
            leaving = second_basis[row]
            second_basis[row] = entering
        side = 1 - side
        if leaving == dropped:
            return PATH_ENDED, side, done + 1
        entering = leaving
    return entering, side, budget


@kernel
@no_type_check
def basic_solution(row_payoff, column_payoff, first_basis, second_basis, policy):
    """The mixtures of both players at the final bases, solved afresh so that no rounding of the pivots is left.

    Returns False if a basis is singular or a player's mixture is empty.
    """
    rows, columns = row_payoff.shape
    first, second, _, _ = lemke_howson_tableaux(row_payoff, column_payoff)
    for side in range(2):
        tableau, basis = (first, first_basis) if side == 0 else (second, second_basis)
        size, offset = (rows, 0) if side == 0 else (columns, rows)
        matrix, rhs = np.empty((len(basis), len(basis))), np.ones(len(basis))
        for r in range(len(basis)):
            for c in range(len(basis)):
                matrix[r, c] = tableau[r, basis[c]]
        if solve_linear(matrix, rhs) == 0:
            return False
        total = 0.0
        for a in range(size):
            policy[side, a] = 0.0
        for c in range(len(basis)):
            a = basis[c] - offset
            if 0 <= a < size:
                policy[side, a] = max(rhs[c], 0.0)
                total += policy[side, a]
        if not total > 0.0:
            return False
        for a in range(size):
            policy[side, a] /= total
    return True


@kernel
@no_type_check
def lemke_howson_equilibrium(row_payoff, column_payoff, dropped, budget, policy):
    """The equilibrium at the end of the path that drops the label `dropped`; False if `budget` pivots do not reach it,
    or rounding broke the path. Also returns how many pivots were done.
    """
    rows = len(row_payoff)
    first, second, first_basis, second_basis = lemke_howson_tableaux(row_payoff, column_payoff)
    side = 0 if dropped < rows else 1
    entering, _, done = follow_labels(first, second, first_basis, second_basis, dropped, dropped, side, budget)
    found = entering == PATH_ENDED and basic_solution(row_payoff, column_payoff, first_basis, second_basis, policy)
    return found, done


@kernel
@no_type_check
def pivoted_equilibrium(payoffs, sizes, tolerance, row_payoff, column_payoff, policy):
    """An equilibrium by Lemke-Howson, label by label, short paths first; False if rounding broke all of them, or they
    are too long.
    """
    labels = sizes[0] + sizes[1]
    left = max(_PIVOTS_PER_LABEL[0] * labels, int(_PIVOTING_WORK / (max(sizes[0], sizes[1]) * (labels + 1))))
    for attempt in range(2 * labels):
        patience, dropped = divmod(attempt, labels)
        budget = min(_PIVOTS_PER_LABEL[patience] * labels, left)
        found, done = lemke_howson_equilibrium(row_payoff, column_payoff, dropped, budget, policy)
        if found and is_equilibrium(payoffs, sizes, policy, tolerance):
            return True
        left -= done
        if left <= 0:
            break
    return False


@kernel
@no_type_check
def solve_bimatrix_states(table, shape, orders, legal, states, profile, solved):
    """An equilibrium of the two-player stage game at each of `states`, written to `profile` and `solved`.

    Small supports first, in the order of actions given by `orders`; then Lemke-Howson, label by label.
    """
    policy = np.zeros((2, profile.shape[2]))
    for s in states:
        payoffs, sizes, tolerance = load(table, shape, orders, legal, s)
        rows, columns = sizes
        row_payoff = payoffs[0].reshape(rows, columns)
        column_payoff = payoffs[1].reshape(rows, columns).T.copy()
        found = small_support_equilibrium(row_payoff, column_payoff, tolerance, policy) or pivoted_equilibrium(
            payoffs, sizes, tolerance, row_payoff, column_payoff, policy
        )
        solved[s] = found
        if found:
            store(policy, orders, legal, s, profile)
