"""What every concept promises, whatever its answers are: certified, judged again, saved, read, shown, explained."""

import functools
import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import equinfer as eq
from equinfer.answer import Joint, PublicPlay
from equinfer.cli import run
from equinfer.concepts import CONCEPTS as ROWS
from equinfer.concepts import concept, natural_concept
from equinfer.errors import BadInput

CONCEPTS = {name: row for name, row in ROWS.items() if row.games == "tables"}
OWN_ANSWER = {"profile": "profile", "joint": "joint", "signal": "signal"}
"""The field of a solution, and of its JSON, by the kind of the answer."""


def payoffs_of(kind, rng):
    """Two players' rewards (2, S, 2, 3) and a kernel, one action of player 1 illegal in state 0 where there are two."""
    states = 1 if kind == "one-shot" else 2
    return rng.integers(0, 10, (2, states, 2, 3)).astype(float), rng.dirichlet(np.ones(states), (states, 2, 3))


@functools.cache
def general(kind):
    """A game in which players have interests in common: no zero-sum game."""
    reward, kernel = payoffs_of(kind, np.random.default_rng(7))
    return built(kind, reward, kernel)


@functools.cache
def opposed(kind):
    """The same with payoffs that sum to nine."""
    reward, kernel = payoffs_of(kind, np.random.default_rng(7))
    return built(kind, np.stack([reward[0], 9 - reward[0]]), kernel)


def built(kind, reward, kernel, **changes):
    states = reward.shape[1]
    legal = [np.ones((states, 2), bool), np.ones((states, 3), bool)]
    if states > 1:
        legal[1][0, 1] = False
    labels = {
        "state_labels": ["here", "there"][:states],
        "action_labels": [["up", "down"], ["left", "middle", "right"]],
        "player_labels": ["Ann", "Bob"],
    }
    return eq.TabularGame(reward, kernel, **{"legal": legal, **labels, **RATES[kind], **changes})


RATES = {"one-shot": {"discount": 0.0}, "finite horizon": {"horizon": 3}, "discounted": {"discount": 0.8}}
FILES = {"one-shot": "game.nfg", "finite horizon": "game.npz", "discounted": "game.csv"}
CASES = list(product(CONCEPTS, FILES))
every_case = pytest.mark.parametrize(("name", "kind"), CASES, ids=map(" ".join, CASES))


def game_for(name, kind):
    """The general-sum game, unless the concept has no meaning for it."""
    try:
        concept(name).judge(general(kind).tables())
    except BadInput:
        return opposed(kind)
    return general(kind)


@functools.cache
def solved(name, kind):
    return eq.solve(game_for(name, kind), name)


def random_answer(name, game, seed=3):
    """An answer of the concept's kind, mixed everywhere: no equilibrium."""
    rng, tables = np.random.default_rng(seed), game.tables()
    lead = () if tables.horizon is None else (tables.horizon,)

    def law(mask, *front):
        drawn = rng.exponential(size=(*front, *lead, *mask.shape)) * mask
        return drawn / drawn.sum(axis=tuple(range(len(front) + len(lead) + 1, drawn.ndim)), keepdims=True)

    kind = CONCEPTS[name].answers
    if kind == "joint":
        return Joint(law(tables.legal_joint))
    if kind == "signal":
        signal = rng.dirichlet(np.ones(2), (*lead, tables.num_states))
        return PublicPlay(signal, tuple(law(mask, 2) for mask in tables.legal))
    return tuple(law(mask) for mask in tables.legal)


@every_case
def test_the_answer_is_certified_and_judged_the_same_again(name, kind):
    solution, game = solved(name, kind), game_for(name, kind)
    assert solution.status is eq.Status.certified
    assert solution.certified
    assert solution.concept == solution.certificate.concept == name
    for again in (eq.certify(game, solution), eq.certify(game, solution.answer, name)):
        assert again.concept == name
        assert again.gap == solution.gap
        np.testing.assert_array_equal(again.per_player, solution.certificate.per_player)
        np.testing.assert_array_equal(again.values, solution.values)
    assert solution.gap <= 1e-8 * game.tables().payoff_scale


@every_case
def test_the_answer_has_the_shape_that_its_kind_has(name, kind):
    solution, tables = solved(name, kind), game_for(name, kind).tables()
    places = (tables.num_states,) if tables.horizon is None else (tables.horizon, tables.num_states)
    assert solution.values.shape == (2, *places)
    front = ()
    if solution.signal is not None:
        front = solution.signal.shape[-1:]
        assert solution.signal.shape == (*places, *front)
    if solution.joint is not None:
        assert solution.joint.shape == (*places, *tables.num_actions)
        assert (np.where(tables.legal_joint, 0, solution.joint) == 0).all()
    assert [policy.shape for policy in solution.profile] == [(*front, *places, size) for size in tables.num_actions]
    own = {kind: getattr(solution, field) is not None for kind, field in OWN_ANSWER.items()}
    assert own[CONCEPTS[name].answers]


@every_case
def test_it_is_saved_and_read_back(name, kind, tmp_path):
    solution, game = solved(name, kind), game_for(name, kind)
    solution.save(tmp_path / "a.npz")
    read = eq.load_solution(tmp_path / "a.npz")
    assert read.recorded
    assert read.to_json() == solution.to_json()
    judged = eq.load_solution(tmp_path / "a.npz", game=game)
    assert not judged.recorded
    assert judged.gap == solution.gap
    assert eq.certify(game, tmp_path / "a.npz", name).gap == solution.gap


@every_case
def test_it_is_read_into_another_order_of_labels(name, kind, tmp_path):
    solution, game = solved(name, kind), game_for(name, kind)
    solution.save(tmp_path / "a.npz")
    reward, kernel = game.tables().reward, np.asarray(game.tables().kernel)
    turned = built(
        kind,
        reward[:, ::-1, ::-1, ::-1],
        kernel[::-1, ::-1, ::-1, ::-1],
        legal=[mask[::-1, ::-1] for mask in game.tables().legal],
        state_labels=game.tables().state_labels[::-1],
        action_labels=[labels[::-1] for labels in game.tables().action_labels],
    )
    read = eq.load_solution(tmp_path / "a.npz", game=turned)
    assert read.certified
    np.testing.assert_allclose(read.values, solution.values[..., ::-1], rtol=0, atol=1e-12 * solution.payoff_scale)
    for mine, theirs in zip(read.profile, solution.profile, strict=True):
        np.testing.assert_allclose(mine, theirs[..., ::-1, ::-1], rtol=0, atol=4e-16)  # marginals, summed anew
    if solution.joint is not None:
        np.testing.assert_array_equal(read.joint, solution.joint[..., ::-1, ::-1, ::-1])
    if solution.signal is not None:
        np.testing.assert_array_equal(read.signal, solution.signal[..., ::-1, :])


@every_case
def test_json_is_strict_and_has_the_answer_under_its_name(name, kind):
    solution = solved(name, kind)
    record = json.loads(json.dumps(solution.to_json(), allow_nan=False))
    assert record["concept"] == name
    field = OWN_ANSWER[CONCEPTS[name].answers]
    for mine, theirs in zip(record[field], getattr(solution, field), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert ("value" in record) == (name == "zero-sum")


@every_case
def test_the_report_is_written(name, kind, tmp_path):
    solution = solved(name, kind)
    solution.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert f'<p class="muted">{solution.certificate.equilibrium}</p>' in page
    assert "Why this is an equilibrium" in page
    kinds = {"recommendations": "joint", "signal": "signal"}
    for picture, needs in kinds.items():
        assert (f'<div id="{picture}"' in page) == (CONCEPTS[name].answers == needs)
    shown = kind == "one-shot" and CONCEPTS[name].answers != "profile"
    assert ('<div id="reachable"' in page) == shown


@every_case
def test_what_a_deviation_says_that_it_gains_it_gains(name, kind):
    """The deviation is played, and its worth compared: in every state, averaged over the signal if there is one."""
    game = game_for(name, kind)
    answer = random_answer(name, game)
    certificate = eq.certify(game, answer, name)
    assert certificate.gap > 0.01
    assert not certificate.holds(1e-8)
    for player, deviation in enumerate(certificate.deviations):
        assert deviation.gain.max() == pytest.approx(certificate.per_player[player], abs=1e-12)
        played = eq.certify(game, deviating(answer, player, deviation.policy), natural_concept(game, answer))
        better = played.values[player] - certificate.values[player]
        gain = deviation.gain
        if isinstance(answer, PublicPlay):
            gain = (np.moveaxis(answer.signal, -1, 0) * gain).sum(axis=0)
        np.testing.assert_allclose(gain, np.maximum(better, 0), rtol=0, atol=1e-9)
    assert max(deviation.gain.max() for deviation in certificate.deviations) > 0.01


def deviating(answer, player, policy):
    """What is played if `player` does what a deviation says, and the other does not change."""
    if isinstance(answer, PublicPlay):
        return PublicPlay(answer.signal, deviating(answer.profile, player, policy))
    if not isinstance(answer, Joint):
        return tuple(policy if i == player else own for i, own in enumerate(answer))
    if policy.ndim == answer.joint.ndim:  # told a, it does policy[a]: Ann's actions are the last axis but one
        return Joint(np.einsum(("...ab,...ac->...cb", "...ab,...bc->...ac")[player], answer.joint, policy))
    others = answer.joint.sum(axis=-2 + player)
    return Joint(np.einsum(("...b,...a->...ab", "...a,...b->...ab")[player], others, policy))


@every_case
def test_exchanging_the_players_exchanges_their_gaps(name, kind):
    game = game_for(name, kind)
    tables, answer = game.tables(), random_answer(name, game, 1)
    swapped = eq.TabularGame(
        np.swapaxes(tables.reward[::-1], 2, 3),
        np.swapaxes(tables.kernel, 1, 2),
        discount=tables.discount[::-1],
        horizon=tables.horizon,
        legal=tables.legal[::-1],
    )
    certificate = eq.certify(game, answer, name)
    exchanged = eq.certify(swapped, players_exchanged(answer), name)
    np.testing.assert_allclose(exchanged.per_player, certificate.per_player[::-1], rtol=1e-12)
    assert exchanged.gap == pytest.approx(certificate.gap, rel=1e-12)


def players_exchanged(answer):
    if isinstance(answer, Joint):
        return Joint(np.swapaxes(answer.joint, -1, -2))
    return PublicPlay(answer.signal, answer.profile[::-1]) if isinstance(answer, PublicPlay) else answer[::-1]


@every_case
def test_gaps_are_counted_in_the_units_of_the_payoffs(name, kind):
    """Rewards a r + b: gaps a times as large. Interests that are opposite stay so with one a for both."""
    game = game_for(name, kind)
    tables, answer = game.tables(), random_answer(name, game, 2)
    factors = np.array([3.0, 3.0] if game is opposed(kind) else [3.0, 0.25])
    stretched = tables.reward * factors[:, None, None, None] + np.array([5.0, -2.0])[:, None, None, None]
    changed = built(kind, stretched, tables.kernel)
    certificate = eq.certify(game, answer, name)
    np.testing.assert_allclose(
        eq.certify(changed, answer, name).per_player, factors * certificate.per_player, rtol=1e-10
    )


@every_case
def test_the_command_line_solves_and_judges_files(name, kind, tmp_path, capsys):
    game = game_for(name, kind)
    target, out = tmp_path / FILES[kind], tmp_path / "out"
    eq.save(game, target)
    assert run(["solve", str(target), "--concept", name, "--out", str(out)]) == 0
    assert "CERTIFIED" in capsys.readouterr().out
    record = json.loads((out / "result.json").read_text())
    assert record["concept"] == name
    assert record["certified"] is True
    assert run(["certify", str(target), str(out / "result.json"), "--concept", name]) == 0
    said = capsys.readouterr().out
    assert f"\n{solved(name, kind).certificate.equilibrium} to within eps" in said
    assert run(["certify", str(target), str(out), "--concept", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gap"] == record["gap"]


@every_case
def test_the_command_line_shows_what_is_wrong_with_a_wrong_answer(name, kind, tmp_path, capsys):
    game = game_for(name, kind)
    target, path = tmp_path / "game.npz", tmp_path / "answer.npz"
    eq.save(game, target)
    fields = concept(name).recorded(game.tables(), random_answer(name, game))
    replace(solved(name, kind), **fields).save(path)
    assert run(["certify", str(target), str(path), "--concept", name]) == 3
    said = capsys.readouterr().out
    assert f"\nno {solved(name, kind).certificate.equilibrium} to within eps" in said
    assert ": gains " in said
    path.write_bytes(b"no archive")
    assert run(["certify", str(target), str(path), "--concept", name]) == 4
    assert "answer.npz" in capsys.readouterr().err


@pytest.mark.parametrize("name", CONCEPTS)
def test_a_concept_that_does_not_fit_is_refused_with_a_witness(name, tmp_path, capsys):
    """Before any work, on the command line with 4; the concepts that fit every game have nothing to refuse."""
    game = general("discounted")
    eq.save(game, tmp_path / "game.npz")
    words = ["solve", str(tmp_path / "game.npz"), "--concept", name]
    if game_for(name, "discounted") is game:
        assert name != "zero-sum"
        return
    assert run(words) == 4
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "joint action" in error


@pytest.mark.parametrize("name", [name for name, row in CONCEPTS.items() if row.answers != "profile"])
def test_a_profile_is_an_answer_of_every_kind(name):
    """Players who choose independently: a law, and play that no signal changes. A Nash equilibrium leaves no gap."""
    game = general("discounted")
    nash = eq.solve(game)
    assert eq.certify(game, nash.profile, name).gap <= 1e-8 * nash.payoff_scale
    uniform = game.uniform_profile()
    assert eq.certify(game, uniform, name).gap > 0.01


@pytest.mark.parametrize("name", [name for name in CONCEPTS if name != "zero-sum"])
def test_three_players(name):
    game = eq.load("catalog:jordan")
    solution = eq.solve(game, name)
    assert solution.certified
    assert solution.values.shape == (3, 1)
    wrong = tuple(np.array([[1.0, 0.0]]) for _ in range(3))
    assert eq.certify(game, wrong, name).gap > 0.5


@every_case
def test_players_without_a_choice(name, kind):
    """One who has none, and then nobody: the only play there is has no gap."""
    reward, kernel = payoffs_of(kind, np.random.default_rng(5))
    for choices in (2, 1):
        own = reward[:1, :, :choices, :1]
        game = eq.TabularGame(np.concatenate([own, -own]), kernel[:, :choices, :1], **RATES[kind])
        solution = eq.solve(game, name)
        assert solution.certified
        np.testing.assert_allclose(solution.values[0], -solution.values[1], atol=1e-9)
