"""The public surface from Python: load, solve, certify, save."""

import dataclasses
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import numpy as np
import pytest

import equinfer as eq
from equinfer import api, attempts
from equinfer.certificates import certify_nash
from equinfer.concepts import CoarseCorrelated, Correlated, Nash
from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.errors import BadInput, UnknownName
from equinfer.mean_field_tables import TRIED, TRIED_STEP
from equinfer.solvers.correlated.lp import LinearProgramme
from equinfer.writing import json_text


class Pure(AbstractHostSolver):
    """Offers one pure profile, then whatever its `failure` is."""

    name = "pure"
    actions: tuple[int, ...] = (1, 1)
    failure: type[BaseException] | None = None
    sweeps: int = 1

    def iterates(self, game, *, seed) -> Iterator[Iterate]:
        profile = tuple(np.eye(size)[[a]] for size, a in zip(game.num_actions, self.actions, strict=True))
        for sweep in range(self.sweeps):
            yield Iterate(profile, {"sweep": float(sweep)}, candidate=True)
        if self.failure is not None:
            raise self.failure


class Hopeless(Pure):
    """Offers what nobody would play."""

    name = "hopeless"
    actions: tuple[int, ...] = (0, 0)


DEFECT = np.array([[0.0, 1.0]])
COOPERATE = np.array([[1.0, 0.0]])


@pytest.fixture
def dilemma() -> eq.TabularGame:
    """Prisoner's dilemma: (defect, defect) is the only equilibrium; at (cooperate, cooperate) each would gain 2."""
    return eq.TabularGame.from_payoffs(
        [[[3, 0], [5, 1]], [[3, 5], [0, 1]]], action_labels=[["cooperate", "defect"]] * 2, name="dilemma"
    )


class Mapped(Hopeless):
    """Watches two settings."""

    name = "mapped"

    def iterates(self, game, *, seed) -> Iterator[Iterate]:
        for iterate in super().iterates(game, seed=seed):
            yield iterate._replace(info={TRIED_STEP: 1.0, f"{TRIED}cold": 2.0, f"{TRIED}hot": 3.0})


def test_all_that_were_tried_are_told_and_the_settings_of_the_losers_stay(dilemma, monkeypatch, tmp_path):
    monkeypatch.setattr(api, "attempts_at", lambda *_: [Mapped(), Pure()])
    solution = eq.solve(dilemma)
    assert solution.solver == "pure"
    assert [(each.solver, each.gap, each.ended) for each in solution.attempts] == [
        ("mapped", 2.0, eq.Status.above_eps),
        ("pure", 0.0, eq.Status.above_eps),
    ]
    assert str(solution.attempts[0]).startswith("mapped: gap 2 after ")
    assert {TRIED_STEP, f"{TRIED}cold", f"{TRIED}hot", "sweep"} <= solution.trace.keys()
    solution.save(tmp_path / "s.npz")
    assert eq.load_solution(tmp_path / "s.npz").attempts == solution.attempts
    assert solution.to_json()["attempts"][1]["ended"] == "above_eps"


def test_an_equilibrium_is_certified(dilemma):
    solution = eq.solve(dilemma, solver=Pure())
    assert solution.certified
    assert solution.status is eq.Status.certified
    assert solution.gap == 0
    np.testing.assert_array_equal(solution.values, [[1.0], [1.0]])
    assert solution.eps == pytest.approx(1e-8 * 5)  # the payoffs span 0 to 5, and nothing follows
    assert solution.solver == "pure"
    assert solution.seconds["total"] >= solution.seconds["solve"] > 0


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (None, eq.Status.above_eps),
        (KeyboardInterrupt, eq.Status.interrupted),
        (FloatingPointError, eq.Status.stalled),
    ],
)
def test_what_is_no_equilibrium_says_how_it_ended(dilemma, failure, status):
    solution = eq.solve(dilemma, solver=Hopeless(failure=failure))
    assert solution.status is status
    assert not solution.certified
    assert solution.gap == 2
    np.testing.assert_array_equal(solution.certificate.deviation(0).policy, DEFECT)


def test_eps_decides_the_verdict(dilemma):
    assert eq.solve(dilemma, solver=Hopeless(), eps=2.1).status is eq.Status.certified
    assert eq.solve(dilemma, solver=Hopeless(), eps=1.9).status is eq.Status.above_eps


@pytest.mark.parametrize("settings", [{"discount": 0.9}, {"horizon": 3}], ids=str)
@pytest.mark.parametrize("solver", ["auto", "homotopy"])
def test_constant_payoffs_are_certified_with_nothing_to_spare(solver, settings):
    """Nobody can gain: the payoff scale is 0, so is eps, and the gap is 0 without any rounding error."""
    reward = np.array([5.1, -1 / 3])[:, None, None, None] * np.ones((2, 2, 2, 3))
    game = eq.TabularGame(reward, np.full((2, 2, 3, 2), 0.5), **settings)
    solution = eq.solve(game, solver=solver)
    assert solution.eps == solution.payoff_scale == 0
    assert solution.gap == solution.certificate.numerical_error == 0
    assert solution.status is eq.Status.certified


def test_no_time_is_out_of_time(dilemma):
    assert eq.solve(dilemma, solver=Hopeless(sweeps=2), time=0).status is eq.Status.out_of_time


def test_auto_goes_on_until_a_solver_succeeds_and_says_which(dilemma, monkeypatch):
    known = {"stage-nash": Hopeless, "homotopy": Pure}
    monkeypatch.setattr(attempts, "solver_class", known.__getitem__)
    assert eq.solve(dilemma).solver == "pure"
    # Its own verdict would do for this eps, but eps never decides how hard a solver tries.
    assert eq.solve(dilemma, eps=10).solver == "pure"
    known["homotopy"] = Hopeless
    assert eq.solve(dilemma).status is eq.Status.above_eps


def test_auto_does_not_go_on_after_an_interruption(dilemma, monkeypatch):
    monkeypatch.setattr(Nash, "solvers", lambda self, tables, options=(): ("first", "second"))

    def fails(name):
        return {"first": Interrupted, "second": Pure}[name]

    monkeypatch.setattr(attempts, "solver_class", fails)
    solution = eq.solve(dilemma)
    assert solution.status is eq.Status.interrupted
    assert solution.solver == "interrupted"


class Interrupted(Hopeless):
    name = "interrupted"
    failure: type[BaseException] | None = KeyboardInterrupt


def test_a_finite_horizon_without_any_iterate_falls_back_on_uniform_play():
    game = eq.TabularGame(np.zeros((2, 3, 2, 2)), np.full((3, 2, 2, 3), 1 / 3), horizon=4)
    solution = eq.solve(game, solver=Pure(sweeps=0))
    assert [policy.shape for policy in solution.profile] == [(4, 3, 2)] * 2
    assert (solution.profile[0] == 0.5).all()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"concept": "nahs"}, "did you mean 'nash'"),
        ({"concept": "wardrop"}, "known: nash"),
        ({"solver": "homotpy"}, "homotopy"),
        ({"solver": "vpg", "temprature": 1.0}, "did you mean 'temperature'"),
        ({"solver": "vpg", "policy": "condtional"}, "did you mean 'conditional'"),
        ({"solver": "homotopy", "temperature": 1.0}, "temperature"),
        ({"solver": Pure(), "temperature": 1.0}, "solver object"),
    ],
)
def test_unknown_names_are_told_the_known_ones(dilemma, words, says):
    with pytest.raises(UnknownName, match=says):
        eq.solve(dilemma, **words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"eps": -1.0}, "eps must be"),
        ({"eps": np.nan}, "eps must be"),
        ({"time": -1.0}, "time must be"),
        ({"solver": "vpg", "steps": 1.5}, "steps must be of type int"),
        ({"solver": "vpg", "temperature": -1}, r"temperature must lie in \(0"),
        ({"solver": "homotopy", "magnet": [COOPERATE[0], [0.5, 0.6]]}, "player 1"),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(dilemma, words, says):
    with pytest.raises(BadInput, match=says):
        eq.solve(dilemma, **words)


@pytest.mark.parametrize(
    ("target", "error", "says"),
    [
        ("catalog:chickn", UnknownName, "chicken"),
        ("catalogue:chicken", UnknownName, "did you mean 'catalog'"),
        ("chicken", UnknownName, "did you mean 'catalog:chicken'"),
        ("nowhere.nfg", BadInput, "nowhere.nfg"),
    ],
)
def test_load_says_what_was_probably_meant(target, error, says):
    with pytest.raises(error, match=says):
        eq.load(target)


def test_load_passes_parameters_on():
    assert eq.load("catalog:random", states=3, players=2, actions=4).num_actions == (4, 4)


def test_a_target_is_solved_as_its_game(tmp_path, dilemma):
    eq.save(dilemma, tmp_path / "dilemma.nfg")
    solution = eq.solve(tmp_path / "dilemma.nfg", solver=Pure())
    assert solution.certified
    assert solution.game.actions == (("cooperate", "defect"),) * 2


@pytest.mark.parametrize("form", ["solution", "npz", "json", "arrays"])
def test_certify_takes_answers_in_every_form(dilemma, tmp_path, form):
    solution = eq.solve(dilemma, solver=Hopeless())
    answer: object = solution
    if form == "npz":
        answer = tmp_path / "answer.npz"
        solution.save(answer)
    elif form == "json":
        answer = tmp_path / "answer.json"
        answer.write_text(json_text(solution.to_json()))
    elif form == "arrays":
        answer = ([1, 0], [1, 0])
    certificate = eq.certify(dilemma, answer)
    assert certificate.gap == 2
    assert certificate.kind == "exact"
    np.testing.assert_array_equal(certificate.per_player, [2, 2])
    np.testing.assert_array_equal(certificate.deviation(1).gain, [2])


def test_behaviour_strategies_of_a_game_tree(tmp_path):
    # Player 1 chooses in or out; after in, player 2 chooses fight or share. Sharing is better for both.
    (tmp_path / "entry.efg").write_text(
        'EFG 2 R "entry" { "entrant" "incumbent" }\n'
        'p "" 1 1 "start" { "in" "out" } 0\n'
        'p "" 2 1 "entered" { "fight" "share" } 0\n'
        't "" 1 "" { -1, -1 }\nt "" 2 "" { 1, 1 }\nt "" 3 "" { 0, 2 }\n'
    )
    solution = eq.solve(tmp_path / "entry.efg", solver=Pure(actions=(0, 1)))
    assert solution.certified
    assert solution.behaviour == ({"start": {"in": 1.0, "out": 0.0}}, {"entered": {"fight": 0.0, "share": 1.0}})


@pytest.mark.parametrize("horizon", [None, 2])
def test_a_saved_solution_comes_back_whole(tmp_path, horizon):
    rng = np.random.default_rng(0)
    kernel = rng.dirichlet(np.ones(3), (3, 2, 2))
    game = eq.TabularGame(rng.normal(size=(2, 3, 2, 2)), kernel, 0.9, horizon, state_labels=["a", "b", "c"])
    solution = eq.solve(game, solver=Pure(sweeps=0))
    solution = dataclasses.replace(solution, trace={"gap": np.array([1.0, np.nan])}, bound=0.25)
    solution.save(tmp_path / "one.npz")
    loaded = eq.load_solution(tmp_path / "one.npz")
    assert loaded.to_json() == solution.to_json()
    for mine, theirs in zip(solution.profile, loaded.profile, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(loaded.trace["gap"], [1.0, np.nan])
    assert loaded.tables is not None
    assert loaded.tables.horizon == horizon
    np.testing.assert_array_equal(loaded.tables.kernel, game.tables().kernel)
    # The tables that came back are the game: judging against them gives the same gap, to the bit.
    assert certify_nash(loaded.tables, loaded.profile).gap == solution.gap
    np.testing.assert_array_equal(loaded.certificate.deviation(1).gain, solution.certificate.deviation(1).gain)


def test_the_json_object_is_the_contract(dilemma):
    record = eq.solve(dilemma, solver=Hopeless()).to_json()
    assert set(record) >= {
        *("schema_version", "game", "concept", "solver", "status", "certified", "gap", "gap_kind", "gap_unit"),
        *("per_player_gap", "numerical_error", "eps", "payoff_scale", "seconds", "profile", "values"),
    }
    assert record["game"] == {
        "name": "dilemma",
        "players": ["0", "1"],
        "states": ["0"],
        "actions": [["cooperate", "defect"]] * 2,
        "origin": None,
    }
    assert set(record["seconds"]) == {"total", "solve"}
    assert record["profile"] == [[[1.0, 0.0]], [[1.0, 0.0]]]
    assert record["per_player_gap"] == [2.0, 2.0]
    assert record["bound"] is None


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"not a zip at all", None], ids=["empty", "cut", "text", "none"]
)
def test_what_is_no_solution_is_refused(tmp_path, content):
    path = tmp_path / "answer.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=r"answer\.npz"):
        eq.load_solution(path)


def test_a_solution_never_runs_code_of_a_file(tmp_path):
    np.savez(tmp_path / "answer.npz", meta=np.array([print], dtype=object))
    with pytest.raises(BadInput, match=r"answer\.npz"):
        eq.load_solution(tmp_path / "answer.npz")


def test_a_failed_save_leaves_the_old_file(dilemma, tmp_path, monkeypatch):
    solution = eq.solve(dilemma, solver=Pure())
    solution.save(tmp_path / "answer.npz")
    before = (tmp_path / "answer.npz").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space"):
        solution.save(tmp_path / "answer.npz")
    assert (tmp_path / "answer.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["answer.npz"]


def test_a_solution_draws_what_was_registered(dilemma, tmp_path):
    solution = eq.solve(dilemma, solver=Pure())
    solution.report(tmp_path / "report.html")
    assert "dilemma" in (tmp_path / "report.html").read_text()
    assert solution.plot().to_dict()["data"]


def test_repr_says_what_matters(dilemma):
    assert repr(eq.solve(dilemma, solver=Pure())).startswith("<Solution of 'dilemma': nash by pure in ")
    assert "gap 0 ±" in repr(eq.solve(dilemma, solver=Pure()))
    assert "above_eps" in repr(eq.solve(dilemma, solver=Hopeless()))


def test_an_unknown_attribute_of_the_package():
    with pytest.raises(AttributeError, match="solv"):
        eq.solv  # noqa: B018
    assert "solve" in dir(eq)


USERS_SESSION = """
    import sys
    import equinfer as eq
    assert "jax" not in sys.modules and "numpy" not in sys.modules
    import jax, jax.numpy as jnp, numpy as np
    game = eq.load("catalog:asymmetric_matching_pennies")
    for solver in ("homotopy", "vpg"):
        solution = eq.solve(game, solver=solver, eps=1.0)
        assert solution.profile[0].dtype == np.float64 and isinstance(solution.profile[0], np.ndarray)
        assert solution.values.dtype == np.float64
        assert eq.certify(game, solution).gap == solution.gap
        assert not jax.config.jax_enable_x64 and jnp.ones(2).dtype == jnp.float32
    assert eq.solve(game, solver="homotopy").certified
"""


def test_users_have_x64_off_and_keep_it_off():
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(USERS_SESSION)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_a_solver_built_for_another_concept_is_refused():
    # Its answer would be judged by one concept and called the best by the other.
    for built, asked in ((Correlated(), "coarse-correlated"), (CoarseCorrelated(), "correlated")):
        with pytest.raises(eq.UnknownName, match=f"was made for '{built.name}', and asked for '{asked}'"):
            eq.solve("catalog:chicken", asked, LinearProgramme(concept=built))


def test_what_was_proven_of_one_game_is_not_said_of_another(tmp_path):
    game = eq.load("catalog:chicken")
    eq.solve(game, "correlated").save(tmp_path / "s.npz")
    assert eq.load_solution(tmp_path / "s.npz").objective_certified
    richer = np.asarray(game.reward)[:, 0] + np.array([[100.0, 0], [0, 0]])
    other = eq.TabularGame.from_payoffs(richer, action_labels=game.action_labels, player_labels=game.player_labels)
    judged = eq.load_solution(tmp_path / "s.npz", game=other)
    assert judged.objective_certified is None
    assert judged.objective_value is None
