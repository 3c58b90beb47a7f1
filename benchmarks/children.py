"""A process for work that may never end: it sends one answer per task, and is killed when a task takes too long."""

import math
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")


class Broken(Exception):
    """A task raised an error, or ended its process."""


def answers(solve: Callable[[Task], Answer], warm: Task, tasks: Sequence[Task], limit: float) -> Iterator[Answer]:
    """`solve(task)` for each task, after `solve(warm)` has been thrown away; fewer if one needs more than `limit`.

    **Arguments:** `solve` and the tasks travel to the process, so a function of a module, or a `partial` of one;
    `limit` in CPU seconds a task, the warm one included.

    **Raises:** `Broken` if a task raises an error, or the process ends for another reason than the limit.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(sender, solve, warm, list(tasks), limit), daemon=True)
    process.start()
    sender.close()
    try:
        for _ in tasks:
            answer = receiver.recv()
            if isinstance(answer, Broken):
                raise answer
            yield answer
    except EOFError:
        process.join()
        if process.exitcode != -signal.SIGXCPU:
            raise Broken(f"the process ended with code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()


def _serve(connection: Connection, solve: Callable[[Any], Any], warm: Any, tasks: Sequence[Any], limit: float) -> None:
    """The system ends the process in the middle of a task that takes too long: compiled code hears no signal."""
    with open(os.devnull, "w") as nothing:  # some peers print warnings without end
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nothing.fileno(), stream.fileno())
    for place, task in enumerate([warm, *tasks]):
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + limit), resource.RLIM_INFINITY))
        try:
            answer = solve(task)
        except Exception as error:
            connection.send(Broken(f"{type(error).__name__}: {error}"))
            return
        if place:
            connection.send(answer)


def peak_memory() -> float:
    """Largest resident memory that this process ever had, in bytes.

    The kernel's `VmHWM`: what `getrusage` says of a new process counts the memory of its parent.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024.0 * int(line.split()[1])
    return math.nan
