"""Whatever is in a file, a reader hands back a game or one `BadInput` sentence, and soon."""

import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from equinfer.errors import BadInput, UnknownName
from equinfer.games.files import FORMATS, read_game, write_game
from equinfer.games.files.answers import read_answer
from equinfer.games.tabular import TabularGame

DATA = Path(__file__).parent / "data"
SECONDS = 20.0
"""Far above what any small file needs (milliseconds), far below what a hostile header could cost."""
SUFFIXES = sorted(FORMATS)
COUNTS = ["0", "-1", "1", "33", "999999999", "9" * 30, "9" * 5000, "1e999", "-1e308", "1/0", "1/" + "9" * 5000, "nan"]


def small_game():
    return TabularGame.from_payoffs(np.arange(8.0).reshape(2, 2, 2))


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Of each suffix, the raw bytes of good files."""
    folder = tmp_path_factory.mktemp("seeds")
    write_game(small_game(), folder / "game.npz")
    np.savez(folder / "answer.npz", profile_0=np.full((1, 2), 0.5), profile_1=np.full((1, 2), 0.5))
    files = [*DATA.iterdir(), *folder.iterdir()]
    return {suffix: [path.read_bytes() for path in files if path.suffix == suffix] for suffix in SUFFIXES}


def survives(read, path):
    began = time.perf_counter()
    try:
        read(path)
    except BadInput as error:
        text = str(error)
        assert str(path) in text or "must" in text or "probabilit" in text, text
        assert text.endswith("."), text
        assert ", line " not in text or len(text) < 2000
    assert time.perf_counter() - began < SECONDS


@st.composite
def damages(draw):
    """A function that damages bytes: cut off, flip, insert, or swap a number for a hostile one."""
    kind = draw(st.sampled_from(["cut", "flip", "insert", "count", "double"]))
    place, other = draw(st.floats(0, 1)), draw(st.floats(0, 1))
    blob, count = draw(st.binary(min_size=1, max_size=8)), draw(st.sampled_from(COUNTS)).encode()

    def damage(raw):
        at = int(place * len(raw))
        if kind == "cut":
            return raw[:at]
        if kind == "flip":
            return raw[:at] + bytes(byte ^ 0x55 for byte in raw[at : at + len(blob)]) + raw[at + len(blob) :]
        if kind == "insert":
            return raw[:at] + blob + raw[at:]
        if kind == "double":
            return raw[:at] + raw[int(other * len(raw)) :]
        digits = [k for k, byte in enumerate(raw) if chr(byte).isdigit()] or [0]
        at = digits[int(place * (len(digits) - 1))]
        return raw[:at] + count + raw[at + 1 :]

    return damage


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.lists(damages(), min_size=1, max_size=3))
def test_damaged_games(tmp_path, seeds, suffix, data, harm):
    raw = data.draw(st.sampled_from(seeds[suffix]))
    for damage in harm:
        raw = damage(raw)
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(raw)
    survives(read_game, path)


@pytest.mark.parametrize("suffix", [".npz", ".json", ".csv"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.lists(damages(), max_size=2))
def test_damaged_answers(tmp_path, seeds, suffix, data, harm):
    good = {
        ".npz": seeds[".npz"],
        ".json": [b'{"profile": [[[0.5, 0.5]], [[0, 1]]], "gap": 0.25}'],
        ".csv": [b"state,player,action,probability\n0,0,1,1\n0,1,0,0.5\n0,1,1,0.5\n"],
    }
    raw = data.draw(st.sampled_from(good[suffix]))
    for damage in harm:
        raw = damage(raw)
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(raw)
    survives(lambda path: read_answer(path, small_game().tables()), path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(min_size=1, max_size=200), st.text(min_size=1, max_size=200).map(str.encode)))
def test_random_bytes(tmp_path, suffix, raw):
    path = tmp_path / f"random{suffix}"
    path.write_bytes(raw)
    survives(read_game, path)


def gambit(players, rest):
    return f'NFG 1 R "h" {{ {" ".join(f"{str(k)!r}" for k in range(players))} }} '.replace("'", '"') + rest


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".nfg", gambit(32, "{ " + "999999999 " * 32 + "} 1 2 3")),
        (".nfg", gambit(32, "{ " + "1 " * 32 + "} " + "1 " * 32)),
        (".nfg", gambit(20_000, "{ }")),
        (".nfg", gambit(2, "{ { " + '"x" ' * 20_000 + '} { "y" } } 1')),
        (".nfg", '"' + "\\" * 200_001),
        (".nfg", "{" * 200_000),
        (".efg", 'EFG 2 R "h" { "a" } c "" 1 "" { ' + '"x" 1/5000 ' * 5_000 + "} 0 " + 'c "" 1 0 ' * 1_000),
        (".efg", 'EFG 2 R "h" { "a" } p "" 1 1 "" { ' + '"x" ' * 20_000 + "} 0"),
        (".csv", "state," + ",".join(f"a_{k},u_{k}" for k in range(500)) + ",to_state\n" + "x," * 1001 + "x\n"),
        (".csv", "state,a_0,u_0," + ",".join(f"phi_{k}" for k in range(20_000)) + "\n"),
        (".csv", "state," * 50_000 + "\n"),
        (".csv", 'state,a_0,u_0,to_state\ndelta,,0,\ns,x,1,"' + "s:1," * 40_000 + '"\n'),
        (".csv", '"' + "x" * 500_000),
    ],
)
def test_hostile_files(tmp_path, suffix, text):
    path = tmp_path / f"hostile{suffix}"
    path.write_text(text)
    survives(read_game, path)
    if not text.startswith(gambit(32, "{ 1")):
        with pytest.raises(BadInput):
            read_game(path)


def test_members_that_are_no_arrays(tmp_path):
    path = tmp_path / "g.npz"
    for content in (b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16, b"\x93NUMPY\x07\x00", b"x" * 100):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("meta.npy", content)
        with pytest.raises(BadInput, match=r"is not a readable \.npz file"):
            read_game(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_ordinary_file(tmp_path, suffix):
    path = tmp_path / f"g{suffix}"
    with pytest.raises(BadInput, match="no such file"):
        read_game(path)
    path.write_bytes(b"")
    with pytest.raises(BadInput, match="is empty"):
        read_game(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        read_game(path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(BadInput, match="is not an ordinary file"):
        read_game(path)
    path.unlink()
    with open(path, "wb") as file:
        file.truncate(2**42)
    with pytest.raises(BadInput, match=r"has 4398046511104 bytes; at most \d+ are read"):
        read_game(path)


@pytest.mark.parametrize("suffix", [".nfg", ".efg", ".csv"])
def test_no_text(tmp_path, suffix):
    path = tmp_path / f"g{suffix}"
    path.write_bytes(b"NFG\0 1")
    with pytest.raises(BadInput, match=r"is a binary file, not text \(zero byte at position 3\)"):
        read_game(path)
    path.write_bytes("NFG é".encode("latin-1"))
    with pytest.raises(BadInput, match=r"is not UTF-8 text \(byte 0xe9 at position 4\)"):
        read_game(path)
    path.write_bytes(b"\xef\xbb\xbf \n")
    with pytest.raises(BadInput, match="is empty"):
        read_game(path)


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    with pytest.raises(BadInput, match=r"ends in one of \.nfg, \.efg, \.csv, \.npz; \.txt is none of them"):
        read_game(tmp_path / "g.txt")


def test_an_unknown_parameter_is_named(tmp_path):
    with pytest.raises(UnknownName, match=r"'horizn'; did you mean 'horizon'\?"):
        read_game(DATA / "rooms.csv", horizn=3)
    with pytest.raises(UnknownName, match=r"has no parameters; got 'horizon'"):
        read_game(DATA / "crossing.nfg", horizon=3)


@pytest.mark.parametrize("suffix", [".nfg", ".csv", ".npz"])
def test_writing_is_all_or_nothing(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"g{suffix}"
    write_game(small_game(), path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_game(small_game(), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    with pytest.raises(BadInput, match="cannot be written: No such file or directory"):
        write_game(small_game(), tmp_path / "nowhere" / f"g{suffix}")
