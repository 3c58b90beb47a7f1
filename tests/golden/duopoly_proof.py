"""A proof in rational numbers that there is an equilibrium of the price duopoly with the supports of a profile.

The rival's law R(.|p) at a price p of ours enters our own conditions only. With v(c) what we earn as the mover at the
rival's price c, and W(p) what we earn while the rival answers p:

    v(c) = profit(p, c) + g W(p)                        for every p that we answer c by, and no p is better;
    W(p) = profit(p, c) + g v(c)                        if the rival always answers p by c;
    W(p) between the least and the largest of these     if it mixes, and then some law over its answers attains W(p).

So supports for which these linear equations have a solution, and the inequalities hold, are those of an equilibrium.
"""

from fractions import Fraction

import numpy as np

PRICES = 7


def profit(own, other):
    """In 36ths: at prices k/6."""
    return Fraction(own * (6 - own)) * (Fraction(1, 2) if own == other else int(own < other))


def proven_values(profile, discount):
    """The exact values (2, 14), in 36ths, of an equilibrium with the supports of `profile`, or None.

    Where those equations leave a W(p) open, the rival's law at p is that of the profile.
    """
    laws = [_rational(profile[0][:PRICES]), _rational(profile[1][PRICES:])]
    found = []
    for firm in (0, 1):
        own, rival = laws[firm], laws[1 - firm]
        equations = _equations(own, rival, discount)
        order = sorted(range(2 * PRICES), key=lambda k, rival=rival: k >= PRICES and max(rival[k - PRICES]) < 1)
        solved, left_open = _solved(equations, order)
        if left_open:
            solved, left_open = _solved(equations + [_mixed(k - PRICES, rival, discount) for k in left_open], order)
        if solved is None or left_open or not _holds(own, rival, discount, solved):
            return None
        found.append(np.array(solved, float))
    return np.array([found[0], np.roll(found[1], PRICES)])


def _rational(laws):
    """The laws' rows, in Fractions that sum to one exactly."""
    rows = [[Fraction(float(chance)) for chance in law] for law in laws]
    return np.array([[chance / sum(row) for chance in row] for row in rows])


def _equations(own, rival, discount):
    """Rows (14 coefficients of v(0..6), W(0..6); right-hand side)."""
    rows = []
    for c, p in np.argwhere(own > 0).tolist():
        rows.append(_row({c: Fraction(1), PRICES + p: -discount}, profit(p, c)))
    return rows + [_mixed(p, rival, discount) for p in range(PRICES) if max(rival[p]) == 1]


def _mixed(p, rival, discount):
    """The equation of W(p) at the rival's very law."""
    return _row(
        {PRICES + p: Fraction(1)} | {c: -discount * rival[p, c] for c in range(PRICES)},
        sum(rival[p, c] * profit(p, c) for c in range(PRICES)),
    )


def _row(coefficients, right):
    return [coefficients.get(k, Fraction(0)) for k in range(2 * PRICES)] + [right]


def _solved(rows, order):
    """A solution, and the unknowns that are left open and 0 in it, the last in `order`; None if there is none."""
    rows, pivots = [list(row) for row in rows], []
    for column in order:
        here = len(pivots)
        usable = next((r for r in range(here, len(rows)) if rows[r][column]), None)
        if usable is None:
            continue
        rows[here], rows[usable] = rows[usable], rows[here]
        rows[here] = [entry / rows[here][column] for entry in rows[here]]
        for r, row in enumerate(rows):
            if r != here and row[column]:
                rows[r] = [a - row[column] * b for a, b in zip(row, rows[here], strict=True)]
        pivots.append(column)
    left_open = sorted(set(range(2 * PRICES)) - set(pivots))
    if any(row[-1] for row in rows[len(pivots) :]):
        return None, left_open
    solution = [Fraction(0)] * (2 * PRICES)
    for row, column in zip(rows, pivots, strict=False):
        solution[column] = row[-1]
    return solution, left_open


def _holds(own, rival, discount, solution):
    v, w = solution[:PRICES], solution[PRICES:]
    for c in range(PRICES):
        offers = [profit(p, c) + discount * w[p] for p in range(PRICES)]
        if max(offers) != v[c] or any(offers[p] != v[c] for p in np.flatnonzero(own[c])):
            return False
    for p in range(PRICES):
        earned = [profit(p, c) + discount * v[c] for c in np.flatnonzero(rival[p]).tolist()]
        if not min(earned) <= w[p] <= max(earned):
            return False
    return True
