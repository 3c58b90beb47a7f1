"""The command line: `equinfer`. Results go to stdout, talk to stderr; what ends a command decides its exit code."""

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import cyclopts

from equinfer.cli.commands import app
from equinfer.errors import EquinferError

__all__ = ["app", "main"]

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(tokens: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    _remember_compilations()
    code = run(sys.argv[1:] if tokens is None else tokens)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _failed_writing(error)
        # What is still in the buffer has nowhere to go; without this the interpreter would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _remember_compilations() -> None:
    """Keep what JAX compiles for the next run, if there is a place for it, unless the user has chosen one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "equinfer" / "jax"
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
    if os.access(cache, os.W_OK):
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


def run(tokens: Sequence[str]) -> int:
    """Run one command; the exit code is handed back, and every foreseen failure is one sentence on stderr."""
    try:
        code = app(list(tokens), exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.CycloptsError as error:
        return _say(str(error), USAGE)
    except EquinferError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _say("interrupted before there was anything to show.", INTERRUPTED)
    except OSError as error:
        return _failed_writing(error)
    except MemoryError:
        return _say("this machine has not enough memory for that.", FAILED)
    except Exception:
        traceback.print_exc()
        return _say("this is a mistake in equinfer, not in your input: please report it with the lines above.", FAILED)
    return code if isinstance(code, int) else DONE


def _failed_writing(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        return DONE
    return _say(f"{error.filename or 'writing failed'}: {error.strerror or error}.", FAILED)


def _say(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(f"equinfer: {sentence}", file=sys.stderr)
    return code
