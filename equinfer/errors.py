"""Our exceptions. Each carries the exit code with which the command line reports it."""

__all__ = ["BadInput", "EquinferError", "MissingExtra", "UnknownName"]


class EquinferError(Exception):
    """Base of everything that equinfer raises on purpose: one clear sentence, no traceback at the command line."""

    exit_code = 1


class BadInput(EquinferError, ValueError):
    """A game, an answer or an argument that is wrong: the message names what, and where."""

    exit_code = 4


class UnknownName(EquinferError, ValueError):
    """A name or an option that nobody knows: the message lists the known ones."""

    exit_code = 2


class MissingExtra(EquinferError, ImportError):
    """An optional package is not installed: the message holds the pip line."""

    exit_code = 5
