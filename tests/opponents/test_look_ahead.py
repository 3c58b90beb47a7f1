"""Who looks ahead is understood by looking ahead, and what is inferred of it outlives a change of the rules.

The game: in state 0 the other player (1) chooses *work* or *rest*; work leads to state 1, where it is paid whatever it
does, rest to state 2, where nothing is paid; from both to state 3, for ever and for nothing. With the prize R, discount
1/2 and temperature 1 it works with probability s(R/2), s the logistic function: R = 2 log 9 gives 0.9. If work comes to
nothing half of the time, it is s(R/4) = 0.75.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_agents import seen_by, soft_policy

from equinfer.equations.information import kl_divergence
from equinfer.games.tabular import TabularGame
from equinfer.opponents import Empirical, Inferred, InferredFlat
from equinfer.opponents.judging import log_loss

MOVES = 8000
RIDGE = 0.01


def outcomes():
    """Arrival at the paid place, per player: (S, A_0, A_1, 1)."""
    paid = np.zeros((4, 2, 2, 1))
    paid[1] = 1.0
    return paid, paid


def workplace(success=1.0):
    kernel = np.zeros((4, 2, 2, 4))
    kernel[0, :, 0, 1], kernel[0, :, 0, 2] = success, 1 - success
    kernel[0, :, 1, 2] = 1.0
    kernel[1:, :, :, 3] = 1.0
    prize = 2 * np.log(9.0) * outcomes()[1][..., 0]
    return TabularGame(np.stack([np.zeros_like(prize), prize]), kernel, discount=0.5)


def truth(game):
    uniform = game.uniform_profile()[0]
    return uniform, soft_policy(game, 1, uniform, 1.0)


@eqx.filter_jit
def fitted(model, game, moves, times):
    state = model.update(model.init(game, 0), moves, 0)
    return model.refined(state, 0, times) if hasattr(model, "refined") else state


def learnt(model, game, seed, times=200):
    rows = np.repeat(np.arange(4), MOVES)
    moves = seen_by(game, 0, truth(game), rows, np.random.default_rng(seed))
    return fitted(model, jax.tree.map(jnp.asarray, game.unlabelled()), moves, times)


def excess(law, right):
    """In nats a choice between work and rest: what held-out moves cost more than if the truth were known."""
    return float(kl_divergence(np.asarray(right), np.asarray(law))[0])


def worst_excess(right):
    """Of an estimate that is the frequency of MOVES choices: Hoeffding, false alarms below 1e-9."""
    off = np.sqrt(np.log(2 / 1e-9) / (2 * MOVES))
    return max(excess([[right + d, 1 - right - d]], [[right, 1 - right]]) for d in (off, -off))


def test_the_game_is_what_it_says():
    np.testing.assert_allclose(truth(workplace())[1][0], [0.9, 0.1], rtol=1e-12)
    np.testing.assert_allclose(truth(workplace(0.5))[1][0], [0.75, 0.25], rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_flat_inference_misses_what_is_done_for_later(seed):
    # Present outcomes are the same for work and for rest, so whoever looks at them alone predicts 1/2 whatever it sees,
    # and loses KL(.9 | .5) = .368 nats a choice. The causal likelihood has one logit, R / 2, for one frequency f: its
    # maximum is f, but for the prior's pull, f - p = 2 RIDGE R / MOVES.
    game = workplace()
    policies = {}
    for model in (Inferred, InferredFlat):
        state = learnt(model(features=outcomes(), ridge=RIDGE, forgetting=0.0), game, seed, times=30)
        policies[model.name] = np.asarray(state[0].policy)
        if model is Inferred:
            frequency = float(state[0].seen.actions[0, 0]) / MOVES
            pull = 2 * RIDGE * float(state[0].parameters[0]) / MOVES
            assert frequency - float(state[0].policy[0, 0]) == pytest.approx(pull, rel=1e-6)
    right = truth(game)[1]
    np.testing.assert_allclose(policies["inferred-flat"][0], [0.5, 0.5], atol=1e-12)
    assert excess(policies["inferred"], right) < worst_excess(0.9) < 0.01
    assert excess(policies["inferred-flat"], right) == pytest.approx(np.log(2) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1))

    # The same on moves that were held out. A log-loss is within (0, log 10]: Hoeffding again, both means at 1e-9.
    rng = np.random.default_rng(100 + seed)
    held_out = seen_by(game, 0, truth(game), np.zeros(MOVES, int), rng)
    loss = {name: log_loss(law, held_out.rows, held_out.others, [2]) for name, law in policies.items()}
    noise = np.log(10.0) * np.sqrt(np.log(2 / 1e-9) / (2 * MOVES))
    assert loss["inferred-flat"] == pytest.approx(np.log(2), abs=1e-12)
    assert loss["inferred-flat"] - loss["inferred"] > 0.368 - worst_excess(0.9) - noise > 0.2


def prediction_after_change(reward, game):
    """The soft policy of player 1 in `game` if its rewards are `reward` (S, A_1), in units of its temperature."""
    imagined = np.array(game.reward)
    imagined[1] = np.asarray(reward)[:, None, :]
    return truth(TabularGame(imagined, game.kernel, discount=0.5))[1]


def test_what_is_inferred_outlives_a_change_of_the_rules():
    # Work comes to nothing half of the time. Rewards over outcomes find .75: the logit s(R/2) of the old rules is f,
    # so that of the new is half of it. Counting and flat free tables still say f, near .9; flat outcomes say 1/2. A
    # free table that looks ahead shares f's logit L evenly, in mean square, between work itself (x, and -x for rest)
    # and the two places (y and -y): x^2 + 2 y^2 least with 2x + 2 y / 2 = L gives y = x / 4, x = L / 2.25. After the
    # change the logit is 2x + y: .944 L. It holds on to what is done, as is to be expected of it.
    old, new = workplace(), workplace(0.5)
    right = truth(new)[1]
    by_outcomes = Inferred(features=outcomes(), ridge=RIDGE, forgetting=0.0)
    free = Inferred(ridge=1e-6, forgetting=0.0)
    flat = InferredFlat(features=outcomes(), ridge=RIDGE, forgetting=0.0)
    flat_free = InferredFlat(ridge=1e-6, forgetting=0.0)
    counted = np.asarray(learnt(Empirical(), old, 0)[0])
    counted = counted / counted.sum(axis=1, keepdims=True)
    logit = np.log(counted[0, 0] / counted[0, 1])

    found = {}
    for name, model in {"outcomes": by_outcomes, "free": free, "flat": flat}.items():
        (reward,) = model.rewards(learnt(model, old, 0, times=30 if name != "free" else 2000), 0)
        found[name] = prediction_after_change(reward, new)
    found["flat free"] = np.asarray(learnt(flat_free, old, 0, times=2000)[0].policy)
    logits = {name: float(np.log(law[0, 0] / law[0, 1])) for name, law in found.items()}
    assert logits["outcomes"] == pytest.approx(logit / 2, abs=1e-3)
    assert logits["flat"] == pytest.approx(0.0, abs=1e-9)
    assert logits["flat free"] == pytest.approx(logit, abs=1e-3)
    assert logits["free"] == pytest.approx(2.125 / 2.25 * logit, abs=0.03)

    assert excess(found["outcomes"], right) < worst_excess(0.75)
    others = {name: excess(law, right) for name, law in (*found.items(), ("counted", counted)) if name != "outcomes"}
    # KL(.75 | .9) = .092, KL(.75 | .5) = .131; of .888, .076.
    assert min(others.values()) > 0.06 > 5 * worst_excess(0.75)
