"""Work in pieces in, their results out, a piece a thread: how a CPU decodes the masks of several objects.

Torch's own threads share out each operation, and a pass has a hundred of them, most too small for two: they meet after
each. Threads of ours meet once a pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")
MOST_THREADS = 8  # Python's own work is done by one thread at a time


class ObjectThreads:
    """As many threads as torch uses, made when they are first needed."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MOST_THREADS, "objects")

    def each(self, work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
        """`work` of every piece, in their order. Whoever is done takes the next piece."""
        threads = torch.get_num_threads()
        helpers = min(threads, len(pieces), MOST_THREADS) - 1
        if helpers < 1:
            return [work(piece) for piece in pieces]
        following, results = itertools.count(), dict[int, Result]()

        def take() -> None:
            torch.set_num_threads(1)  # within this thread
            with torch.inference_mode():
                while (i := next(following)) < len(pieces):
                    results[i] = work(pieces[i])

        tasks = [self._pool.submit(take) for _ in range(helpers)]
        try:
            take()
        finally:
            failures = [task.exception() for task in tasks]  # waits for all of them
            torch.set_num_threads(threads)
        for failure in failures:
            if failure:
                raise failure
        return [results[i] for i in range(len(pieces))]
