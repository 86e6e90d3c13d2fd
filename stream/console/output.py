"""What a run prints can't hold it up or end it: a thread writes, from a bounded queue, whatever the reader does.

A reader that is gone (`| true`), a stream that was closed (`2>&-`), a terminal that is held (Ctrl-S), a full pipe, a
character that the encoding lacks: none of them changes what the run does. What finds no room is dropped and counted,
and a line says so once there is room again.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TextIO

from stream.settings.secrets import redact

ROOM = 1 << 20  # characters that wait for a slow reader
PATIENCE_S = 1.0  # at the end, as long as nothing is taken
TICK_S = 0.2


def words_for_dropped(count: int) -> str:
    """What is written in place of lines that found no room."""
    return f"{count} lines were dropped here: whatever reads them is too slow"


class Output(io.TextIOBase):
    """Stands in for sys.stdout or sys.stderr: `write` neither waits nor fails, and hides credentials."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._fd = _descriptor(stream)  # else (a stream in memory) its own `write` is called
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._held = 0  # characters that wait
        self._partial = ""  # of a line that is not complete
        self._dropped = 0
        self._moved_s = 0.0  # when the stream took something last
        self._busy = False
        self._thread: threading.Thread | None = None
        self._dropped_line: Callable[[int], str] = words_for_dropped

    def say_dropped_by(self, dropped_line: Callable[[int], str]) -> None:
        """Have `dropped_line` word what is written in place of dropped lines (as JSON, for example)."""
        self._dropped_line = dropped_line

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self._encoding

    def fileno(self) -> int:
        """That of the stream, for whoever measures a terminal."""
        if self._fd is None:
            raise io.UnsupportedOperation("fileno")
        return self._fd

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Let complete lines wait for the stream; what finds no room is dropped."""
        with self._changed:
            whole, newline, self._partial = (self._partial + text).rpartition("\n")
            if newline:
                self._put(whole + newline)
        return len(text)

    def flush(self) -> None:
        """Let what there is of a line wait for the stream, too."""
        with self._changed:
            if self._partial:
                self._put(self._partial)
                self._partial = ""

    def drain(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until all is written, or until the stream has taken nothing for `patience_s`."""
        self.flush()
        with self._changed:
            self._wait(patience_s)
            if self._dropped and not self._waiting:
                self._put("")
                self._wait(patience_s)

    def _wait(self, patience_s: float) -> None:
        self._moved_s = time.monotonic()
        while (self._waiting or self._busy) and time.monotonic() - self._moved_s < patience_s:
            self._changed.wait(TICK_S)

    def _put(self, text: str) -> None:
        """Let a text wait; the lock is held."""
        if self._held and self._held + len(text) > ROOM:
            self._dropped += text.count("\n") or 1
            return
        if self._dropped:
            text = f"{self._dropped_line(self._dropped)}\n{text}"
            self._dropped = 0
        text = redact(text)
        self._waiting.append(text)
        self._held += len(text)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="output", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                text = self._waiting.popleft()
                self._busy = True
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more; the feed goes on
                self._pass_on(text)
            with self._changed:
                self._held -= len(text)
                self._busy = False
                self._moved_s = time.monotonic()
                self._changed.notify_all()

    def _pass_on(self, text: str) -> None:
        if self._fd is None:
            assert self._stream is not None
            self._stream.write(text)
            return
        data = memoryview(text.encode(self._encoding, "backslashreplace"))
        while data:
            try:
                data = data[os.write(self._fd, data) :]
                self._moved_s = time.monotonic()
            except BlockingIOError:  # another program has made the terminal non-blocking
                select.select([], [self._fd], [], TICK_S)


def keep_order() -> None:
    """Have what was printed up to now come before what is printed next, though to the other stream.

    Each stream has a writer of its own: where both lead to one place (`2>&1`), the later line could come out first.
    """
    for stream in (sys.stderr, sys.stdout):
        if isinstance(stream, Output):
            stream.drain()


def _descriptor(stream: TextIO | None) -> int | None:
    if stream is None:
        return os.open(os.devnull, os.O_WRONLY)
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def open_standard_descriptors() -> None:
    """Open the ones among 0, 1, 2 that are closed, or the next file that is opened would get what is printed."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free


@contextlib.contextmanager
def outputs(*, wait_for_stdout: bool = False) -> Iterator[None]:
    """Have sys.stdout and sys.stderr be of this kind inside; what waits is written at the end, within reason.

    `wait_for_stdout`: for a tool whose result is what it prints, stdout stays as it is, and escapes what it can't say.
    """
    open_standard_descriptors()
    before = sys.stdout, sys.stderr
    out, err = Output(before[0]), Output(before[1])
    sys.stdout, sys.stderr = out, err
    if wait_for_stdout and before[0] is not None:
        sys.stdout = before[0]
        if isinstance(before[0], io.TextIOWrapper):
            before[0].reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        err.drain()
        out.drain()
        sys.stdout, sys.stderr = before


def nobody_reads_stdout() -> None:
    """Send what is still buffered nowhere: its reader has seen enough (`| head`), which is no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
