"""Work on several objects in, their results out, an object a thread: a second core halves what a viewer waits for.

The kernels and OpenCV's functions let other threads run, so that two threads take 0.6 of the time of one. A process
whose OpenCV has one thread (one of many cameras, a benchmark of one core) works on one object after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import cv2

Piece = TypeVar("Piece")
Result = TypeVar("Result")
MOST_THREADS = 4  # Python's own part of the work is done by one thread at a time


class ObjectThreads:
    """As many threads as OpenCV uses, made when they are first needed."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def each(self, work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
        """`work` of every piece, in their order. Whoever is done takes the next piece."""
        helpers = min(cv2.getNumThreads(), len(pieces), MOST_THREADS) - 1
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
