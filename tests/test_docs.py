"""Every Python block of the README and the documentation runs, page by page, every command of `equinfer` is one, and
every link inside leads somewhere.
"""

import re
import runpy
import shlex
import tomllib
from pathlib import Path

import cyclopts
import pytest

from equinfer.cli import run
from equinfer.cli.training import app

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
COMMAND = re.compile(r"`equinfer ([^`]+)`|^equinfer (?!/)(.+)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)[^)]*\)")


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


COMPARED = ROOT / "docs" / "theory"
"""Run by `tests/falsification/test_truth_page.py`, which also looks at what they print."""


LONG = ("mean-field.md", "public-signals.md")
"""Pages that solve games for a minute."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.name, marks=[pytest.mark.slow] * (page.name in LONG))
        for page in PAGES
        if python_blocks(page) and page.parent != COMPARED
    ],
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pages may write files
    names: dict[str, object] = {}
    for number, block in enumerate(python_blocks(page)):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)


def commands(page: Path) -> list[list[str]]:
    """The words of each `equinfer ...`, of lines in a block and of code in the text, which may run over its end."""
    return [shlex.split(inline or line, comments=True) for inline, line in COMMAND.findall(page.read_text())]


def is_quick(words: list[str]) -> bool:
    """Of games that are at hand, and of one of them: a sweep takes minutes, and so does MAI."""
    at_hand = any(re.fullmatch("catalog:[a-z0-9_]+", word) for word in words)
    return at_hand and words[0] != "sweep" and "mai" not in words


def is_training(words: list[str]) -> bool:
    """Of MAI on a game that is at hand."""
    return words[0] == "train" and "mai" in words


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_can_be_read(page):
    for words in commands(page):
        try:
            app.parse_args(words, exit_on_error=False, print_error=False)
        except cyclopts.MissingArgumentError:
            assert len([word for word in words if not word.startswith("-")]) == 1, words  # speaks of the command itself


@pytest.mark.parametrize(
    ("page", "chosen"),
    [
        pytest.param(
            page, chosen, id=f"{page.name}-{chosen.__name__}", marks=[pytest.mark.slow] * (chosen is is_training)
        )
        for page in PAGES
        for chosen in (is_quick, is_training)
        if any(map(chosen, commands(page)))
    ],
)
def test_the_commands_of_a_page_run(page, chosen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in commands(page):
        if chosen(words):
            assert run(words) == 0, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert not missing


def test_the_catalogue_page_is_what_the_registry_says():
    page = runpy.run_path(str(ROOT / "docs" / "catalogue.py"))["page"]
    assert (ROOT / "docs" / "catalogue.md").read_text() == page()


def test_the_source_distribution_holds_what_make_needs():
    """Of an unpacked archive, `make test`, `check`, `docs` and `bench` must work."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["sdist"]
    assert all((ROOT / name.lstrip("/")).exists() for name in build["include"])
    needed = {"/equinfer", "/tests", "/docs", "/benchmarks", "/.ci", "/Makefile", "/constraints.txt", "/mkdocs.yml"}
    linked = {f"/{page.name}" for page in ROOT.glob("*.md")}
    assert needed | linked | {"/LICENSE", "/CITATION.cff"} <= set(build["include"])
