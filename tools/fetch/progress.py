"""How far a transfer is: byte counts in; a bar on a terminal, or a plain line now and then, out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from stream.weights.published import MIB, readable

if TYPE_CHECKING:
    import rich.progress

STEP = 0.1  # of the file between two lines
STEP_UNKNOWN = 64 * MIB  # between two lines where the size is not known


class Progress(Protocol):
    """Who is told how far it is."""

    def start(self, total: int, done: int) -> None:
        """Bytes begin to come: `done` of `total` are there (0: size unknown)."""

    def advance(self, done: int) -> None:
        """So many bytes are there now."""

    def note(self, text: str) -> None:
        """Something happened that the user should know."""

    def close(self) -> None:
        """Nothing more comes."""


class Lines:
    """A line for each tenth of the file."""

    def __init__(self, name: str, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.out = out
        self.clock = clock
        self.start(0, 0)

    def start(self, total: int, done: int) -> None:
        self.total = total
        self.begun = done
        self.begun_s = self.clock()
        self.next = done + self._step()

    def _step(self) -> float:
        return self.total * STEP if self.total else STEP_UNKNOWN

    def advance(self, done: int) -> None:
        if done < self.next and done != self.total:
            return
        self.next = done + self._step()
        passed_s = max(self.clock() - self.begun_s, 1e-3)
        rate = (done - self.begun) / passed_s
        share = f" of {readable(self.total)} ({100 * done // self.total} %)" if self.total else ""
        left = f", {(self.total - done) / rate:.0f} s left" if rate and done < self.total else ""
        self._print(f"{self.name}: {readable(done)}{share}, {readable(int(rate)) if rate >= 1 else '0 bytes'}/s{left}")

    def note(self, text: str) -> None:
        self._print(f"{self.name}: {text}")

    def _print(self, text: str) -> None:
        print(text, file=self.out, flush=True)

    def close(self) -> None:
        pass


class Bar:
    """A bar with rate and time left."""

    def __init__(self, name: str, bar: rich.progress.Progress) -> None:
        self.bar = bar
        self.name = name
        self.task = bar.add_task(name, total=None)
        bar.start()

    def start(self, total: int, done: int) -> None:
        self.bar.reset(self.task, total=total or None, completed=done)

    def advance(self, done: int) -> None:
        self.bar.update(self.task, completed=done)

    def note(self, text: str) -> None:
        self.bar.console.print(f"{self.name}: {text}", markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self.bar.stop()


def progress_of(name: str, out: TextIO | None = None) -> Progress:
    """A bar where `out` is a terminal, lines otherwise."""
    out = out or sys.stderr
    if not out.isatty():
        return Lines(name, out)
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Bar(name, RichProgress(*columns, console=Console(file=out)))
