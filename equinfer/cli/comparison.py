"""Two answers side by side, on stdout."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from equinfer.cli.display import clean, figures, on_stdout

__all__ = ["print_comparison"]

GAME = ("name", "players", "states", "actions")
"""What makes two games of JSON the same."""


def print_comparison(name_a: str, a: Mapping[str, Any], name_b: str, b: Mapping[str, Any]) -> None:
    """Two objects of `solve --json` side by side."""
    console = on_stdout()
    table = Table("", clean(name_a), clean(name_b), box=None, pad_edge=False)
    for key in ("concept", "solver", "status"):
        table.add_row(key, str(a[key]), str(b[key]))
    for key in ("gap", "numerical_error", "eps"):
        table.add_row(key.replace("_", " "), figures(a[key]), figures(b[key]))
    console.print(table)
    console.print()
    differing = [key for key in GAME if a["game"].get(key) != b["game"].get(key)]
    if differing:
        console.print(Text(f"not the same game: {', '.join(differing)} differ", "red"))
    elif a["game"].get("origin") != b["game"].get("origin"):
        console.print(
            Text("perhaps not the same game: it was loaded from elsewhere, or with other parameters", "yellow")
        )
    if [np.shape(policy) for policy in a["profile"]] != [np.shape(policy) for policy in b["profile"]]:
        console.print("the profiles have different shapes: no distance")
        return
    table = Table("player", "largest difference of a probability", "of a value", box=None, pad_edge=False)
    for i, player in enumerate(a["game"]["players"]):
        apart = np.abs(np.array(a["profile"][i]) - np.array(b["profile"][i])).max()
        values = np.abs(np.array(a["values"][i], float) - np.array(b["values"][i], float)).max()
        table.add_row(clean(player), f"{apart:.3g}", f"{values:.3g}")
    for name, what in (("joint", "all, drawn together"), ("signal", "the signal")):
        laws = [np.array(each[name], float) for each in (a, b) if each.get(name) is not None]
        if len(laws) == 2 and laws[0].shape == laws[1].shape:
            table.add_row(what, f"{np.abs(laws[0] - laws[1]).max():.3g}", "")
    console.print(table)
