"""Drawn pictures in, one or several video files out (`video_file.py`): a new one a segment, and after an error."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from nodes.renderer.retry import Retry
from nodes.renderer.sinks import as_text
from nodes.renderer.video_file import SQUARE, VideoFile
from stream.arrays import Array
from stream.reports import SinkState

log = logging.getLogger(__name__)

NOMINAL_FPS = 25.0  # guesses at the duration of the last frame
ROOM_BYTES = 64 << 20  # on the disk, before a recording that failed goes on


class Recording:
    """What --record writes: one video file; several where each has a limit, or where writing failed in between.

    No file is ever written over: where the name is taken, the next number is put behind it.
    """

    def __init__(
        self,
        path: str,
        segment_s: float,
        restarts: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        quiet: bool = False,
    ) -> None:
        """`quiet`: whoever asked for it is told the name of its file, so no line of the log is needed."""
        self._path = Path(path)
        self._segment_s = segment_s  # 0: one file
        self._restarts = restarts  # of the renderer: its next life does not write over what the last one has recorded
        self._clock = clock
        self._quiet = quiet
        self._next: Path | None = None  # the file that the next picture begins, where its name is taken already
        self._video: VideoFile | None = None  # the newest, from the first picture on
        self._files = 0  # before it, each with pictures
        self._last_path: Path | None = None  # of the last of them
        self._written = 0  # pictures in them
        self._segment_began_ns = 0
        self._retry = Retry()
        self._failing = False  # the newest attempt to write failed
        self._closed = False

    @property
    def written(self) -> int:
        """Pictures recorded."""
        return self._written + (self._video.written if self._video else 0)

    def next_file(self) -> Path:
        """The file that pictures go to now; before the first, its name is taken."""
        if self._video is not None:
            return self._video.path
        self._next = self._next or self._next_path(warn=False)
        return self._next

    def state(self) -> SinkState:
        """What became of it."""
        video = self._video
        if video is None:
            return SinkState(path=as_text(self._next) if self._next else "")
        path = video.path if video.written else self._last_path
        files = self._files + (video.written > 0)
        return SinkState(path=as_text(path) if path else "", files=files, error=video.error)

    def write(self, rgb: Array, time_ns: int, pixel_aspect: tuple[int, int] = SQUARE) -> None:
        """Add a (H, W, 3) uint8 picture that is to be played at `time_ns`; a full segment is closed before."""
        if self._closed:
            return
        if self._failing and not self._can_go_on():
            return
        full = self._segment_s and time_ns - self._segment_began_ns >= self._segment_s * 1e9
        if self._video is None or self._video.stopped or full:
            self._begin(time_ns)
        assert self._video is not None, "one was begun"
        self._video.write(rgb, time_ns, pixel_aspect)
        if self._video.stopped:
            self._failing = True
            self._retry.fail(self._clock())
        elif self._failing:
            self._failing = False
            log.warning("the recording goes on in %s", self._video.path)

    def close(self) -> None:
        """Finish the file; may be called again."""
        self._closed = True
        if self._video:
            self._video.close()
        if self._next is not None:
            with contextlib.suppress(OSError):  # no picture has come: nobody wants the empty file
                if self._next.stat().st_size == 0:
                    self._next.unlink()
            self._next = None

    def _can_go_on(self) -> bool:
        if not self._retry.is_due(self._clock()):
            return False
        try:
            disk = shutil.disk_usage(self._path.parent)
            enough = disk.free >= min(ROOM_BYTES, disk.total // 10)
        except OSError:
            enough = False  # the folder is gone
        if not enough:
            self._retry.postpone(self._clock())
        return enough

    def _begin(self, time_ns: int) -> None:
        """Begin the first file, or the next one."""
        if self._video:
            self._video.close()
            if self._video.written:
                self._files, self._last_path = self._files + 1, self._video.path
            self._written += self._video.written
        path = self._next or self._next_path(warn=self._video is None and not self._restarts and not self._quiet)
        self._next = None
        self._video = VideoFile(path, NOMINAL_FPS, logging.DEBUG if self._failing else logging.WARNING)
        self._segment_began_ns = time_ns

    def _next_path(self, *, warn: bool) -> Path:
        """The path as given, or one that names the time or the number of this file, if there are several."""
        path, number = self._path, self._restarts + 1
        if self._segment_s:
            path, number = path.with_stem(f"{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}"), 1
        while True:
            free = path.with_stem(f"{path.stem}-{number}") if number > 1 else path
            if _take(free):
                break
            number += 1
        if warn and free != path:
            log.warning("--record %s: there is such a file already; this recording is %s", path, free)
        return free


def _take(path: Path) -> bool:
    """Whether a new file may have this path; an empty one is left there, so that no other run takes it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        with contextlib.suppress(OSError):
            return path.stat().st_size == 0  # nothing to lose
    except OSError:
        pass  # who opens it says why
    return True
