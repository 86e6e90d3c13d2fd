"""One thread that works beside the feed: a job in, its outcome out when it is ready.

A model's work that takes much longer than a frame is a `SlicedTask`: each slice is a job, so that frames come between.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
IDLE_S = 5.0  # without a job, until the thread ends


class Worker(Protocol[T]):
    """What runs one job at a time."""

    @property
    def busy(self) -> bool:
        """True from the start of a job until its outcome is taken."""

    def start(self, job: Callable[[], T]) -> None:
        """Begin a job; nothing else is running."""

    def take(self, wait_s: float = 0.0) -> tuple[T | None, BaseException | None] | None:
        """The outcome of the job, or what it raised; None while it is not ready. Waits for it that long."""


class SlicedTask(Protocol):
    """Work for the model that is done where no frame waits for it."""

    def step(self) -> bool:
        """Do a slice, on the worker's thread; True when it was the last."""

    def finish(self) -> None:
        """Called once after the last slice, on the thread of the loop."""


class ThreadWorker(Generic[T]):
    """A `Worker` on a thread. The code of models, numpy and OpenCV leaves Python's lock alone while it computes.

    One thread for all jobs, since glibc gives a new one memory of its own. It ends where no job comes, and dies with
    the process: a stop never waits for a job.
    """

    def __init__(self, wake: Callable[[], None], name: str) -> None:
        self.wake = wake  # called when a job is ready, from the thread
        self.name = name  # of the thread: NODE-something, so that log lines name the node
        self._busy = False
        self._jobs: queue.SimpleQueue[Callable[[], T]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()  # of the thread's end against the next job
        self._ready = threading.Event()
        self._outcome: tuple[T | None, BaseException | None] = (None, None)

    @property
    def busy(self) -> bool:
        """True from the start of a job until its outcome is taken."""
        return self._busy

    def start(self, job: Callable[[], T]) -> None:
        """Begin a job."""
        assert not self._busy, "one job at a time"
        self._busy = True
        self._ready.clear()
        with self._guard:
            self._jobs.put(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                self._thread.start()

    def take(self, wait_s: float = 0.0) -> tuple[T | None, BaseException | None] | None:
        """The outcome of the job, or what it raised; None while it is not ready."""
        if not self._busy or not self._ready.wait(wait_s):
            return None
        outcome, self._outcome = self._outcome, (None, None)
        self._busy = False
        return outcome

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_S)
            except queue.Empty:
                with self._guard:
                    if self._jobs.empty():
                        self._thread = None
                        return
                continue
            try:
                self._outcome = (job(), None)
            except BaseException as error:
                self._outcome = (None, error)
            del job  # it holds a frame
            self._ready.set()
            self.wake()
