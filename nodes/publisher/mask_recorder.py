"""Masks in, lines of JSON beside the segments of a recording out; a thread of its own does what takes time.

Capture or the renderer writes the videos and their index; each frame's masks come later than its picture, so the index
tells which segment they belong to. Lines whose segment is not there yet wait in a bounded ring: a recording of objects
begins before it is known that one is in sight.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from pathlib import Path

from stream.messages import Masks
from stream.recordings.index_file import read_index
from stream.recordings.mask_lines import to_line
from stream.recordings.segment_times import place
from stream.recordings.segments import INDEX, MASKS, VIDEO, Index

log = logging.getLogger(__name__)

QUEUE = 256  # masks messages that wait for the disk; the oldest give way
HELD = 32  # newest frames whose segment may not be there yet: an encoder holds pictures back
RING_S = 5.0  # of masks whose segment is not there yet, beside `recording.pre_s`
RING_BYTES = 32 << 20
FLUSH_S = 1.0  # what a kill may lose
LAST_S = 1.0  # that a segment may be late at the end
CLOSE_S = 2.0


class MaskRecorder:
    """Writes the masks of one camera."""

    def __init__(self, folder: Path, pre_s: float = 0.0, index: Path | None = None) -> None:
        """`pre_s`: so much before an object is seen a segment may begin; `index`: its file, if not in the folder."""
        self.written = 0  # lines
        self.dropped = 0  # masks that the disk was too slow for
        self._lines = MaskLines(folder, pre_s + RING_S, index)
        self._changed = threading.Condition()  # guards what is below
        self._waiting: deque[Masks] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="mask recording", daemon=True)
        self._thread.start()

    def take(self, masks: Masks) -> None:
        """Record the masks of a frame; never waits."""
        with self._changed:
            if len(self._waiting) >= QUEUE:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(masks)
            self._changed.notify()

    def close(self) -> None:
        """Write what waits."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._stopping:
                    self._changed.wait(FLUSH_S)
                masks = self._waiting.popleft() if self._waiting else None
                over = masks is None and self._stopping
            try:
                if masks is not None:
                    self._lines.take(masks)
                self._lines.flush(time.monotonic(), now=over)
                self.written = self._lines.written
            except OSError as error:
                text = "masks of the recording can't be written: %s"
                log.warning(text, error.strerror or error, extra={"once_key": "masks recording"})
            if over:
                break
        self._end()

    def _end(self) -> None:
        """The videos may be a little behind: wait for the last segment, but not for one that never comes."""
        until_s = time.monotonic() + LAST_S
        try:
            while self._lines.is_under_way() and time.monotonic() < until_s:
                time.sleep(LAST_S / 20)
            self._lines.settle()
            self._lines.flush(time.monotonic(), now=True)
        except OSError as error:
            log.warning("the last masks of the recording can't be written: %s", error.strerror or error)
        self.written = self._lines.written
        self._lines.close()


class MaskLines:
    """The files of masks. One thread uses it; OSError where the disk is full or gone."""

    def __init__(self, folder: Path, ring_s: float = RING_S, index: Path | None = None) -> None:
        self.written = 0
        self._folder = folder
        self._index_file = index or folder / INDEX
        self._ring_ns = round(ring_s * 1e9)
        self._ring_bytes = 0
        self._index: Index | None = None
        self._index_is: tuple[int, int] | None = None  # inode and time of the index as it was read
        self._ring: deque[Masks] = deque()  # whose segment is not there yet, or will never be
        self._file: int = -1
        self._name = ""  # of the segment whose file is open
        self._buffer: list[bytes] = []
        self._flushed_s = 0.0

    def take(self, masks: Masks) -> None:
        """Take the masks of a frame; those of earlier frames are written, as far as their segments are there."""
        self._put(masks)
        if self._read_index():
            self._write_waiting(held=HELD)
        elif len(self._ring) > HELD:
            self._write_waiting(held=HELD, first=len(self._ring) - HELD - 1)

    def settle(self) -> None:
        """Write all that wait, as far as their segments are there: nothing more comes."""
        self._read_index()
        self._write_waiting(held=0)

    def is_under_way(self) -> bool:
        """Whether the newest segment is still written."""
        self._read_index()
        return bool(self._ring) and (self._index is None or self._index.writing is not None)

    def _write_waiting(self, *, held: int, first: int = 0) -> None:
        """Write those that wait, from the `first` on, but for the newest `held`."""
        waiting, self._ring, self._ring_bytes = list(self._ring), deque(), 0
        for i, masks in enumerate(waiting):
            due = first <= i < len(waiting) - held
            where = place(self._index, masks.stamp) if due and self._index is not None else None
            if where is None:
                self._put(masks)
            else:
                self._append(where[0], to_line(masks, where[1]))

    def _put(self, masks: Masks) -> None:
        self._ring.append(masks)
        self._ring_bytes += _bytes(masks)
        oldest_ns = masks.stamp.captured_unix_ns - self._ring_ns
        while len(self._ring) > HELD + 1 and (
            self._ring_bytes > RING_BYTES or self._ring[0].stamp.captured_unix_ns < oldest_ns
        ):
            self._ring_bytes -= _bytes(self._ring.popleft())

    def flush(self, now_s: float, *, now: bool = False) -> None:
        """Give what was written to the system, once a second or now."""
        if self._buffer and (now or now_s - self._flushed_s >= FLUSH_S):
            self._flushed_s = now_s
            data, self._buffer = b"".join(self._buffer), []
            if self._file >= 0:
                os.write(self._file, data)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, name: str, line: bytes) -> None:
        if name != self._name:
            self.flush(0.0, now=True)
            self.close()
            self._name = name
            if (self._folder / (name + VIDEO)).exists():  # else it has given way already
                self._file = os.open(
                    self._folder / (name + MASKS), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
                )
        if self._file >= 0:
            self._buffer.append(line)
            self.written += 1

    def _read_index(self) -> bool:
        """Look whether the index has changed."""
        try:
            status = self._index_file.stat()
        except OSError:
            return False
        newest = status.st_ino, status.st_mtime_ns
        if newest == self._index_is:
            return False
        if (index := read_index(self._index_file)) is not None:
            self._index, self._index_is = index, newest
        return index is not None


def _bytes(masks: Masks) -> int:
    """About what the masks of a frame take in memory."""
    return 1000 + sum(o.mask.nbytes for o in masks.objects)
