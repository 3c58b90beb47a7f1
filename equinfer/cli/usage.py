"""The mistakes that only a command line can have."""

from equinfer.errors import EquinferError

__all__ = ["UsageError"]


class UsageError(EquinferError, ValueError):
    """Words on the command line that do not go together."""

    exit_code = 2
