"""A game of one's own on the command line: a package that is nothing but a folder on the path."""

import sys


def plug_in(tmp_path, monkeypatch, source):
    """Make `game` of this source `mine:<name>`."""
    (tmp_path / "game_of_mine.py").write_text(source)
    folder = tmp_path / "game_of_mine-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: game-of-mine\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[equinfer.games]\nmine = game_of_mine:game\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "game_of_mine", raising=False)
