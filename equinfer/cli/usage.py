"""How a command can end, and the mistakes that only a command line can have."""

from equinfer.errors import EquinferError

__all__ = ["ABOVE_EPS", "DONE", "FAILED", "INTERRUPTED", "RESUMABLE", "USAGE", "UsageError", "verdict_code"]

DONE, FAILED, USAGE, ABOVE_EPS, RESUMABLE, INTERRUPTED = 0, 1, 2, 3, 75, 130
"""Exit codes; those of bad input and missing extras are their errors' own."""


class UsageError(EquinferError, ValueError):
    """Words on the command line that do not go together."""

    exit_code = USAGE


def verdict_code(good: bool, interrupted: bool = False) -> int:
    """The exit code of a command that ends in a verdict."""
    if interrupted:
        return INTERRUPTED
    return DONE if good else ABOVE_EPS
