"""The command line: `equinfer`. Results go to stdout, talk to stderr; what ends a command decides its exit code."""

import contextlib
import gc
import io
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from equinfer.cli.usage import DONE, FAILED, INTERRUPTED, USAGE
from equinfer.errors import EquinferError

__all__ = ["main", "run"]

DOUBLE_TAP = 2.0
"""Seconds after a Ctrl-C in which another is taken for the same one: the best so far is about to be printed."""
RETRY = 0.02
"""Seconds after which a Ctrl-C is raised anew that came where nothing can be raised, in a callback of JAX's."""


def main(tokens: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    gc.set_threshold(200_000, 10, 10)  # most of what a short command allocates is its imports, none of which is garbage
    _remember_compilations()
    _open_streams()
    sys.path.append("")  # modules of where one is: `mine:game`; last, so that none hides another
    heard = _listen_for_ctrl_c()
    code = run(sys.argv[1:] if tokens is None else tokens)
    if heard:  # the exit code is settled; Python would hand later ones to the system, which kills
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _failed_writing(error)
        # What is still in the buffer has nowhere to go; without this the interpreter would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        # A solver whose time was up is still at a factorisation. All is said and written: nobody need wait for it.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _open_streams() -> None:
    """Give results and talk a place to go even where the shell closed it, and a ? for letters that it does not have."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, it stays open as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _remember_compilations() -> None:
    """Keep what JAX compiles for the next run, if there is a place for it, unless the user has chosen one."""
    with contextlib.suppress(OSError, RuntimeError):  # nowhere to write, or no home at all
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "equinfer" / "jax"
        cache.mkdir(parents=True, exist_ok=True)
        if os.access(cache, os.W_OK):
            os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
            os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


def _listen_for_ctrl_c() -> bool:
    """Make Ctrl-C heard once: a double tap wants an end, not to lose the answer, and none gets lost in a callback.

    False if whoever started us has asked that we are not interrupted.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False
    last = -DOUBLE_TAP

    def interrupt(*_: Any) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= DOUBLE_TAP:
            last = now
            raise KeyboardInterrupt

    def again(lost: Any) -> None:
        nonlocal last
        if lost.exc_type is not KeyboardInterrupt:
            sys.__unraisablehook__(lost)
            return
        last = -DOUBLE_TAP
        # To this very thread: then a call of the system that it waits in is interrupted as well.
        threading.Timer(RETRY, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()

    signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook = again
    return True


def run(tokens: Sequence[str]) -> int:
    """Run one command; the exit code is handed back, and every foreseen failure is one sentence on stderr."""
    try:
        with _warnings_as_sentences():
            return _run(tokens)
    except EquinferError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _say("interrupted; there is nothing to show.", INTERRUPTED)
    except OSError as error:
        return _failed_writing(error)
    except MemoryError:
        return _say("this machine has not enough memory for that.", FAILED)
    except Exception:
        traceback.print_exc()
        return _say("this is a mistake in equinfer, not in your input: please report it with the lines above.", FAILED)


def _run(tokens: Sequence[str]) -> int:
    # Imported here, where Ctrl-C is caught.
    import cyclopts

    from equinfer.cli.training import app  # the module that adds the last commands to it

    try:
        code = app(list(tokens), exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.CycloptsError as error:
        return _say(str(error), USAGE)
    return code if isinstance(code, int) else DONE


@contextlib.contextmanager
def _warnings_as_sentences() -> Iterator[None]:
    """Warnings of ours for the user (a plug-in is broken) as sentences on stderr; all others as they always are."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        from equinfer.plugins import PluginWarning

        if category is PluginWarning:
            _say(str(message), DONE)
        else:
            usual(message, category, *where, **more)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _failed_writing(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        return DONE
    return _say(f"{error.filename or 'writing failed'}: {error.strerror or error}.", FAILED)


def _say(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(f"equinfer: {sentence}", file=sys.stderr)
    return code
