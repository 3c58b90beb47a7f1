"""The command line in processes of its own: Ctrl-C, pipes and streams."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import equinfer as eq

DILEMMA = "catalog:prisoners_dilemma"
BY_PATH = ("--solver", "homotopy")
"""The solver under which the commands are tested; solvers have tests of their own."""


ENDLESS = ("--solver", "vpg", "--option", "steps=1000000000", "--option", "tolerance=-1")
"""Logit equilibria at a temperature that never falls."""


HEAR = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""A shell switches interrupts off for what it starts in the background."""


def spawn(*words: str, **streams) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", f"{HEAR}import equinfer.cli; equinfer.cli.main()", *words], **streams
    )


def test_help_loads_nothing_heavy():
    code = "import sys, equinfer.cli; equinfer.cli.run(['--help']); sys.exit('numpy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0
    assert "solve" in ran.stdout


def test_ctrl_c_prints_the_best_so_far_and_is_130(tmp_path):
    words = (*ENDLESS, "--out", str(tmp_path / "o"))
    process = spawn("solve", DILEMMA, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "best gap" in process.stderr.readline()  # the first sign of life, once there is something to interrupt
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "INTERRUPTED" in out
    assert "gap" in out
    assert "Traceback" not in err
    assert (tmp_path / "o" / "solution.npz").exists()


def test_ctrl_c_twice_still_prints_the_best():
    process = spawn("solve", DILEMMA, *ENDLESS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "best gap" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "INTERRUPTED" in out
    assert "Traceback" not in err


def test_a_ctrl_c_during_an_import_is_130_without_a_traceback():
    code = (
        "import builtins, os, signal, sys, equinfer.cli as cli\n"
        "def importing(name, *more, load=builtins.__import__):\n"
        "    if name == 'cyclopts': os.kill(os.getpid(), signal.SIGINT)\n"
        "    return load(name, *more)\n"
        "builtins.__import__ = importing\n"
        "cli.main(['games'])"
    )
    ran = subprocess.run([sys.executable, "-c", HEAR + code], capture_output=True, text=True)
    assert ran.returncode == 130
    assert (ran.stdout, ran.stderr) == ("", "equinfer: interrupted; there is nothing to show.\n")


def test_a_ctrl_c_that_python_swallows_is_raised_again():
    """No exception leaves a destructor."""
    code = (
        "import os, signal, time, equinfer.cli as cli\n"
        "class Busy:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGINT); time.sleep(0.01)\n"
        "cli._listen_for_ctrl_c()\n"
        "try:\n"
        "    busy = Busy()\n"
        "    del busy\n"
        "    time.sleep(30)\n"
        "except KeyboardInterrupt: print('heard')"
    )
    ran = subprocess.run([sys.executable, "-c", HEAR + code], capture_output=True, text=True, timeout=25)
    assert (ran.stdout, ran.stderr) == ("heard\n", "")


def test_an_answer_within_eps_is_interrupted_all_the_same():
    """The solver was not done: its exit code is that of the interruption, its verdict that of the certificate."""

    def interrupt(row):
        raise KeyboardInterrupt

    solution = eq.solve(DILEMMA, solver="homotopy", eps=100, watch=interrupt)
    assert solution.certified
    assert solution.status is eq.Status.interrupted


@pytest.mark.parametrize("closed", [1, 2])
def test_a_stream_that_the_shell_closed_is_no_error(closed):
    command = f'exec "$0" -c "import equinfer.cli; equinfer.cli.main()" info {DILEMMA} {closed}>&-'
    assert subprocess.run(["sh", "-c", command, sys.executable], capture_output=True).returncode == 0


def test_a_closed_pipe_is_no_error_and_a_full_one_is():
    games = spawn("games", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert games.stdout is not None
    games.stdout.close()
    assert games.wait(timeout=60) == 0
    if not os.path.exists("/dev/full"):
        return
    with open("/dev/full", "w") as full:
        process = spawn("games", stdout=full, stderr=subprocess.PIPE, text=True)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == "equinfer: writing failed: No space left on device.\n"


def test_a_terminal_without_letters_gets_question_marks_and_true_json(tmp_path):
    game = eq.TabularGame.from_payoffs([[[1, 0]], [[1, 0]]], action_labels=[["wäit"], ["gö", "b"]])
    eq.save(game, tmp_path / "game.npz")
    plain = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    words = ["solve", str(tmp_path / "game.npz"), *BY_PATH]
    process = spawn(*words, stdout=subprocess.PIPE, text=True, env=plain)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "w?it" in out
    process = spawn(*words, "--json", "--out", str(tmp_path / "o"), stdout=subprocess.PIPE, text=True, env=plain)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    for text in (out, (tmp_path / "o" / "result.json").read_text()):
        assert json.loads(text)["game"]["actions"] == [["wäit"], ["gö", "b"]]


def test_a_column_that_is_no_name_is_refused():
    """As users have it, without the checks of types that these tests run under."""
    words = ("solve", DILEMMA, "--solver", "vpg", "--option", "policy=3")
    process = spawn(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "policy must be one of marginal, conditional" in err
