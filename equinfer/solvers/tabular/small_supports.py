r"""Compiled closed forms: equilibria of one-shot games in which two or three players mix over two actions each.

Everybody else plays a pure action. A candidate is a *corner*, the joint action (a cell of the tables in C order) where
each player plays the first action of its support, and one step per mixing player from the first action to the second.
Random games with few actions nearly always have an equilibrium of this kind or a pure one.

Payoffs are normalised as in `stage_games`: `payoffs` (N, J), with `strides` and `sizes` (N,).
"""

from typing import no_type_check

import numpy as np

from equinfer.solvers.tabular.stage_games import kernel, polish

__all__ = ["three_mix", "two_mix"]

_POLISHING_WORK = 1e8
"""Multiplications that Newton's method may take on all supports of a game together: some tenths of a second."""
_NEWTON_STEPS = 4
"""That most supports take."""


@kernel
@no_type_check
def indifferent_at(payoff, corner, own, other):
    """The probability of the opponent's second action that makes both own actions equally good, -1 if there is none.

    `own` and `other` are the steps to the second actions of the two players.
    """
    first = payoff[corner + own] - payoff[corner]
    second = payoff[corner + own + other] - payoff[corner + other]
    return first / (first - second) if first * second < 0.0 else -1.0


@kernel
@no_type_check
def two_mix_at(payoff, corner, first, second, x, y):
    """`payoff` averaged over two mixing players, who play their second actions with probabilities `x` and `y`."""
    return (1.0 - y) * ((1.0 - x) * payoff[corner] + x * payoff[corner + first]) + y * (
        (1.0 - x) * payoff[corner + second] + x * payoff[corner + first + second]
    )


@kernel
@no_type_check
def two_mix_stable(payoffs, sizes, strides, tolerance, corner, i, first, j, second, x, y):
    """No player gains by a deviation, when i and j play their second actions with probabilities `x` and `y`."""
    for k in range(len(sizes)):
        own_x, own_y = 0.0 if k == i else x, 0.0 if k == j else y
        played = (corner // strides[k]) % sizes[k]
        limit = two_mix_at(payoffs[k], corner, first, second, own_x, own_y) + tolerance[k]
        for a in range(sizes[k]):
            elsewhere = corner + (a - played) * strides[k]
            # A mixing player's own weight is on its first action, so its step is never taken (nor out of the table).
            reach_x, reach_y = 0 if k == i else first, 0 if k == j else second
            if not two_mix_at(payoffs[k], elsewhere, reach_x, reach_y, own_x, own_y) <= limit:
                return False
    return True


@kernel
@no_type_check
def play_corner(sizes, strides, corner, policy):
    """Write the pure profile of the joint action `corner` to `policy` (N, A)."""
    for k in range(len(sizes)):
        for a in range(sizes[k]):
            policy[k, a] = 0.0
        policy[k, (corner // strides[k]) % sizes[k]] = 1.0


@kernel
@no_type_check
def mix_second(strides, sizes, corner, k, action, probability, policy):
    """Let player k play `action` with `probability`, and its action at `corner` otherwise."""
    policy[k, (corner // strides[k]) % sizes[k]] = 1.0 - probability
    policy[k, action] = probability


@kernel
@no_type_check
def two_mix(payoffs, sizes, strides, tolerance, policy):
    """The first equilibrium in which two players mix over two actions each, written to `policy`; False if none."""
    players, joint = payoffs.shape
    for i in range(players):
        for j in range(i + 1, players):
            for corner in range(joint):
                a, b = (corner // strides[i]) % sizes[i], (corner // strides[j]) % sizes[j]
                for c in range(a + 1, sizes[i]):
                    first = (c - a) * strides[i]
                    for d in range(b + 1, sizes[j]):
                        second = (d - b) * strides[j]
                        y = indifferent_at(payoffs[i], corner, first, second)
                        if y < 0.0:
                            continue
                        x = indifferent_at(payoffs[j], corner, second, first)
                        if x < 0.0:
                            continue
                        if two_mix_stable(payoffs, sizes, strides, tolerance, corner, i, first, j, second, x, y):
                            play_corner(sizes, strides, corner, policy)
                            mix_second(strides, sizes, corner, i, c, x, policy)
                            mix_second(strides, sizes, corner, j, d, y, policy)
                            return True
    return False


@kernel
@no_type_check
def bilinear(payoff, corner, own, first, second, form):
    r"""What the second own action gains over the first, as $f_0+f_1y+f_2z+f_3yz$ in the others' probabilities.

    Returns whether it changes sign: no action is better than the other whatever the others do.
    """
    low = payoff[corner + own] - payoff[corner]
    one = payoff[corner + own + first] - payoff[corner + first]
    two = payoff[corner + own + second] - payoff[corner + second]
    both = payoff[corner + own + first + second] - payoff[corner + first + second]
    form[0], form[1], form[2], form[3] = low, one - low, two - low, (both - one) - (two - low)
    return min(low, one, two, both) < 0.0 < max(low, one, two, both)


@kernel
@no_type_check
def quadratic_roots(square, linear, constant, roots):
    """The real roots without cancellation, written to `roots` (2,); returns how many."""
    discriminant = linear * linear - 4.0 * square * constant
    if not discriminant >= 0.0:
        return 0
    larger = -0.5 * (linear + np.copysign(np.sqrt(discriminant), linear))
    count = 0
    if square != 0.0:
        roots[count] = larger / square
        count += 1
    if larger != 0.0:
        roots[count] = constant / larger
        count += 1
    return count


@kernel
@no_type_check
def indifferent_triples(forms, roots):
    r"""Probabilities (x, y, z) at which three players with two actions each are all indifferent.

    `forms` (3, 4) holds the players' `bilinear` forms, in (y, z), (x, z) and (x, y). The second's equation gives
    $x=-(g_0+g_2z)/(g_1+g_3z)$, the first's $y=-(f_0+f_2z)/(f_1+f_3z)$; the third's is then quadratic in z. Solutions
    strictly between zero and one are written to `roots` (2, 3). Returns how many.
    """
    f, g, h = forms[0], forms[1], forms[2]
    square = h[0] * g[3] * f[3] - h[1] * g[2] * f[3] - h[2] * f[2] * g[3] + h[3] * g[2] * f[2]
    linear = (
        h[0] * (g[1] * f[3] + g[3] * f[1])
        - h[1] * (g[0] * f[3] + g[2] * f[1])
        - h[2] * (f[0] * g[3] + f[2] * g[1])
        + h[3] * (g[0] * f[2] + g[2] * f[0])
    )
    constant = h[0] * g[1] * f[1] - h[1] * g[0] * f[1] - h[2] * f[0] * g[1] + h[3] * g[0] * f[0]
    thirds = np.empty(2)
    count = 0
    for r in range(quadratic_roots(square, linear, constant, thirds)):
        z = thirds[r]
        x = -(g[0] + g[2] * z) / (g[1] + g[3] * z)
        y = -(f[0] + f[2] * z) / (f[1] + f[3] * z)
        if 0.0 < x < 1.0 and 0.0 < y < 1.0 and 0.0 < z < 1.0:
            roots[count, 0], roots[count, 1], roots[count, 2] = x, y, z
            count += 1
    return count


@kernel
@no_type_check
def three_mix(payoffs, sizes, strides, tolerance, policy):
    """The first equilibrium in which three players mix over two actions each, written to `policy`; False if none, or
    if too many supports come close.

    Newton's method on the support takes the rounding of the quadratic off, and says whether it is one.
    """
    players, joint = payoffs.shape
    left = 1 + int(_POLISHING_WORK / (_NEWTON_STEPS * 3 * players * joint))
    forms, roots = np.empty((3, 4)), np.empty((2, 3))
    items, counts = np.zeros(policy.shape, np.int64), np.empty(players, np.int64)
    for i in range(players):
        for j in range(i + 1, players):
            for k in range(j + 1, players):
                trio = (i, j, k)
                for corner in range(joint):
                    a = (corner // strides[i]) % sizes[i]
                    b = (corner // strides[j]) % sizes[j]
                    c = (corner // strides[k]) % sizes[k]
                    for second_a in range(a + 1, sizes[i]):
                        step_a = (second_a - a) * strides[i]
                        for second_b in range(b + 1, sizes[j]):
                            step_b = (second_b - b) * strides[j]
                            for second_c in range(c + 1, sizes[k]):
                                step_c = (second_c - c) * strides[k]
                                if not (
                                    bilinear(payoffs[i], corner, step_a, step_b, step_c, forms[0])
                                    and bilinear(payoffs[j], corner, step_b, step_a, step_c, forms[1])
                                    and bilinear(payoffs[k], corner, step_c, step_a, step_b, forms[2])
                                ):
                                    continue
                                seconds = (second_a, second_b, second_c)
                                for r in range(indifferent_triples(forms, roots)):
                                    play_corner(sizes, strides, corner, policy)
                                    for m in range(players):
                                        items[m, 0], counts[m] = (corner // strides[m]) % sizes[m], 1
                                    for n in range(3):
                                        m = trio[n]
                                        mix_second(strides, sizes, corner, m, seconds[n], roots[r, n], policy)
                                        items[m, 1], counts[m] = seconds[n], 2
                                    if polish(payoffs, sizes, policy, items, counts, tolerance):
                                        return True
                                    left -= 1
                                    if left == 0:
                                        return False
    return False
