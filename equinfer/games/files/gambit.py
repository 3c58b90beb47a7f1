r"""Tokens of Gambit's text formats, shared by `.nfg` and `.efg`.

White space separates; text stands in double quotes, with `\"` for a quote and `\\` for a backslash; lists stand in
braces, and numbers in them may be separated by commas.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

from equinfer.errors import BadInput
from equinfer.games.extensive import distinct
from equinfer.games.files.source import clipped, number
from equinfer.tables import MOST_PLAYERS

__all__ = ["Tokens", "quoted"]

_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)"|([{},])|([^\s{},"]+)|(")', re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\])')

TEXT, MARK, WORD, OPEN_QUOTE, END = 1, 2, 3, 4, 0


class Tokens:
    """A file, read token by token, with one token of foresight. Every error names the line."""

    def __init__(self, text: str, source: str):
        self._text, self._source = text, source
        self._matches: Iterator[re.Match[str]] = _TOKEN.finditer(text)
        self._start = 0
        self._advance()

    def _advance(self) -> None:
        match, self._previous = next(self._matches, None), self._start
        self._start = len(self._text) if match is None else match.start()
        self.kind = END if match is None else match.lastindex or END
        self.value = "" if match is None else match[self.kind]
        if self.kind == OPEN_QUOTE:
            self._fail_at(self._start, "this quote is never closed")

    def fail(self, says: str) -> NoReturn:
        """Raise `BadInput` about the token that was read last."""
        self._fail_at(self._previous, says)

    def unexpected(self, expected: str) -> NoReturn:
        """Raise `BadInput` about the token that comes next."""
        if self.kind == END:
            self._fail_at(self._start, f"the file ends where {expected} should stand")
        self._fail_at(self._start, f"expected {expected}, found {self.value!r}")

    def _fail_at(self, position: int, says: str) -> NoReturn:
        line = self._text.count("\n", 0, position) + 1
        raise BadInput(f"{self._source}, line {line}: {clipped(says)}.")

    def at(self, mark: str) -> bool:
        """Is the next token this brace or comma?"""
        return self.kind == MARK and self.value == mark

    @property
    def at_text(self) -> bool:
        return self.kind == TEXT

    @property
    def at_end(self) -> bool:
        return self.kind == END

    def mark(self, mark: str, expected: str) -> None:
        if not self.at(mark):
            self.unexpected(expected)
        self._advance()

    def word(self, expected: str) -> str:
        """A bare word, such as a keyword or a number."""
        if self.kind != WORD:
            self.unexpected(expected)
        value = self.value
        self._advance()
        return value

    def text(self, expected: str) -> str:
        """A quoted text, without its quotes and escapes."""
        if self.kind != TEXT:
            self.unexpected(expected)
        value = _ESCAPE.sub(r"\1", self.value)
        self._advance()
        return value

    def number(self, expected: str) -> float:
        value = number(self.value) if self.kind == WORD else None
        if value is None:
            self.unexpected(expected)
        self._advance()
        return value

    def whole(self, expected: str, least: int = 0) -> int:
        """A whole number of at most nine digits."""
        if self.kind != WORD or not re.fullmatch("[0-9]{1,9}", self.value) or int(self.value) < least:
            self.unexpected(expected)
        value = int(self.value)
        self._advance()
        return value

    def texts(self, expected: str) -> list[str]:
        """A braced list of quoted texts."""
        self.mark("{", "'{' before " + expected)
        texts = []
        while not self.at("}"):
            texts.append(self.text(expected + " or '}'"))
        self._advance()
        return texts

    def payoffs(self, players: Sequence[str]) -> tuple[float, ...]:
        """One number per player, commas allowed between them, up to the closing brace."""
        values = []
        for player in players:
            if values and self.at(","):
                self._advance()
            values.append(self.number(f"the payoff of player {player}"))
        self.mark("}", f"'}}' after {len(players)} payoffs, one per player")
        return tuple(values)

    def header(self, keyword: str, version: str) -> tuple[str, tuple[str, ...]]:
        """Title and players, after `keyword version R`."""
        for word in (keyword, version):
            if self.kind != WORD or self.value != word:
                self.unexpected(f"'{word}' of the header '{keyword} {version} R'")
            self._advance()
        if self.word("'R'") not in ("R", "D"):
            self.fail("the header must go on with 'R'")
        title = self.text("the title in quotes")
        players = self.texts("a player's name in quotes")
        if not players:
            self.fail("the game has no players")
        if len(players) > MOST_PLAYERS:
            self.fail(f"the game has {len(players)} players; at most {MOST_PLAYERS} are read")
        return title, distinct(players)

    def skip_comment(self) -> None:
        """The prologue may end with a text for human readers."""
        if self.at_text:
            self._advance()


def quoted(text: str) -> str:
    """A label as a quoted text."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
