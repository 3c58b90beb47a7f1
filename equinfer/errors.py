"""Our exceptions. Each carries the exit code with which the command line reports it."""

import contextlib
import difflib
from collections.abc import Iterable, Iterator

__all__ = ["BadInput", "EquinferError", "MissingExtra", "NotWritten", "UnknownName", "blamed", "cause"]


class EquinferError(Exception):
    """Base of everything that equinfer raises on purpose: one clear sentence, no traceback at the command line."""

    exit_code = 1


class BadInput(EquinferError, ValueError):
    """A game, an answer or an argument that is wrong: the message names what, and where."""

    exit_code = 4


class NotWritten(EquinferError, OSError):
    """A file of a run could not be written: the message says why, and what is kept."""


class UnknownName(EquinferError, ValueError):
    """A name or an option that nobody knows: the message lists the known ones."""

    exit_code = 2

    @classmethod
    def among(cls, what: str, name: str, known: Iterable[str]) -> "UnknownName":
        """`what` is called `name`, which is none of the `known`: says so, and which one was probably meant."""
        known = list(known)
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean {close[0]!r}?" if close else ";"
        return cls(f"unknown {what} {name!r}{meant} known: {', '.join(known) or 'none'}.")


class MissingExtra(EquinferError, ImportError):
    """An optional package is not installed: the message holds the pip line."""

    exit_code = 5


def cause(error: Exception) -> str:
    """What an exception of another package says, to end a sentence of ours: its full stop left out, and lists that
    are ragged called so.
    """
    says = " ".join(str(error).split())
    return "its lists differ in length" if "inhomogeneous shape" in says else says.rstrip(".")


@contextlib.contextmanager
def blamed(what: str) -> Iterator[None]:
    """Around somebody else's code, which may raise anything. **Raises:** `BadInput`, `what` went wrong and why; errors
    of ours are left as they are.
    """
    try:
        yield
    except EquinferError:
        raise
    except Exception as error:
        raise BadInput(f"{what}: {type(error).__name__}: {cause(error)}.") from error
