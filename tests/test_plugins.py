"""Plug-ins of other packages: a distribution that is nothing but a folder on the path."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

import equinfer as eq
from equinfer.cli import run
from equinfer.errors import EquinferError, UnknownName
from equinfer.plugins import PluginWarning, working_plugins
from equinfer.solvers import SOLVERS

MODULE = """
import numpy as np
import equinfer as eq
from equinfer.drivers.protocol import AbstractHostSolver, Iterate

def inspection(name, *, fine=2.0):
    if name == "broken":
        return 1 / 0
    if name == "odd":
        return [fine]
    return eq.TabularGame.from_payoffs([[[-fine, 1], [0, 0]], [[fine - 1, -1], [-1, 0]]], name=name)

class FirstAction(AbstractHostSolver):
    name = "first-action"
    which: int = 0

    def iterates(self, game, *, seed):
        yield Iterate(tuple(np.eye(size)[[self.which]] for size in game.num_actions), {}, candidate=True)

class Nameless(AbstractHostSolver):
    def iterates(self, game, *, seed):
        yield from ()

class Abstract(AbstractHostSolver):
    name = "abstract"
"""
ENTRIES = """
[equinfer.games]
inspection = fake_games:inspection
constant = fake_games:MODULE_THAT_IS_NOT_THERE
catalog = fake_games:inspection

[equinfer.solvers]
first-action = fake_games:FirstAction
nameless = fake_games:Nameless
abstract = fake_games:Abstract
function = fake_games:inspection
missing = no_such_module:Solver
"""
BROKEN = {
    "nameless": "Nameless has no name",
    "abstract": "Abstract lacks iterates",
    "function": "it is no AbstractSolver or AbstractHostSolver",
    "missing": "ModuleNotFoundError: No module named 'no_such_module'",
}


@pytest.fixture(autouse=True)
def distribution(tmp_path, monkeypatch):
    """The package `fake-games` 1.5."""
    (tmp_path / "fake_games.py").write_text(MODULE)
    (tmp_path / "fake_games-1.5.dist-info").mkdir()
    (tmp_path / "fake_games-1.5.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fake-games\nVersion: 1.5\n"
    )
    (tmp_path / "fake_games-1.5.dist-info" / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("fake_games", None)


def test_a_game_and_its_parameters():
    game = eq.load("inspection:customs", fine=3)
    assert game.name == "customs"
    np.testing.assert_array_equal(game.reward[0, 0], [[-3, 1], [0, 0]])


def test_a_solver_and_its_options():
    solution = eq.solve("catalog:prisoners_dilemma", solver="first-action", which=1)
    assert solution.solver == "first-action"
    assert solution.certified
    assert eq.solve("catalog:prisoners_dilemma", solver="first-action").gap == 2


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_solver_is_named_and_skipped(name):
    sentence = f"plug-in '{name}' of equinfer.solvers .*1.5.* is skipped: {BROKEN[name]}"
    with pytest.warns(PluginWarning, match=sentence), pytest.raises(UnknownName) as refusal:
        eq.solve("catalog:prisoners_dilemma", solver=name)
    others = sorted({"first-action", *BROKEN} - {name})
    assert str(refusal.value).endswith(f"{', '.join((*SOLVERS, *others))}.")


def test_a_broken_game_is_named_and_skipped():
    sentence = "'constant' of equinfer.games .* AttributeError"
    refusal = "unknown source of games 'constant'; known: catalog, openspiel, inspection"
    with pytest.warns(PluginWarning, match=sentence), pytest.raises(UnknownName, match=refusal):
        eq.load("constant:x")


def test_nothing_else_is_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert eq.load("catalog:prisoners_dilemma").name == "prisoners_dilemma"
        assert eq.load("inspection:x").name == "x"


@pytest.mark.parametrize(
    ("name", "says"),
    [("broken", "plug-in 'inspection' failed: ZeroDivisionError"), ("odd", "made no game of 'odd', but list")],
)
def test_a_plugin_that_fails_is_blamed(capsys, name, says):
    with pytest.raises(EquinferError, match=says):
        eq.load(f"inspection:{name}")
    assert run(["info", f"inspection:{name}"]) == 1
    assert says in capsys.readouterr().err


def test_a_name_that_is_taken_stays_ours():
    with (
        pytest.warns(PluginWarning, match="the name 'catalog' is taken"),
        pytest.warns(PluginWarning, match="constant"),
    ):
        working = list(working_plugins("equinfer.games", {"catalog"}, lambda _: None))
    assert [entry.name for entry in working] == ["inspection"]
    assert eq.load("catalog:prisoners_dilemma").name == "prisoners_dilemma"


def test_the_command_line_names_them(distribution):
    code = f"import sys; sys.path.insert(0, {str(distribution)!r}); import equinfer.cli; equinfer.cli.main()"
    ran = subprocess.run([sys.executable, "-c", code, "doctor"], capture_output=True, text=True)
    assert ran.returncode == 0
    assert "first-action (equinfer.solvers): fake_games:FirstAction of fake-games 1.5" in ran.stdout
    assert "inspection (equinfer.games): fake_games:inspection of fake-games 1.5" in ran.stdout
    for name in (*BROKEN, "constant", "catalog"):
        assert f"equinfer: plug-in {name!r} of " in ran.stderr
        assert f"{name} (" not in ran.stdout
    assert ran.stderr.count("\n") == len(BROKEN) + 2


def test_looking_for_help_looks_for_no_plugins(distribution):
    code = "import sys, equinfer.cli; equinfer.cli.run(['--help']); sys.exit('equinfer.plugins' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
