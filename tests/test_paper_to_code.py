"""The page that maps the paper to the code names things that exist."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "paper-to-code.md").read_text()
ROOMS = ("equations", "solvers", "games", "certificates", "opponents", "policies", "concepts")


def named():
    """(module, name) of every function or class in the second column; short names follow the full one before them."""
    for row in re.findall(r"^\|[^|]*\|([^|]*)\|", PAGE, flags=re.MULTILINE):
        module = None
        for path in re.findall(r"`([\w.]+)`", row):
            if "." in path and path.split(".")[0] in ROOMS:
                module, name = path.rsplit(".", 1)
                yield module, name
            elif module:
                yield module, path


@pytest.mark.parametrize(("module", "name"), sorted(set(named())))
def test_every_name_exists(module, name):
    assert hasattr(importlib.import_module(f"equinfer.{module}"), name)


def test_every_public_equation_is_on_the_page():
    modules = ("elbo", "backup", "response", "posterior", "reward_inference", "bounds", "stability")
    listed = {name for _, name in named()}
    for module in modules:
        exported = set(importlib.import_module(f"equinfer.equations.{module}").__all__)
        assert exported - listed <= {"Elbo", "entropy", "kl_divergence", "response_eigenvalues"}


@pytest.mark.parametrize("number", [*range(1, 13)])
def test_every_equation_number_has_a_row(number):
    first_columns = "\n".join(re.findall(r"^\|([^|]*)\|", PAGE, flags=re.MULTILINE))
    ranges = re.findall(r"\((\d+)\)–\((\d+)\)", first_columns)
    assert f"({number})" in first_columns or any(int(a) <= number <= int(b) for a, b in ranges)
