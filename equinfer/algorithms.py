"""The algorithms that `train` knows by name, each with its presets. A new one is a file of its own and a line here.

`default` is tuned (docs/learning.md tells how far); `published` has the settings of the authors' code or paper, as far
as they are known.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from equinfer.arguments import shown
from equinfer.baselines.ddpg import DDPG
from equinfer.baselines.masql import MASQL
from equinfer.baselines.rommeo import ROMMEO
from equinfer.drivers.learning import AbstractLearner
from equinfer.errors import BadInput, UnknownName
from equinfer.opponents.learners import LEARNERS
from equinfer.solvers.neural.mai import MAI

__all__ = ["ALGORITHMS", "learner"]

# The noise of the public code: levels .5, .1 and .01 of an Ornstein-Uhlenbeck process (theta .15, sigma .3), whose
# deviation is .57; its later levels are overwritten by a test on the number of epochs.
_PUBLISHED_DDPG = DDPG(
    uniform_steps=0,
    hidden=100,
    batch=512,
    learn_from=1000,
    correlation=0.85,
    noise=((0.0, 0.285), (0.2, 0.057), (1 / 3, 0.0057)),
)
_FROM_ZERO = ("uniform_steps", "burn_in", "learn_from")
"""Whole numbers that may be 0."""
_POSITIVE = ("temperature", "final_temperature", "first_deviation")
_WORDS = {
    "opponent": tuple(LEARNERS),
    "policy": ("marginal", "conditional"),
    "actor": ("forward_kl", "gibbs", "reparameterised"),
    "sampler": ("actions", "unsquashed", "exact"),
}

ALGORITHMS: dict[str, dict[str, AbstractLearner]] = {
    "mai": {
        "default": MAI(),
        # The paper gives no numbers: these are those of ROMMEO's code, of which it says to have the architecture.
        "published": MAI(
            opponent="trajectory",
            policy="conditional",
            actor="reparameterised",
            optimistic=False,
            standardised=False,
            temperature=500.1,
            final_temperature=0.1,
            annealing=0.1,
            uniform_steps=0,
            burn_in=0,
            window=500,
            learn_from=10,
            hidden=100,
            batch=512,
            actor_rate=1e-2,
            prior_rate=1e-2,
            reward_rate=1e-2,
            final_rate=1.0,
        ),
    },
    "maddpg": {"default": DDPG(eager=True), "published": _PUBLISHED_DDPG},
    "iddpg": {
        "default": DDPG(centralised=False, eager=True),
        "published": dataclasses.replace(_PUBLISHED_DDPG, centralised=False),
    },
    "masql": {
        "default": MASQL(sampler="exact", temperature=1.0),
        "published": MASQL(uniform_steps=0, hidden=100, batch=512, learn_from=1000, critic_rate=3e-4),
    },
    "rommeo": {
        "default": ROMMEO(
            hidden=32,
            batch=64,
            uniform_steps=3000,
            eager=True,
            rate=3.4e-3,
            final_rate=0.3,
            temperature=0.61,
            final_temperature=0.079,
            annealing=2.5e-3,
            first_deviation=math.exp(-2),
        ),
        "published": ROMMEO(),
    },
}


def learner(algorithm: Any, preset: str, options: Mapping[str, Any]) -> tuple[str, AbstractLearner]:
    """The learner of that name, or the object that was given instead of a name, with `options` put in.

    **Raises:** `UnknownName` for a name or an option that nobody knows, `BadInput` for a value of another kind.
    """
    if isinstance(algorithm, AbstractLearner):
        name, found = type(algorithm).__name__.lower(), algorithm
    elif isinstance(algorithm, str):
        if algorithm not in ALGORITHMS:
            raise UnknownName.among("algorithm", algorithm, ALGORITHMS)
        if preset not in ALGORITHMS[algorithm]:
            raise UnknownName.among("preset", preset, ALGORITHMS[algorithm])
        name, found = algorithm, ALGORITHMS[algorithm][preset]
    else:
        raise BadInput(f"algo must be a name or a learner; got {shown(algorithm)}.")
    given = {option: value for option, value in options.items() if value is not None}
    known = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
    for option, value in given.items():
        if option not in known:
            raise UnknownName.among(f"option of {name}", option, known)
        given[option] = _checked(option, value, known[option])
    return name, dataclasses.replace(found, **given)


def _checked(option: str, value: Any, like: Any) -> Any:
    if option in _WORDS:
        if value not in _WORDS[option]:
            raise UnknownName.among(option, str(value), _WORDS[option])
        return value
    least = 0 if option in _FROM_ZERO else 1
    if isinstance(like, bool):
        fits = isinstance(value, bool)
    elif isinstance(like, int):
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    elif isinstance(like, float):
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")
        fits = fits and (value > 0 or option not in _POSITIVE)
        value = float(value) if fits else value
    elif isinstance(like, tuple):
        fits, value = _fits_tuple(value, like)
    else:
        fits = isinstance(value, type(like))
    if not fits:
        size = "above 0" if option in _POSITIVE else "of at least 0"
        kind = {bool: "true or false", int: f"a whole number of at least {least}", float: f"a finite number {size}"}
        raise BadInput(
            f"{option} must be {kind.get(type(like), f'of type {type(like).__name__}')}; got {shown(value)}."
        )
    return value


def _fits_tuple(value: Any, like: tuple[Any, ...]) -> tuple[bool, Any]:
    """Whether `value` may stand for `like`, and as what: files have lists for tuples, and for tuples with names."""
    if not isinstance(value, (tuple, list)):
        return False, value
    if hasattr(like, "_fields"):
        fits = len(value) == len(like) and all(type(one) is type(two) for one, two in zip(value, like, strict=True))
        return fits, type(like)(*value) if fits else value
    return True, tuple(tuple(each) if isinstance(each, (tuple, list)) else each for each in value)
