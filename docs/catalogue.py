"""Writes catalogue.md from the registry: `python docs/catalogue.py > docs/catalogue.md`."""

from equinfer.games.catalog import Entry, continuous_entries, entries, equilibria, mean_field_entries

HEAD = """# The catalogue

`eq.load("catalog:NAME", **parameters)`, or `equinfer solve catalog:NAME --set parameter=value`. Written by
`docs/catalogue.py` from the registry; sources and derivations of the equilibria stand in the code of each game.
"""


def known(entry: Entry) -> str:
    """How many equilibria of the default game are listed, and whether these are all."""
    found = equilibria(entry.name) if entry.known else ()
    if not found:
        return "none listed"
    return f"{len(found)}, all" if all(one.complete for one in found) else f"{len(found)} of more"


def table(rows: tuple[Entry, ...]) -> list[str]:
    lines = ["| game | what it is | parameters | known equilibria |", "|---|---|---|---|"]
    for entry in rows:
        parameters = ", ".join(f"`{name}={value}`" for name, value in entry.parameters.items())
        lines.append(f"| `{entry.name}` | {entry.description} | {parameters} | {known(entry)} |")
    return lines


def page() -> str:
    lines = [HEAD, *table(entries()), "", "## Games of continuous actions", "", *table(continuous_entries())]
    lines += ["", "## Mean-field games", "", *table(mean_field_entries())]
    lines += ["", "## Sources", ""]
    lines += [
        f"- `{entry.name}`: {entry.source}" for entry in (*entries(), *continuous_entries(), *mean_field_entries())
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
