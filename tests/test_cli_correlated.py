"""Correlated equilibria on the command line: asked for, shown, judged, refused."""

import json

import pytest

from equinfer import cli


@pytest.fixture
def run(capsys):
    def ran(*words):
        code = cli.run(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return ran


def test_the_law_and_its_objective_are_shown(run):
    code, out, _ = run("solve", "catalog:chicken", "--concept", "correlated")
    assert code == 0
    assert "swerve     0.5  0.25" in out
    assert "welfare: 10.5, proven to be the best" in out


def test_the_objective_of_a_finite_horizon_claims_nothing(run):
    code, out, _ = run("solve", "catalog:public_signal", "--concept", "correlated")
    assert code == 0
    assert "welfare: 4, not proven to be the best of the whole game" in out


@pytest.mark.parametrize(("objective", "value"), [("1,0", 7.0), ("welfare", 10.5), ("entropy", 1.3537055390304842)])
@pytest.mark.parametrize("concept", ["correlated", "coarse-correlated"])
def test_objectives_in_json(run, concept, objective, value):
    """The entropy as it follows from the law that `test_entropy_of_chicken` derives: b solves H'(b) = 0."""
    code, out, _ = run("solve", "catalog:chicken", "--concept", concept, "--objective", objective, "--json")
    record = json.loads(out)
    assert code == 0
    assert record["concept"] == concept
    assert record["objective_value"] == pytest.approx(value, abs=1e-9)
    assert record["objective_certified"] is True
    assert sum(map(sum, record["joint"][0])) == pytest.approx(1)


def test_a_wrong_law_shows_the_swap_that_pays(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("action_0,action_1,probability\nswerve,swerve,1\n")
    code, out, _ = run("certify", "catalog:chicken", str(path))
    assert code == 3
    assert "told swerve, play dare: gains 1" in out
    code, out, _ = run("certify", "catalog:chicken", str(path), "--concept", "coarse-correlated")
    assert code == 3
    assert "play dare: gains 1" in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--concept", "correlated", "--objective", "1,2,3"], 4, "3 weights"),
        (
            ["--concept", "correlated", "--objective", "wealth"],
            4,
            "welfare, entropy, or a weight for each of 2 players",
        ),
        (
            ["--objective", "welfare"],
            2,
            "is for --concept public-correlated or correlated or coarse-correlated; the concept here is nash.",
        ),
        (["--concept", "nash", "--solver", "vce"], 2, "vce finds a joint law, and an answer of nash is a profile"),
    ],
)
def test_refusals(run, words, code, says):
    ended, _, err = run("solve", "catalog:chicken", *words)
    assert ended == code
    assert says in err


def test_learners_come_near_and_the_exit_code_says_how_near_is_enough(run):
    words = ("solve", "catalog:chicken", "--concept", "correlated", "--solver", "swap-regret")
    code, out, _ = run(*words)
    assert code == 3
    assert "ABOVE EPS" in " ".join(out.split())
    assert "The average of 100,000 rounds of learning comes near an equilibrium, not to one" in " ".join(out.split())
    code, out, _ = run(*words, "--eps", "0.02")
    assert code == 0
    assert "comes near" not in out
