"""Answers of every concept in every form that may be handed to `certify`, and what is no answer."""

import json
import re

import numpy as np
import pytest

import equinfer as eq
from equinfer.cli import run
from equinfer.errors import BadInput

CHICKEN = "catalog:chicken"
BEST = np.array([[0.5, 0.25], [0.25, 0]])
"""What a mediator draws: swerve first; welfare 10.5, no gap."""
TURNS = {"signal": [[0.5, 0.5]], "profile": [[[[1, 0]], [[0, 1]]], [[[0, 1]], [[1, 0]]]]}
"""A coin says who dares."""


@pytest.mark.parametrize("law", [BEST, BEST[None], BEST[None].tolist()], ids=["array", "with states", "nested lists"])
def test_joint_laws(law):
    certificate = eq.certify(CHICKEN, law)
    assert certificate.concept == "correlated"
    assert certificate.gap <= 1e-12
    assert eq.certify(CHICKEN, law, "coarse-correlated").gap <= 1e-12
    np.testing.assert_allclose(certificate.values, [[5.25], [5.25]])


def test_joint_laws_of_epochs():
    one_shot = eq.load(CHICKEN)
    game = eq.TabularGame(one_shot.tables().reward, np.ones((1, 2, 2, 1)), horizon=3)
    for law in (BEST[None], np.stack([BEST[None]] * 3), [BEST[None].tolist()] * 3):
        certificate = eq.certify(game, law)
        assert certificate.concept == "correlated"
        np.testing.assert_allclose(certificate.values[0, :, 0], 5.25 * np.array([3, 2, 1]))


@pytest.mark.parametrize("horizon", [None, 2])
@pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist])
def test_where_players_states_and_actions_are_as_many_the_probabilities_say_what_an_array_is(form, horizon):
    """(2, 2, 2) may be a law for two states, or the policies of two players."""
    rng = np.random.default_rng(0)
    reward, kernel = rng.normal(size=(2, 2, 2, 2)), rng.dirichlet([1, 1], (2, 2, 2))
    game = eq.TabularGame(reward, kernel, discount=0.7, horizon=horizon)
    for concept in ("correlated", "coarse-correlated"):
        solution = eq.solve(game, concept)
        for asked in (None, concept):
            certificate = eq.certify(game, form(solution.joint), asked)
            assert certificate.concept == (asked or "correlated")
            np.testing.assert_array_equal(certificate.values, solution.values)
    profile = rng.dirichlet([1, 1], (2, 2))
    for concept in ("nash", "public-correlated", "correlated", "coarse-correlated"):
        expected = eq.certify(game, tuple(profile), concept)
        assert expected.gap > 0.01
        assert eq.certify(game, form(profile), concept).gap == expected.gap
    assert eq.certify(game, form(profile)).concept == "nash"


@pytest.mark.parametrize(
    ("concept", "says"),
    [
        ("correlated", "joint law, state 0: the probabilities sum to 1.6, not to one"),
        ("coarse-correlated", "joint law, state 0: the probabilities sum to 1.6, not to one"),
        ("nash", "policy of player 0, state 0: probabilities sum to 0.8, not to one"),
        ("public-correlated", "policy of player 0, state 0: probabilities sum to 0.8, not to one"),
        (None, "policy of player 0, state 0: probabilities sum to 0.8, not to one"),  # which is nearer
    ],
)
def test_an_array_that_is_neither_is_refused_as_what_is_asked_for(concept, says):
    game = eq.TabularGame(np.zeros((2, 2, 2, 2)), np.full((2, 2, 2, 2), 0.5), discount=0.5)
    with pytest.raises(BadInput, match=re.escape(says)):
        eq.certify(game, np.full((2, 2, 2), 0.4), concept)


def test_ragged_lists_are_policies_or_no_law():
    game = eq.TabularGame.from_payoffs(np.zeros((2, 2, 3)))
    assert eq.certify(game, [[[0.5, 0.5]], [[0.5, 0.5, 0]]]).concept == "nash"
    with pytest.raises(BadInput, match="the joint law: no rectangular array of numbers: its lists differ in length"):
        eq.certify(game, [[[0.5, 0.25, 0.25], [0.0]]], "correlated")


def test_numbers_as_objects_are_numbers():
    assert eq.certify(CHICKEN, BEST[None].astype(object)).concept == "correlated"
    with pytest.raises(BadInput, match="is not a rectangular array of real numbers"):
        eq.certify(CHICKEN, [[{}, 1], [0, 1]])


def test_a_wrong_law_has_the_swaps_that_pay():
    certificate = eq.certify(CHICKEN, np.array([[[1.0, 0], [0, 0]]]))
    for player in (0, 1):  # told to swerve, dare: 7 instead of 6
        deviation = certificate.deviation(player)
        np.testing.assert_array_equal(deviation.policy, [[[0, 1], [0, 1]]])
        np.testing.assert_array_equal(deviation.gain, [1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"signal": [[1.5, -0.5]]},
            "law of the signal, state 0: the probability of value 1 is -0.5, which is negative",
        ),
        ({"signal": [[0.5, 0.25]]}, "law of the signal, state 0: probabilities sum to 0.75, not to one"),
        ({"signal": [[0.5, np.nan]]}, "law of the signal, state 0: the probability of value 1 is nan"),
        ({"signal": [[0.5], [0.25, 0.25]]}, "the law of the signal: no rectangular array of numbers"),
        ({"signal": [[0.5, 0.25, 0.25]]}, "the policies of player 0 must be one for each of 3 signals"),
        ({"profile": TURNS["profile"][:1]}, "one array of policies for each of 2 players"),
        ({"profile": [[[[1, 0]], [[0]]], TURNS["profile"][1]]}, "the policies of player 0: no rectangular array"),
        ({"profile": 3}, "one array of policies for each player"),
        ({"profile": np.asarray(0.5)}, "one array of policies for each player"),
        ({"profile": [0.5, 0.5]}, "the policies of player 0 must be one for each of 2 signals"),
        ({"signal": "heads"}, "the law of the signal must have shape (S, W) with (1,) in front; got ()"),
        ({"more": 1}, "a public signal and what it calls for are {'signal':, 'profile':}; got more, profile, signal."),
    ],
)
def test_public_play_that_is_none(change, says):
    assert eq.certify(CHICKEN, TURNS).gap == 0
    with pytest.raises(BadInput, match=re.escape(says)) as caught:
        eq.certify(CHICKEN, {**TURNS, **change})
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("law", "says"),
    [
        (np.full((1, 2, 3), 1 / 6), "must have shape (S, A_1, ..., A_N) = (1, 2, 2); got (1, 2, 3)"),
        ([[[1.5, -0.5], [0, 0]]], "state 0: the probability of joint action (swerve, dare) is -0.5, which is negative"),
        (np.array([[0.5, 0.25], [0, 0]]), "joint law, state 0: the probabilities sum to 0.75, not to one"),
    ],
)
def test_laws_that_are_none(law, says):
    for concept in (None, "correlated", "coarse-correlated"):
        with pytest.raises(BadInput, match=re.escape(says)):
            eq.certify(CHICKEN, law, concept)


@pytest.mark.parametrize("concept", ["nash", "zero-sum", "correlated"])
def test_public_play_is_no_other_answer(concept):
    with pytest.raises(BadInput, match="the answer is a public signal with profiles"):
        eq.certify("catalog:matching_pennies", TURNS, concept)


@pytest.mark.parametrize("concept", ["nash", "zero-sum", "public-correlated"])
def test_a_law_is_no_other_answer(concept):
    with pytest.raises(BadInput, match="the answer is a law over joint actions"):
        eq.certify("catalog:matching_pennies", np.full((1, 2, 2), 0.25), concept)


@pytest.mark.parametrize("concept", ["zero-sum", "coarse-correlated", "correlated", "public-correlated", "nash"])
def test_a_saved_answer_is_judged_as_what_it_says_it_is(concept, tmp_path, capsys):
    game, out = "catalog:rock_paper_scissors", tmp_path / "out"
    assert run(["solve", game, "--concept", concept, "--out", str(out)]) == 0
    for path in (out, out / "solution.npz", out / "result.json"):
        assert eq.certify(game, path).concept == concept
        capsys.readouterr()
        assert run(["certify", game, str(path)]) == 0
        said = capsys.readouterr().out
        assert f"\n{'Nash' if concept == 'nash' else concept} equilibrium to within eps" in said
        assert ("Nash" in said) == (concept == "nash")


def test_a_file_of_an_unknown_concept_is_refused(tmp_path):
    record = {**eq.solve(CHICKEN).to_json(), "concept": "nush"}
    (tmp_path / "a.json").write_text(json.dumps(record))
    with pytest.raises(BadInput, match="its concept 'nush' is unknown here; known: nash, mean-field, zero-sum"):
        eq.certify(CHICKEN, tmp_path / "a.json")
    assert eq.certify(CHICKEN, tmp_path / "a.json", "nash").holds(1e-6)


def test_two_laws_with_the_same_marginals_are_told_apart(tmp_path, capsys):
    game = eq.TabularGame.from_payoffs(np.zeros((2, 2, 2)))
    apart, together = np.full((1, 2, 2), 0.25), np.array([[[0.5, 0], [0, 0.5]]])
    solution = eq.solve(game, "correlated")
    for name, law in (("a", apart), ("b", together)):
        record = {**solution.to_json(), "joint": law.tolist(), "profile": [[[0.5, 0.5]]] * 2}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    assert run(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert rows[-3:] == [["0", "0", "0"], ["1", "0", "0"], ["all,", "drawn", "together", "0.25"]]


def test_weights_may_be_any_array_like():
    for weights in ([1, 0], (1, 0), np.array([1.0, 0.0]), "1,0"):
        found = eq.solve(CHICKEN, "correlated", objective=weights)
        np.testing.assert_allclose(found.values, [[7], [2]])
        assert found.objective == "1, 0"
        assert found.objective_certified


@pytest.mark.parametrize("signals", [0, -1, 1001, 10**9])
def test_the_number_of_signals_is_bounded(signals):
    with pytest.raises(BadInput, match=f"signals must be from 1 to 1000; got {signals}"):
        eq.solve(CHICKEN, "public-correlated", signals=signals)
