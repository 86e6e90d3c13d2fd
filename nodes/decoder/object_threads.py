"""Work on several objects in, their results out, an object a thread: more cores halve what a viewer waits for.

OpenCV, compiled loops and torch let other threads run, and nobody spins while he waits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class ObjectThreads:
    """Threads that are made when they are first needed; at most `most_threads`, that of the caller among them."""

    def __init__(self, most_threads: int) -> None:
        self._most_threads = most_threads  # Python's own part of the work is done by one thread at a time
        self._pool: ThreadPoolExecutor | None = None

    def each(self, work: Callable[[Piece], Result], pieces: Sequence[Piece], threads: int) -> list[Result]:
        """`work` of every piece by so many threads, in the order of the pieces. Whoever is done takes the next one."""
        helpers = min(threads, len(pieces), self._most_threads) - 1
        if helpers < 1:
            return [work(piece) for piece in pieces]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._most_threads - 1, "objects")
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
