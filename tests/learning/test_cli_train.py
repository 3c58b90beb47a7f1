"""`equinfer train` and `equinfer resume`: what is printed, what is kept, how it ends."""

import json
import signal
import subprocess
import sys
import time

import pytest

from equinfer.cli import run

SMALL = ["--option", "hidden=8", "batch=16"]


def train(*words):
    return run(["train", "catalog:cournot", "--algo", "maddpg", "--steps", "500", "--seeds", "2", *words])


def test_a_run_from_start_to_end(tmp_path, capsys):
    out = tmp_path / "run"
    assert train("--out", str(out), "--json", *SMALL) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["status"] == "finished"
    assert record["gap_kind"] == "exact"
    assert len(record["actions"]) == 2
    assert record["config"]["options"]["hidden"] == 8
    assert run(["resume", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "uniform play up to" in shown
    assert "(exact)" in shown
    assert run(["report", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out / "report.html")
    assert (out / "report.html").read_text().count("<h2>The path of the joint action</h2>") == 1
    (out / "checkpoint.npz").unlink()
    assert run(["report", str(out)]) == 4
    assert "nothing was trained yet" in capsys.readouterr().err


def test_a_game_in_tables_has_a_summary(capsys):
    words = ["train", "catalog:prisoners_dilemma", "--algo", "iddpg", "--steps", "500", "--seeds", "1"]
    assert run([*words, *SMALL]) == 0
    assert "(exact)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["catalog:cournot", "--algo", "mia"], 2, "did you mean 'mai'"),
        (["catalog:cournot", "--algo", "mai", "--steps", "0"], 4, "steps must be"),
        (["catalog:cournot", "--algo", "mai", "--opponent", "oracle"], 2, "unknown opponent"),
        (["catalog:cournit", "--algo", "mai"], 2, "did you mean 'cournot'"),
        (["no.such:env", "--algo", "mai"], 4, "cannot be imported"),
        (["catalog:cournot", "--algo", "mai", "--option", "steps=3"], 2, "has a place of its own"),
        (["catalog:cournot", "--algo", "mai", "--out", "/dev/null/run"], 4, "cannot be made: Not a directory"),
    ],
)
def test_mistakes(words, code, says, capsys):
    assert run(["train", *words]) == code
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("command", ["resume", "report"])
def test_there_must_be_a_run(command, tmp_path, capsys):
    assert run([command, str(tmp_path)]) == 4
    assert "holds no run" in capsys.readouterr().err


def begun(out):
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    words = ["train", "catalog:cournot", "--algo", "maddpg", "--seeds", "2", "--steps", "200000", "--out", str(out)]
    program = f"{hear}; from equinfer.cli import main; main({words!r})"
    return subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )


def wait_for(path):
    deadline = time.monotonic() + 120
    while not (path.is_file() and path.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_ctrl_c_keeps_the_run_and_says_how_to_go_on(tmp_path):
    process = begun(tmp_path / "run")
    wait_for(tmp_path / "run" / "metrics.jsonl")
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 75
    assert f"equinfer resume {tmp_path / 'run'} goes on" in " ".join(shown.split())
    assert (tmp_path / "run" / "checkpoint.npz").is_file()
