r"""Where a population settles that begins at $\mu_0$ and plays $\pi$ for ever: the law $\mu=\mu P_{\pi,L}$, $L=\mu\pi$.

With dynamics of its own that is the limit of a Markov chain (`chains`). Where dynamics depend on the population there
may be several such laws; what is meant is the one that the population comes to if half of it moves at a time,
$x_{t+1}=\frac12(x_t+x_tP_{\pi,L(x_t)})$, which has the same rest points and does not merely cycle. It is followed for a
while, Newton's method then ends on a rest point, and that is accepted only if

* it attracts: every eigenvalue $\lambda$ of the derivative D of $x\mapsto xP_{\pi,L(x)}$, among the states that the
  population ever was in, has $|\frac12(1+\lambda)|<1$; and
* it is where the population was going: the distance from it has been shrinking, and between the two the population
  moves as the derivative at the rest point says, so that no other one is on the way.

The derivative is measured by differences, so that the error bound $|\rho\,(I-D)^{-1}|$ is one to first order.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from equinfer.arguments import ROW_SUM_TOLERANCE
from equinfer.certificates.chains import limit_law, reached_from, residual_bound
from equinfer.certificates.lists import matrix_of
from equinfer.certificates.populations import roundings, sent
from equinfer.certificates.rounding import UNDERFLOW, gamma, outward
from equinfer.errors import BadInput
from equinfer.mean_field_tables import MeanFieldTables, RawTransition, Staged
from equinfer.memory import refuse_beyond_half
from equinfer.tables import SuccessorLists

__all__ = ["Settlement", "rows_of", "settlement"]

Masses = tuple[Float[np.ndarray, " S"], ...]

_MOST_STATES = 5000
"""Whose chain is factored in half a minute."""
_MOST_UNKNOWNS = 2000
"""Populations times states up to which a derivative is measured, where dynamics depend on the population."""
_LOOKS = (0, 16, 64, 256, 1024, 4096)
"""Steps after which Newton's method is tried."""
_NEWTON_STEPS = 12
_DIFFERENCE, _PROBE = 1e-6, 1e-7
_SMOOTH = 1e-3
"""How well a difference over another distance must agree with the derivative."""
_ATTRACTS = 1 - 1e-5
_CLOSE, _SHRUNK = 0.01, 0.9
_AT_ONCE = 1e-12
_PLACES, _AS_SAID = (*np.geomspace(1e-3, 0.03, 8), *np.linspace(0.04, 1, 49)), 0.3
"""Where on the way to a rest point it is seen how the population moves, and what part that may be off."""
_UNDERFLOWN = 1e-290
_SAFETY = 2.0
"""Of the bound to first order."""


class Settlement(NamedTuple):
    """The stationary masses, what each may be wrong by, and the chain that leaves them as they are."""

    masses: Masses
    errors: Masses
    chains: tuple[Float[np.ndarray, "S S"], ...]
    doubt: str | None
    """Why nothing can be said of the law, if nothing can."""


def settlement(tables: MeanFieldTables, policies: Sequence[Float[np.ndarray, "S _"]]) -> Settlement:
    """Where the populations settle.

    **Raises:** `BadInput` for a kernel whose rows are no laws on the way there, or a game that is too large.
    """
    if tables.num_states > _MOST_STATES:
        raise BadInput(
            f"a stationary law is found by dense matrices, of up to {_MOST_STATES} states; {tables.name} has "
            f"{tables.num_states}."
        )
    refuse_beyond_half(
        f"the chain of {tables.num_states} states,", 8 * 6 * (tables.num_players * tables.num_states) ** 2
    )
    return _of_fixed(tables, policies) if tables.fixed_dynamics else _of_moving(tables, policies)


def rows_of(tables: MeanFieldTables, p: int, kernel: RawTransition) -> tuple[Any, int]:
    """A kernel as a sparse matrix (S A, S) whose rows sum to one, those of illegal actions empty, and the number of
    roundings that each of its entries went through. **Raises:** `BadInput` for rows that are no laws, with the place.
    """
    legal = tables.legal[p]
    match kernel:
        case Staged():
            cells = matrix_of(SuccessorLists(kernel.successors, kernel.probabilities), tables.num_states)
            rows: Any = cells[kernel.moves.ravel()]
        case SuccessorLists():
            rows = matrix_of(kernel, tables.num_states)
        case _:
            if kernel.shape != (*legal.shape, tables.num_states):
                raise BadInput(
                    f"the kernel of population {tables.player_labels[p]} has shape {kernel.shape}; expected (S, A, S) "
                    f"= {(*legal.shape, tables.num_states)}."
                )
            rows = sparse.csr_array(np.where(legal[..., None], kernel, 0.0).reshape(-1, tables.num_states))
    rows = (sparse.diags_array(legal.ravel().astype(float)) @ rows).tocsr()
    rows.sum_duplicates()
    sums = rows @ np.ones(tables.num_states)
    with np.errstate(invalid="ignore"):
        off = (~(np.abs(sums - 1) <= ROW_SUM_TOLERANCE)).reshape(legal.shape) & legal
    negative = ~(rows.data >= 0)
    if negative.any():
        row = int(np.searchsorted(rows.indptr, np.flatnonzero(negative)[0], side="right")) - 1
        off.ravel()[row] = True
    if off.any():
        s, a = np.argwhere(off)[0].tolist()
        raise BadInput(
            f"kernel of population {tables.player_labels[p]}, state {tables.state_labels[s]}, action "
            f"{tables.action_labels[p][a]}: not probabilities that sum to one, at the law of this policy."
        )
    scale = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0)
    return (sparse.diags_array(scale) @ rows).tocsr(), roundings(kernel) + 3


def _chain(rows: Any, policy: Float[np.ndarray, "S A"]) -> Float[np.ndarray, "S S"]:
    """Of a population that plays `policy`."""
    num_states, num_actions = policy.shape
    place = np.arange(num_states * num_actions)
    mixing: Any = sparse.csr_array(
        (policy.ravel(), place, np.arange(0, place.size + 1, num_actions)), shape=(num_states, place.size)
    )
    return (mixing @ rows).toarray()


def _of_fixed(tables: MeanFieldTables, policies: Sequence[Float[np.ndarray, "S _"]]) -> Settlement:
    nobody = tuple(law[:, None] * policy for law, policy in zip(tables.initial, policies, strict=True))
    masses, errors, chains, doubt = [], [], [], None
    for p, (kernel, policy) in enumerate(zip(tables.transitions(0, nobody), policies, strict=True)):
        rows, count = rows_of(tables, p, kernel)
        chain = _chain(rows, policy)
        law = limit_law(chain, tables.initial[p], count + 3 * policy.shape[1])
        if _has_underflown(rows, policy):
            doubt = "some moves are so unlikely that float64 cannot tell them from none"
        elif not np.isfinite(law.error).all():
            doubt = "its states hang together so loosely that its stationary law cannot be told in float64"
        masses.append(law.mass)
        errors.append(law.error)
        chains.append(chain)
    return Settlement(tuple(masses), tuple(errors), tuple(chains), doubt)


def _has_underflown(rows: Any, policy: Float[np.ndarray, "S A"]) -> bool:
    """Some probability of a move may be a product that float64 has lost, or all but lost."""
    least = policy[policy > 0].min() * rows.data[rows.data > 0].min()
    return bool(least < _UNDERFLOWN)


class _Motion:
    r"""The map $x\mapsto xP_{\pi,L(x)}$ of all populations, one after the other in a vector."""

    def __init__(self, tables: MeanFieldTables, policies: Sequence[Float[np.ndarray, "S _"]]):
        self.tables, self.policies = tables, policies
        self.size = tables.num_states
        self.roundings = 0

    def masses(self, x: Float[np.ndarray, " n"]) -> Masses:
        return tuple(x.reshape(self.tables.num_players, self.size))

    def _laws(self, x: Float[np.ndarray, " n"]) -> tuple[Float[np.ndarray, "S _"], ...]:
        return tuple(mass[:, None] * policy for mass, policy in zip(self.masses(x), self.policies, strict=True))

    def chains(self, x: Float[np.ndarray, " n"]) -> tuple[Float[np.ndarray, "S S"], ...]:
        """**Raises:** `BadInput` for rows of the kernel that are no laws."""
        return tuple(each[0] for each in self._rows(x))

    def has_underflown(self, x: Float[np.ndarray, " n"]) -> bool:
        pairs = zip(self._rows(x), self.policies, strict=True)
        return any(_has_underflown(rows, policy) for (_, rows), policy in pairs)

    def _rows(self, x: Float[np.ndarray, " n"]) -> list[tuple[Float[np.ndarray, "S S"], Any]]:
        found = []
        for p, kernel in enumerate(self.tables.transitions(0, self._laws(x))):
            rows, _ = rows_of(self.tables, p, kernel)
            found.append((_chain(rows, self.policies[p]), rows))
        return found

    def __call__(self, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        laws = self._laws(x)
        kernels = self.tables.transitions(0, laws)
        self.roundings = max(roundings(kernel) + law.size + 8 for kernel, law in zip(kernels, laws, strict=True))
        return np.concatenate([sent(kernel, law) for kernel, law in zip(kernels, laws, strict=True)])

    def closed(self, x: Float[np.ndarray, " n"], here: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """States that the population can come to from those in `here`, under the law x."""
        chains = (chain > 0 for chain in self.chains(x))
        each = here.reshape(len(self.policies), self.size)
        return np.concatenate([reached_from(chain, states) for chain, states in zip(chains, each, strict=True)])

    def derivative(self, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n n"]:
        """Row k is the slope from x towards all of a population being in one state: for changes v that sum to zero, the
        map moves by v times this.
        """
        base = self(x)
        slopes = []
        for k in range(len(x)):
            there, first = (1 - _DIFFERENCE) * x, k - k % self.size
            there[:first], there[first + self.size :] = x[:first], x[first + self.size :]
            there[k] += _DIFFERENCE
            slopes.append((self(there) - base) / _DIFFERENCE)
        return np.stack(slopes)


def _of_moving(tables: MeanFieldTables, policies: Sequence[Float[np.ndarray, "S _"]]) -> Settlement:
    motion = _Motion(tables, policies)
    x = np.concatenate(tables.initial)
    if len(x) > _MOST_UNKNOWNS:
        return _unsettled(
            motion, x, f"its dynamics depend on the population, and have more than {_MOST_UNKNOWNS} states"
        )
    seen, before, done = x > 0, None, 0
    for steps in _LOOKS:
        before = x
        for _ in range(steps - done):
            x = (x + motion(x)) / 2
            seen |= x > 0
        done = steps
        if not np.isfinite(x).all():
            break
        seen = motion.closed(x, seen)
        rest = _rest_near(motion, x, seen)
        if rest is not None:
            point, error, derivative = rest
            now, then = (float(np.abs(each - point).sum()) for each in (x, before))
            if now <= _AT_ONCE or (now <= _CLOSE and now <= _SHRUNK * then and _leads_to(motion, x, point, derivative)):
                return Settlement(motion.masses(point), motion.masses(error), motion.chains(point), None)
    return _unsettled(
        motion, x, "it has not come to rest from the initial law, or only where a small disturbance would drive it on"
    )


def _unsettled(motion: _Motion, x: Float[np.ndarray, " n"], doubt: str) -> Settlement:
    nothing = np.full_like(x, np.inf)
    return Settlement(motion.masses(x), motion.masses(nothing), motion.chains(x), doubt)


def _rest_near(
    motion: _Motion, x: Float[np.ndarray, " n"], seen: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, "n n"]] | None:
    """A rest point near x that attracts, what each mass of it may be wrong by, and the derivative there, among states
    that are `seen`; None if there is none.
    """
    derivative, point, missed = np.zeros((len(x), len(x))), x, motion(x) - x
    for attempt in range(_NEWTON_STEPS):
        if attempt in (0, 2, 6):
            derivative = motion.derivative(point)
        system = (np.eye(len(x)) - derivative)[np.ix_(seen, seen)]
        try:
            step = np.linalg.solve(system.T, missed[seen])
        except np.linalg.LinAlgError:
            return None
        moved = point.copy()
        moved[seen] += step
        if not np.abs(moved - x).sum() <= 2 * len(motion.policies) or (moved < -1e-3).any():
            return None
        moved = _a_law(motion, np.maximum(moved, 0.0))
        further = motion(moved) - moved
        if np.abs(further).sum() >= np.abs(missed).sum() and attempt > 0:
            break
        point, missed = moved, further
        if not missed.any():
            break
    if np.abs(missed).sum() > 1e3 * _rounding(motion, point).sum():
        return None
    derivative = motion.derivative(point)
    here = derivative[np.ix_(seen, seen)]
    if not _is_smooth(motion, point, derivative, seen) or not _attracts(here) or motion.has_underflown(point):
        return None
    slack = 10 * _DIFFERENCE * float(np.abs(here).sum(axis=1).max()) + 10 * _DIFFERENCE
    error = np.zeros_like(x)
    residual = (np.abs(missed) + _rounding(motion, point))[seen]
    error[seen] = _SAFETY * residual_bound(residual, np.eye(len(here)) - here, slack)
    if not np.isfinite(error).all():
        return None
    return point, error, np.where(seen[:, None] & seen, derivative, 0.0)


def _leads_to(
    motion: _Motion, x: Float[np.ndarray, " n"], point: Float[np.ndarray, " n"], derivative: Float[np.ndarray, "n n"]
) -> bool:
    """On the straight way from x to a rest point the population moves as the derivative there says, to a part."""
    whole = (x - point) @ derivative - (x - point)
    for part in _PLACES:
        y = point + part * (x - point)
        drift = motion(y) - y
        off = np.abs(drift - part * whole).sum()
        if not off <= _AS_SAID * part * np.abs(whole).sum() + 1e3 * _rounding(motion, y).sum():
            return False
    return True


def _a_law(motion: _Motion, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return np.concatenate([mass / mass.sum() for mass in motion.masses(x)])


def _rounding(motion: _Motion, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Of a residual there."""
    return outward(gamma(motion.roundings + 2 * motion.size + 4)) * 2 * (x + motion(x)) + UNDERFLOW


def _is_smooth(
    motion: _Motion, x: Float[np.ndarray, " n"], derivative: Float[np.ndarray, "n n"], seen: Bool[np.ndarray, " n"]
) -> bool:
    """Differences over shorter distances, both ways, agree with the derivative."""
    random = np.random.default_rng(0)
    weights = np.where(seen, random.exponential(size=len(x)), 0.0)
    there = _a_law(motion, weights)
    expected = (there - x) @ derivative
    # Beyond x, away from `there`, as far as masses allow.
    room = np.divide(x, there, out=np.full_like(x, np.inf), where=there > 0).min()
    parts = [_PROBE] + ([-_PROBE] if room > 2 * _PROBE else [])
    base = motion(x)
    slopes = [(motion((1 - part) * x + part * there) - base) / part for part in parts]
    return all(np.abs(slope - expected).max() <= _SMOOTH * (1 + np.abs(expected).max()) for slope in slopes)


def _attracts(derivative: Float[np.ndarray, "n n"]) -> bool:
    if not np.isfinite(derivative).all():
        return False
    return bool(np.abs(0.5 * (1 + np.linalg.eigvals(derivative))).max() < _ATTRACTS)
