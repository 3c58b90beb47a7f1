"""The potential of a game, in a table."""

import numpy as np
from rich.table import Table

from equinfer.cli.display import ROWS, clean, on_stdout, print_rest
from equinfer.tables import Tables

__all__ = ["print_potential"]

_LARGEST_MATRIX = 8


def print_potential(tables: Tables, potential: np.ndarray) -> None:
    """A matrix for two players and one decision, else a row for each legal joint action, the first of them."""
    console = on_stdout()
    console.print()
    whole = potential.reshape(tables.num_states, *tables.num_actions)
    if tables.num_states == 1 and tables.num_players == 2 and max(tables.num_actions) <= _LARGEST_MATRIX:
        table = Table("potential", box=None, pad_edge=False)
        for action in tables.action_labels[1]:
            table.add_column(clean(action), justify="right")
        for action, row, legal in zip(tables.action_labels[0], whole[0], tables.legal_joint[0], strict=True):
            table.add_row(clean(action), *(f"{v:.6g}" if known else "-" for v, known in zip(row, legal, strict=True)))
        console.print(table)
        return
    several = tables.num_states > 1
    table = Table(*(["state"] if several else []), *map(clean, tables.player_labels), box=None, pad_edge=False)
    table.add_column("potential", justify="right")
    legal = np.argwhere(tables.legal_joint).tolist()
    for state, *actions in legal[:ROWS]:
        names = (clean(labels[a]) for labels, a in zip(tables.action_labels, actions, strict=True))
        where = [clean(tables.state_labels[state])] if several else []
        table.add_row(*where, *names, f"{whole[(state, *actions)]:.6g}")
    console.print(table)
    print_rest(console, len(legal), where="from `equinfer.potential` in Python")
