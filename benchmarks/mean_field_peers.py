"""MFGLib and OpenSpiel on their own mean-field games: how far they get in a number of CPU seconds."""

import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import equinfer as eq
from equinfer.certificates.mean_field import certify_mean_field

__all__ = ["Reached", "mfglib_answer", "mfglib_step", "missing", "open_spiel_answer"]

GROWTH = 1.3
"""Iterations at which a policy is judged grow by this factor, so that judging takes a small part of the time."""
MFGLIB = ("left_right", "rock_paper_scissors", "susceptible_infected", "beach_bar", "linear_quadratic", "random_linear")
MFGLIB += ("equilibrium_price", "conservative_treasure_hunting", "crowd_motion", "building_evacuation")
SETTINGS = {
    "crowd_modelling": ("mfg_crowd_modelling", None),
    "crowd_modelling_2d": ("mfg_crowd_modelling_2d", "crowd_modelling_2d_10x10"),
    "four_rooms": ("mfg_crowd_modelling_2d", "crowd_modelling_2d_four_rooms"),
    "open_spiel_linear_quadratic": ("mean_field_lin_quad", "linear_quadratic"),
    "periodic_aversion": ("python_mfg_periodic_aversion", "periodic_aversion"),
    "crowd_avoidance": ("python_mfg_crowd_avoidance", "crowd_avoidance"),
    "predator_prey": ("python_mfg_predator_prey", "predator_prey_5x5x3"),
}
"""Our name of OpenSpiel's games: its name, and its setting."""


class Reached(NamedTuple):
    gap: float
    """Exploitability of the best policy that was judged."""
    iterations: int
    seconds: float
    """CPU, without judging."""


def missing(package: str) -> bool:
    return importlib.util.find_spec(package) is None


def mfglib_answer(task: tuple[str, str, float]) -> Reached:
    """(algorithm, game, CPU seconds), in float64, with MFGLib's own step and our certificate."""
    algorithm, name, seconds = task
    torch, alg, env = _mfglib(name)
    method = getattr(alg, algorithm)()
    tables = eq.load(f"catalog:mean_field/{name}", **({"float64": True} if name == "random_linear" else {})).tables()
    state = method.init_state(env, torch.ones((env.T + 1, *env.S, *env.A)) / env.n_actions)

    def judged() -> float:
        policy = state.pi.detach().numpy().reshape(tables.horizon, tables.num_states, -1)
        return certify_mean_field(tables, policy).gap if np.isfinite(policy).all() else np.inf

    def step() -> None:
        nonlocal state
        state = method.step_next_state(state, None, None)

    return _iterated(step, judged, seconds)


def mfglib_step(name: str, seconds: float, options: dict[str, Any], *, double: bool) -> float:
    """CPU seconds of one step of MFGLib's mirror descent, judging apart."""
    torch, alg, env = _mfglib(name, double, **options)
    method = alg.OnlineMirrorDescent()
    state = method.init_state(env, torch.ones((env.T + 1, *env.S, *env.A)) / env.n_actions)
    state = method.step_next_state(state, None, None)
    began, count = time.process_time(), 0
    while time.process_time() - began < seconds:
        state = method.step_next_state(state, None, None)
        count += 1
    return (time.process_time() - began) / count


def open_spiel_answer(task: tuple[str, str, float]) -> Reached:
    """(algorithm, game, CPU seconds), judged by OpenSpiel's NashConv, at the end only: it takes as long as a step."""
    algorithm, name, seconds = task
    nash_conv, game = _open_spiel(name)
    if algorithm == "FictitiousPlay":
        module = importlib.import_module("open_spiel.python.mfg.algorithms.fictitious_play")
        method: Any = module.FictitiousPlay(game)
    else:
        module = importlib.import_module("open_spiel.python.mfg.algorithms.mirror_descent")
        method = module.MirrorDescent(game, lr=0.1)
    began, count = time.process_time(), 0
    while time.process_time() - began < seconds:
        method.iteration()
        count += 1
    spent = time.process_time() - began
    return Reached(nash_conv.NashConv(game, method.get_policy()).nash_conv(), count, spent)


def _iterated(step: Callable[[], None], judged: Callable[[], float], seconds: float) -> Reached:
    best, at, spent, count, due = judged(), 0.0, 0.0, 0, 1
    found = 0
    while spent < seconds and best > 0:
        began = time.process_time()
        step()
        spent += time.process_time() - began
        count += 1
        if count >= due or spent >= seconds:
            gap = judged()
            if gap < best:
                best, found, at = gap, count, spent
            due = max(count + 1, int(GROWTH * count))
    return Reached(best, found, at)


def _mfglib(name: str, double: bool = True, **options: Any) -> tuple[Any, Any, Any]:
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64 if double else torch.float32)
    alg = importlib.import_module("mfglib.alg")
    environment = importlib.import_module("mfglib.env").Environment
    return torch, alg, getattr(environment, name)(**options)


def _open_spiel(name: str) -> tuple[Any, Any]:
    spiel = importlib.import_module("pyspiel")
    importlib.import_module("open_spiel.python.mfg.games")
    factory = importlib.import_module("open_spiel.python.mfg.games.factory")
    nash_conv = importlib.import_module("open_spiel.python.mfg.algorithms.nash_conv")
    game, setting = SETTINGS[name]
    made = spiel.load_game(game) if setting is None else factory.create_game_with_setting(game, setting)
    return nash_conv, made
