"""What OpenSpiel's mean-field games remember by accident.

Their rewards charge for the last move, which is not part of the state. Values are stored by state, so every place and
time is charged for the move of the path that came there first, in a depth-first search over actions and noise.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Int

__all__ = ["first_visits"]


def first_visits(
    starts: Iterable[int],
    by_action: Callable[[int], Sequence[int | None]],
    by_noise: Callable[[int], Sequence[int | None]],
    horizon: int,
    num_states: int,
    neutral: int,
) -> Int[np.ndarray, "H S"]:
    """The action by which each (time, state) was first reached; `neutral` at time 0 and where nobody comes.

    `by_action` and `by_noise` say where each action, and each outcome, leads; None for what is not possible.
    """
    last = np.full((horizon, num_states), neutral)
    decided, thrown = np.zeros((2, horizon, num_states), bool)
    for start in starts:
        # The stack holds iterators: over what follows a decision, or a throw of the noise.
        pending = []
        if not decided[0, start]:
            decided[0, start] = True
            pending.append((0, "noise", neutral, enumerate(by_action(start))))
        while pending:
            t, following, action, options = pending[-1]
            number, there = next(options, (None, None))
            if number is None:
                pending.pop()
            elif there is None:
                continue
            elif following == "noise":
                if not thrown[t, there]:
                    thrown[t, there] = True
                    pending.append((t, "decision", number, enumerate(by_noise(there))))
            elif t + 1 < horizon and not decided[t + 1, there]:
                decided[t + 1, there] = True
                last[t + 1, there] = action
                pending.append((t + 1, "noise", action, enumerate(by_action(there))))
    return last
