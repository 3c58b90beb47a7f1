"""The certificate of public play is the Nash certificate of the game whose state holds the signal."""

import numpy as np
import pytest

import equinfer as eq
from equinfer.answer import PublicPlay
from equinfer.certificates.nash import certify_nash
from equinfer.certificates.public import certify_public
from equinfer.games.signals import play_of, with_public_signal

SIZES = (3, 2)


def drawn(seed, *, horizon=None, sparse=False, states=4):
    rng = np.random.default_rng(seed)
    kernel = rng.dirichlet(np.ones(states), (states, *SIZES))
    if sparse:
        kernel = eq.SparseKernel(np.broadcast_to(np.arange(states), kernel.shape).copy(), kernel)
    return eq.TabularGame(rng.random((2, states, *SIZES)), kernel, discount=[0.9, 0.8], horizon=horizon), rng


def public_play(rng, states, signals, horizon=None):
    lead = (states,) if horizon is None else (horizon, states)
    signal = rng.dirichlet(np.ones(signals), lead)
    signal[..., 0, :] = [*[1 / (signals - 1)] * (signals - 1), 0.0]  # one that never comes
    return PublicPlay(signal, tuple(rng.dirichlet(np.ones(size), (signals, *lead)) for size in SIZES))


@pytest.mark.parametrize("sparse", [False, True])
def test_it_is_the_nash_gap_on_states_and_signals(sparse):
    game, rng = drawn(1, sparse=sparse)
    play = public_play(rng, 4, 3)
    lifted = with_public_signal(game, play.signal)
    profile = tuple(np.moveaxis(policy, 0, 1).reshape(-1, policy.shape[-1]) for policy in play.profile)
    judged, reference = certify_public(game.tables(), play), certify_nash(lifted.tables(), profile)
    comes = play.signal.ravel() > 0
    for player in range(2):
        gain = reference.deviations[player].gain[comes]
        np.testing.assert_allclose(judged.deviations[player].gain.T.ravel()[comes], gain, rtol=0, atol=1e-12)
        assert (judged.deviations[player].gain.T.ravel()[~comes] == 0).all()
    averaged = (reference.values.reshape(2, 4, 3) * play.signal).sum(axis=-1)
    np.testing.assert_allclose(judged.values, averaged, rtol=0, atol=1e-12)
    assert judged.numerical_error < 1e-11
    back = play_of(profile, play.signal)
    assert all((a == b).all() for a, b in zip(back.profile, play.profile, strict=True))


def test_by_epochs_a_constant_signal_is_the_nash_gap_of_the_lifted_game():
    game, rng = drawn(2, horizon=3)
    signal = rng.dirichlet(np.ones(2), 4)
    lifted = with_public_signal(game, signal)
    profile = tuple(rng.dirichlet(np.ones(size), (3, 8)) for size in SIZES)
    judged = certify_public(game.tables(), play_of(profile, signal))
    assert judged.gap == pytest.approx(certify_nash(lifted.tables(), profile).gap, abs=1e-13)


def test_a_law_of_the_signal_may_change_with_the_epoch():
    """Two epochs by hand: in the first the values ahead are averaged by the law of the second."""
    game, rng = drawn(3, horizon=2)
    play = public_play(rng, 4, 2, horizon=2)
    tables = game.tables()
    values = np.zeros((2, 4))
    for epoch in (1, 0):
        q = tables.reward + tables.discount[:, None, None, None] * np.einsum("sabt,it->isab", tables.kernel, values)
        first, second = (policy[:, epoch] for policy in play.profile)
        values = np.einsum("sw,wsa,wsb,isab->is", play.signal[epoch], first, second, q)
    np.testing.assert_allclose(certify_public(tables, play).values[:, 0], values, rtol=0, atol=1e-13)


@pytest.mark.parametrize("horizon", [None, 3])
def test_a_signal_that_says_nothing_changes_nothing(horizon):
    game, rng = drawn(4, horizon=horizon)
    lead = (4,) if horizon is None else (3, 4)
    profile = [rng.dirichlet(np.ones(size), lead) for size in SIZES]
    repeated = {"signal": np.full((*lead, 2), 0.5), "profile": [np.stack([policy] * 2) for policy in profile]}
    nash = certify_nash(game.tables(), profile)
    for answer in (repeated, profile):
        judged = certify_public(game.tables(), answer)
        assert judged.gap == pytest.approx(nash.gap, abs=1e-12)
        np.testing.assert_allclose(judged.values, nash.values, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s, p: (s * 2, p), "law of the signal, state 0: probabilities sum to 2"),
        (lambda s, p: (-s, p), "law of the signal, state 0: the probability of value 0 is -0.5, which is negative"),
        (lambda s, p: (s[:2], p), "the law of the signal must have shape"),
        (lambda s, p: (s, p[:1]), "one array of policies for each of 2 players"),
        (lambda s, p: (s, [p[0][:1], p[1]]), "policies of player 0 must be one for each of 2 signals"),
        (lambda s, p: (s, [0.5, 0.5]), "policies of player 0 must be one for each of 2 signals"),
        (lambda s, p: (s, np.array([0.5, 0.5])), "policies of player 0 must be one for each of 2 signals"),
        (lambda s, p: (s, [p[0], None]), "policies of player 1 must be one for each of 2 signals"),
        (lambda s, p: (s, ["ab", "cd"]), "policies of player 0 must be one for each of 2 signals"),
        (lambda s, p: (s, [{}, {}]), "policies of player 0 must be one for each of 2 signals"),
        (lambda s, p: (s, [{0: 1, 1: 1}, p[1]]), "policies of player 0 must be one for each of 2 signals"),
        (lambda s, p: (s, [[["a"], ["b"]], p[1]]), "signal 0: .* player 0"),
        (lambda s, p: (s, [2 * p[0], p[1]]), "signal 0: policy of player 0, state 0: probabilities sum to 2"),
    ],
)
def test_what_is_no_public_play_is_refused_with_its_place(change, says):
    game, rng = drawn(5)
    signal = np.full((4, 2), 0.5)
    profile = [rng.dirichlet(np.ones(size), (2, 4)) for size in SIZES]
    signal, profile = change(signal, profile)
    with pytest.raises(eq.BadInput, match=says):
        eq.certify(game, {"signal": signal, "profile": profile})


@pytest.mark.parametrize("profile", ["ab", {0: 1, 1: 2}, np.asarray(0.5), 0.5, None])
def test_what_is_no_list_of_policies_is_refused(profile):
    game, _ = drawn(5)
    with pytest.raises(eq.BadInput, match="one array of policies for each of 2 players"):
        certify_public(game.tables(), PublicPlay(np.full((4, 2), 0.5), profile))
