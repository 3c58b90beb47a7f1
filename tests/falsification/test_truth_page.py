"""The pages on what is true: their examples print what is written there, and every line has a test that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "theory"
INDEX = (FOLDER / "truth.md").read_text()
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "truth.md")
WORDS = {"true", "repaired", "false", "open", "not stated", "not judged"}
UNTESTED = {"not stated", "not judged"}
HEADING = re.compile(r"^### (.*): ([\w ]+)$", re.MULTILINE)
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
TESTS = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
PAPER = (
    *("Definition 4.1", "(1) to (3)", "Theorem 4.2", "Definition 5.1", "Proposition 5.2", "Proposition 5.3", "(4)"),
    *("Definition 5.4", "Algorithm 1", "Proposition 5.5", "Proposition 5.6", "Lemma 5.7", "Theorem 5.8"),
    *("Proposition 5.9", "(5)", "(6) and (7)", "(8) to (10)", "Algorithm 2", "(11) and (12)", "Algorithm 4"),
    *("Section 5.3", "Section 5.4", "Table 1"),
)


def sections(page):
    """(name, status, text) of every statement of a page."""
    parts = re.split(r"^(?=### )", page.read_text(), flags=re.MULTILINE)[1:]
    return [(*HEADING.match(part).groups(), part) for part in parts]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_print_what_the_page_says(page, capsys):
    names: dict[str, object] = {}
    written = []
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE):
        prints = re.findall(r"^print\(.*$", block, flags=re.MULTILINE)
        written += [line.rpartition("  # ")[2] for line in prints]
        assert all("  # " in line for line in prints)
        exec(compile(block, page.name, "exec"), names)
    assert capsys.readouterr().out.splitlines() == written
    assert written


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_statement_has_a_status_and_tests(page):
    for name, status, text in sections(page):
        assert status in WORDS, name
        named = NAMED.findall(text)
        assert named or status in UNTESTED, name
        for file, test in named:
            assert re.search(rf"^def {test}\(", TESTS[file], flags=re.MULTILINE), (file, test)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_false_has_an_example_that_prints(page):
    bare = [name for name, status, text in sections(page) if status == "false" and "\nprint(" not in text]
    assert bare == []


def test_the_list_is_that_of_the_pages():
    listed = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", INDEX.partition("## The statements")[2], flags=re.MULTILINE)
    expected = {(name, status) for page in PAGES for name, status, _ in sections(page)}
    assert len(listed) == len(expected)
    assert set(listed) == expected


def test_every_statement_of_the_paper_is_among_them():
    names = " / ".join(name for page in PAGES for name, _, _ in sections(page))
    assert [item for item in PAPER if item not in names] == []


def test_every_erratum_has_a_status_and_a_test():
    rows = re.findall(r"^\| E(\d+) \|.*\| ([\w ]+) \| (.*) \|$", INDEX, flags=re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 24))
    for number, status, cell in rows:
        assert status in WORDS
        named = NAMED.findall(cell)
        assert named or status in UNTESTED, f"E{number}"
        for file, test in named:
            assert re.search(rf"^def {test}\(", TESTS[file], flags=re.MULTILINE), (file, test)
