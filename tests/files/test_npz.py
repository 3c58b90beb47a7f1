"""Our own format: nothing is lost, and nothing that is damaged or hostile gets through."""

import zipfile

import numpy as np
import pytest
from random_tables import random_game

from equinfer.errors import BadInput
from equinfer.games.files import read_game, write_game
from equinfer.games.tabular import TabularGame


def game_with_everything():
    rng = np.random.default_rng(5)
    return TabularGame(
        rng.normal(size=(2, 3, 2, 3)),
        rng.dirichlet(np.ones(3), size=(3, 2, 3)),
        discount=[0.5, 1.0],
        horizon=4,
        initial=rng.dirichlet(np.ones(3)),
        legal=[[[True, True]] * 3, [[True, False, True], [True, True, True], [False, True, False]]],
        state_labels=["a,b", 'c"', "ü\n"],
        player_labels=[" x", "y"],
        name="everything",
    )


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost(tmp_path, seed):
    game = game_with_everything() if seed == 0 else random_game(["p", "q"], ["s", "t"], [["a"], ["b", "c"]], seed)
    write_game(game, tmp_path / "g.npz")
    again = read_game(tmp_path / "g.npz")
    assert again.labels == game.labels
    assert again.horizon == game.horizon
    for name in ("reward", "kernel", "discount", "initial"):
        assert getattr(again.tables(), name).tobytes() == getattr(game.tables(), name).tobytes()
    for mask, wanted in zip(again.legal, game.legal, strict=True):
        np.testing.assert_array_equal(mask, wanted)


def rewritten(path, **changes):
    """The file with some arrays replaced, or left out (None)."""
    with np.load(path) as archive:
        arrays = {**archive, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def meta(path, old, new):
    with np.load(path) as archive:
        return np.array(str(archive["meta"]).replace(old, new))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "g.npz"
    write_game(game_with_everything(), path)
    return path


@pytest.mark.parametrize("name", ["reward", "kernel", "discount", "initial", "legal_1", "meta"])
def test_a_missing_array_is_named(saved, name):
    rewritten(saved, **{name: None})
    with pytest.raises(BadInput, match=f"holds no array '{name}'"):
        read_game(saved)


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("reward", np.zeros((2, 3, 2)), r"reward has shape \(2, 3, 2\); expected \(N, S, A_1, ..., A_N\)"),
        ("kernel", np.zeros((3, 2, 3, 2)), r"kernel must be floats of shape \(3, 2, 3, 3\)"),
        ("kernel", np.zeros((3, 2, 3, 3)), "state a,b, joint action .* sum to 0, not to one"),
        ("discount", np.array(["a", "b"]), "discount must be floats"),
        ("legal_0", np.zeros((3, 2)), "legal_0 must be booleans"),
        ("initial", np.array([0.5, 0.4, 0.0]), "initial: probabilities sum to 0.9"),
    ],
)
def test_a_wrong_array_is_named(saved, name, array, says):
    rewritten(saved, **{name: array})
    with pytest.raises(BadInput, match=says):
        read_game(saved)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"schema_version": 1', '"schema_version": 2', "has schema_version 2; this one reads 1"),
        ("equinfer game", "chess", "its meta does not say 'equinfer game'"),
        ('"name": "everything"', '"name": 3', "its meta has no 'name' of the right kind"),
        ('"actions": null', '"actions": [[], 4]', "its meta has no 'actions' of the right kind"),
        ('"players": [" x", "y"]', '"players": [" x", "\\ud800"]', "its meta has no 'players' of the right kind"),
        ('"players": [" x", "y"]', '"players": [" x", 1]', "its meta has no 'players' of the right kind"),
        ('"horizon": 4', '"horizon": "4"', "its meta has no 'horizon' of the right kind"),
        ('"horizon": 4', '"horizon": 0', "horizon must be a whole number of decision epochs, at least 1; got 0"),
        ('{"format"', '{{"format"', "is not a readable .npz file"),
    ],
)
def test_a_wrong_record_is_named(saved, old, new, says):
    changed = meta(saved, old, new)
    rewritten(saved, meta=changed)
    with pytest.raises(BadInput, match=says):
        read_game(saved)


def test_pickles_are_refused(saved):
    rewritten(saved, reward=np.array([print], object))
    with pytest.raises(BadInput, match=r"reward holds Python objects|is not a readable"):
        read_game(saved)


def test_a_zip_bomb_is_refused(saved):
    """65 MiB of zeros pack into 65 KiB; they are not unpacked."""
    bomb = saved.with_name("bomb.npz")
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.namelist():
            if entry != "kernel.npy":
                target.writestr(entry, source.read(entry))
        with target.open("kernel.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "<f8", "fortran_order": False, "shape": (3, 2, 3, 3)}
            )
            for _ in range(65):
                member.write(bytes(2**20))
    with pytest.raises(BadInput, match="kernel claims 68157568 bytes, more than are unpacked from this file"):
        read_game(bomb)


def test_a_header_that_claims_too_much_is_refused(saved):
    with zipfile.ZipFile(saved) as source:
        members = {name: source.read(name) for name in source.namelist()}
    members["reward.npy"] = members["reward.npy"].replace(b"(2, 3, 2, 3)", b"(2, 3, 2, 9)")
    with zipfile.ZipFile(saved, "w") as target:
        for name, raw in members.items():
            target.writestr(name, raw)
    with pytest.raises(BadInput, match="reward does not have the size that its header says"):
        read_game(saved)
