"""Work in pieces in, their results out, a piece a thread: how a CPU decodes the masks of several objects.

Torch's own threads share out each operation, and a pass has a hundred of them, most too small for two: they meet after
each. Threads of ours meet once a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from nodes.decoder.object_threads import ObjectThreads, Piece, Result

MOST_THREADS = 8


class TorchObjectThreads:
    """As many threads as torch uses, each with one thread of torch."""

    def __init__(self) -> None:
        self._threads = ObjectThreads(MOST_THREADS)

    def each(self, work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
        """`work` of every piece, in their order; a single piece has all threads of torch."""
        threads = torch.get_num_threads()
        if min(threads, len(pieces)) < 2:
            return [work(piece) for piece in pieces]

        def work_on(piece: Piece) -> Result:
            torch.set_num_threads(1)  # within this thread
            with torch.inference_mode():
                return work(piece)

        try:
            return self._threads.each(work_on, pieces, threads)
        finally:
            torch.set_num_threads(threads)
