"""Work on several objects in, their results out, an object a thread: a second core halves what a viewer waits for.

The kernels and OpenCV's functions let other threads run, and nobody spins while he waits. A process of one of many
cameras works on one object after the other: it finds LITE_THREADS=1 in its environment.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")
MOST_THREADS = 4  # Python's own part of the work is done by one thread at a time
LIMIT = "LITE_THREADS"  # in the environment: how many threads a process has for its objects


def allowed_threads() -> int:
    """How many threads may work on objects: one a core that this process may use, unless the environment says less."""
    return int(os.environ.get(LIMIT) or min(len(os.sched_getaffinity(0)), MOST_THREADS))


class ObjectThreads:
    """Threads that are made when they are first needed."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def each(self, work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
        """`work` of every piece, in their order. Whoever is done takes the next piece."""
        helpers = min(allowed_threads(), len(pieces)) - 1
        if helpers < 1:
            return [work(piece) for piece in pieces]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(MOST_THREADS - 1, "objects")
        following, results = itertools.count(), dict[int, Result]()

        def take() -> None:
            while (i := next(following)) < len(pieces):
                results[i] = work(pieces[i])

        tasks = [self._pool.submit(take) for _ in range(helpers)]
        try:
            take()
        finally:
            failures = [task.exception() for task in tasks]  # waits for all of them
        for failure in failures:
            if failure:
                raise failure
        return [results[i] for i in range(len(pieces))]
