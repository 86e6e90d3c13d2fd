"""Tasks in, their answers out in the same order: in worker processes, with a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from stream.errors import StreamError

T = TypeVar("T")
R = TypeVar("R")
Tick = Callable[[], None]  # called by a task after each of its frames

POLL_S = 0.2  # between two looks at the workers

_ticks: Any = None  # of a worker: how many frames all workers have done
_stop: Any = None  # of a worker: set when the run is to end


class StoppedError(Exception):
    """The run is to end before the task is done."""


def run_tasks(
    work: Callable[[T, Tick], R], tasks: Sequence[T], frames: Sequence[int], *, jobs: int, title: str
) -> list[R]:
    """`work` of each task; `frames` is how often each will tick. The first task that fails ends all of them."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as bar:
        row = bar.add_task(f"{title}: frames", total=sum(frames))
        lines = PlainProgress(title, sum(frames))

        def tick(count: int = 1) -> None:
            bar.advance(row, count)
            lines.advance(count)

        if jobs == 1 or len(tasks) == 1:
            return [work(task, tick) for task in tasks]
        return _in_processes(work, tasks, min(jobs, len(tasks)), tick)


class PlainProgress:
    """Progress where there is no terminal: a line every few seconds."""

    PERIOD_S = 10.0

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done = title, total, 0
        self.printed_s = time.monotonic()

    def advance(self, count: int) -> None:
        """So many frames more are done."""
        self.done += count
        if not sys.stderr.isatty() and time.monotonic() - self.printed_s > self.PERIOD_S:
            self.printed_s = time.monotonic()
            print(f"{self.title}: {self.done} of {self.total} frames", file=sys.stderr, flush=True)


def _in_processes(work: Callable[[T, Tick], R], tasks: Sequence[T], jobs: int, tick: Callable[[int], None]) -> list[R]:
    context = multiprocessing.get_context("spawn")  # a fork would inherit OpenCV's threads, half of them missing
    ticks, stop = context.Value("l", 0), context.Event()
    # Each worker has its share of the cores: threads of one must not wait for those of another.
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)
    pool = ProcessPoolExecutor(jobs, context, _begin, (ticks, stop, threads))
    try:
        futures: list[Future[R]] = [pool.submit(_do, work, task) for task in tasks]
        counted, pending = 0, set(futures)
        while pending:
            done, pending = wait(pending, POLL_S, FIRST_EXCEPTION)
            ticked = ticks.value
            tick(ticked - counted)
            counted = ticked
            for future in done:
                _raise(future.exception())
        return [future.result() for future in futures]
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _raise(error: BaseException | None) -> None:
    if isinstance(error, BrokenProcessPool):
        raise StreamError("a worker process died, maybe for want of memory; --jobs 1 needs less") from None
    if error is not None:
        raise error


def _begin(ticks: Any, stop: Any, threads: int) -> None:
    """The first thing a worker does, before numpy and torch are loaded and look how many threads they may have."""
    global _ticks, _stop
    _ticks, _stop = ticks, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets Ctrl-C, and sets `stop`
    for name in ("OMP_NUM_THREADS", "LITE_THREADS"):
        os.environ.setdefault(name, str(threads))
    import cv2

    cv2.setNumThreads(threads)


def _do(work: Callable[[T, Tick], R], task: T) -> R:
    return work(task, _tick)


def _tick() -> None:
    if _stop.is_set():
        raise StoppedError
    with _ticks.get_lock():
        _ticks.value += 1
