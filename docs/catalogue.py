"""Writes catalogue.md from the registry: `python docs/catalogue.py > docs/catalogue.md`."""

from equinfer.games.catalog import entries, equilibria

HEAD = """# The catalogue

`eq.load("catalog:NAME", **parameters)`, or `equinfer solve catalog:NAME --set parameter=value`. Written by
`docs/catalogue.py` from the registry; sources and derivations of the equilibria stand in the code of each game.
"""


def known(name: str) -> str:
    """How many equilibria of the default game are listed, and whether these are all."""
    found = equilibria(name)
    if not found:
        return "none listed"
    return f"{len(found)}, all" if all(one.complete for one in found) else f"{len(found)} of more"


def page() -> str:
    lines = [HEAD, "| game | what it is | parameters | known equilibria |", "|---|---|---|---|"]
    for entry in entries():
        parameters = ", ".join(f"`{name}={value}`" for name, value in entry.parameters.items())
        lines.append(f"| `{entry.name}` | {entry.description} | {parameters} | {known(entry.name)} |")
    lines += ["", "## Sources", ""]
    lines += [f"- `{entry.name}`: {entry.source}" for entry in entries()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
