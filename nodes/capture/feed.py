"""A source in, stamped frames out: the thread that keeps a source running, paces it, and connects it again.

connecting -> running <-> paused -> ended | failed
    ^            |
    +-- backing off                  live sources only; never given up once they were open
    +-- waiting                      for a source that others begin: a page's camera
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from msgspec.structs import replace

from nodes.capture.pace import Pace
from nodes.capture.picture_watch import PictureWatch
from nodes.capture.source import NothingToOpenError, Picture, Source, SourceInfo
from stream.backoff import Backoff
from stream.commands import StartCapture
from stream.errors import SourceError, StreamError
from stream.geometry import MAX_PIXELS, MAX_SIDE, Size, can_travel
from stream.messages import Frame, Stamp
from stream.settings.config import Capture
from stream.settings.secrets import redact

log = logging.getLogger(__name__)

Phase = Literal["connecting", "waiting", "running", "backing off", "paused", "ended", "failed"]

QUEUE = 2  # frames that a lossless feed reads ahead
LATE_S = 1.0  # a burst that comes later than this plays from now on
FPS_WINDOW = 50  # frames that the measured rate is taken over


class Feed:
    """Frames of one source, stamped; live ones always the newest, others every one.

    `take` and the attributes are for one other thread; `wake` is called from the feed's own whenever they changed.
    Frames read while a live feed is paused are thrown away before they are numbered, so a pause leaves no gap.
    """

    def __init__(
        self,
        source_factory: Callable[[], Source],
        config: Capture,
        start: StartCapture,
        *,
        live: bool,
        wake: Callable[[], None] = lambda: None,
        backoff: Backoff | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        unix_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.captured = 0  # frames stamped by this feed
        self.too_large = 0  # pictures of a live source that can't be carried, and are passed over
        self.corrupt = 0  # pictures that the decoder knows to be damaged
        self.watch = PictureWatch()
        self.reconnects = 0
        self.session = start.session  # +1 on each reconnect
        self.source_info: SourceInfo | None = None  # of the newest connection
        self.error: Exception | None = None  # why it failed: for good where it is a StreamError
        self.last_frame_id = start.frame_id - 1
        self._name = redact(config.source)
        self._factory = source_factory
        self._config = config
        self._live = live
        self._wake = wake
        self._backoff = backoff or Backoff(
            config.backoff_s, config.backoff_max_s, config.backoff_jitter, config.healthy_after_s
        )
        self._clock = clock  # monotonic ns
        self._unix_clock = unix_clock
        self._changed = threading.Condition()  # guards all below
        self._frames: deque[Frame] = deque()
        self._taken: Frame | None = None  # the newest that was taken
        self._recent_ns: deque[int] = deque(maxlen=FPS_WINDOW + 1)  # capture times since the newest connection
        self._newest_ns: int | None = None  # when the newest picture came that was handed over
        self._source: Source | None = None
        self._damaged = 0  # packets that did not decode, in earlier connections
        self._phase: Phase = "connecting"
        self._paused = False
        self._stopping = False
        self._retry_ns: int | None = None  # when the next attempt begins
        self._deadline_ns: int | None = None  # when config.duration_s is over; None before the first frame
        self._epoch = start.epoch
        self._elapsed_s = start.elapsed_s
        self._opened_before = start.opened_before
        self._size: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None

    # --- for the thread that takes frames ---

    def start(self) -> None:
        """Begin to open the source."""
        # a daemon: a call of FFmpeg that hangs must not keep the process alive
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Ask the thread to end; True when it is gone. It closes its source itself, as soon as FFmpeg returns."""
        with self._changed:
            self._stopping = True
            self._frames.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def take(self) -> Frame | None:
        """The newest frame of a live feed, the next one of another; None while there is none, or while paused."""
        with self._changed:
            if self._paused or not self._frames:
                return None
            self._changed.notify_all()
            self._taken = self._frames.popleft()
            return self._taken

    def repeat(self) -> Frame | None:
        """The picture that a live feed was paused on, as one more frame; None where there is none, or no pause."""
        with self._changed:
            if not (self._paused and self._live and self._phase == "running" and self._taken is not None):
                return None
            self.last_frame_id += 1
            self.captured += 1
            stamp = replace(
                self._taken.stamp,
                frame_id=self.last_frame_id,
                captured_ns=self._clock(),
                captured_unix_ns=self._unix_clock(),
            )
            self._taken = replace(self._taken, stamp=stamp)
            return self._taken

    def pause(self) -> None:
        """Give no more frames. A live source is read on and its frames are thrown away; any other one waits."""
        with self._changed:
            self._paused = True
            if self._live:
                self._frames.clear()  # it would be old when the feed is resumed
            self._changed.notify_all()

    def resume(self) -> None:
        """Give frames again."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    @property
    def phase(self) -> Phase:
        """What it is doing; `ended` and `failed` only once the last frame was taken."""
        with self._changed:
            over = self._phase in ("ended", "failed")
            if self._paused and (self._frames if over else self._phase == "running"):
                return "paused"
            return "running" if over and self._frames else self._phase

    @property
    def fps(self) -> float | None:
        """Frames a second, measured over the last ones; None before two came."""
        with self._changed:
            if len(self._recent_ns) < 2 or self._recent_ns[-1] == self._recent_ns[0]:
                return None
            return (len(self._recent_ns) - 1) / (self._recent_ns[-1] - self._recent_ns[0]) * 1e9

    @property
    def damaged_packets(self) -> int:
        """Packets that did not decode, of all connections."""
        return self._damaged + _damaged(self._source)

    def gauges(self) -> dict[str, float]:
        """How the pictures are, for the status."""
        now_ns, newest_ns, retry_in_s = self._clock(), self._newest_ns, self.retry_in_s
        waits = {} if retry_in_s is None else {"retry_in_s": retry_in_s}
        return waits | {
            "session": self.session,
            "fps": self.fps or 0.0,
            "frame_age_s": 0.0 if newest_ns is None else (now_ns - newest_ns) / 1e9,
            "frozen_s": self.watch.frozen_s(now_ns),
            "black_s": self.watch.black_s(now_ns),
        }

    @property
    def retry_in_s(self) -> float | None:
        """Seconds until the next attempt to connect; None while there is none to wait for."""
        with self._changed:
            return None if self._retry_ns is None else max(0.0, (self._retry_ns - self._clock()) / 1e9)

    # --- the feed's own thread ---

    def _run(self) -> None:
        try:
            self._keep_running()
            self._enter("ended")
        except StreamError as error:
            self.error = error
            self._enter("failed")
        except Exception as error:  # a fault must not vanish with its thread: whoever takes frames raises it
            self.error = error  # no StreamError: the process dies of it, and is restarted
            self._enter("failed")

    def _keep_running(self) -> None:
        """Open, read, and open again; return when the feed is to end."""
        lost_ns: int | None = None  # when the connection broke, while it is broken
        attempts = 0  # that failed since then
        while not self._over():
            if self._phase != "waiting":
                self._enter("connecting")
            source = self._source = self._factory()
            try:
                self.source_info = source.open()
                if lost_ns is not None:
                    self._reconnected(lost_ns)
                elif not source.live:
                    source.skip(self.last_frame_id + 1)
                opened_ns, lost_ns, attempts = self._clock(), None, 0
                self._enter("running")
                self._read(source)
                return
            except NothingToOpenError as error:
                if self._phase != "waiting":
                    log.info("%s", error)
                    self._enter("waiting")
                continue
            except SourceError as error:
                if self._phase == "running" and source.live:
                    lost_ns = self._clock()
                    lasted_s = (lost_ns - opened_ns) / 1e9
                    log.warning("%s (it was connected for %.1f s)", error, lasted_s)
                    self._backoff.healthy(lasted_s)
                elif lost_ns is None and not (source.live and (self._config.wait_for_source or self._opened_before)):
                    raise
                else:
                    attempts += 1
                    first_wait = attempts == 1 and lost_ns is None
                    log.log(logging.WARNING if first_wait else logging.INFO, "attempt %d: %s", attempts, error)
            finally:
                source.close()
                self._damaged, self._source = self.damaged_packets, None
            self._back_off()

    def _reconnected(self, lost_ns: int) -> None:
        with self._changed:
            self.session += 1
            self.reconnects += 1
            self._recent_ns.clear()
        log.info("%s: back after %.1f s, session %d", self._name, (self._clock() - lost_ns) / 1e9, self.session)

    def _back_off(self) -> None:
        """Wait until the next attempt is due."""
        wait_s = self._backoff.next_wait()
        with self._changed:
            self._retry_ns = until_ns = self._clock() + round(wait_s * 1e9)
        log.info("%s: next try in %.2f s", self._name, wait_s)
        self._enter("backing off")
        self._wait_until(until_ns)
        with self._changed:
            self._retry_ns = None

    def _read(self, source: Source) -> None:
        """Stamp and hand over frames until the source ends or the feed is to end."""
        info = self.source_info
        bursts = info is not None and info.bursts
        pace = Pace(info.fps if info else None, self._clock, LATE_S if bursts else math.inf)
        while not self._over():
            if not self._live:
                self._wait_while(lambda: self._paused)
                if self._over():
                    return
            picture = source.read()
            if picture is None:
                return
            if bursts or (self._config.realtime and not source.live):
                self._wait_until(pace.due_ns(picture))
            if self._over():
                return
            self.corrupt += picture.corrupt
            self.watch.see(picture.rgb, self._clock())
            if picture.corrupt and self._config.drop_corrupt and source.live:
                continue
            if self._can_travel((picture.rgb.shape[0], picture.rgb.shape[1]), source.live):
                self._hand_over(self._stamp(picture))

    def _can_travel(self, size: Size, live: bool) -> bool:
        """Whether a picture of that size can be carried: a live source's are counted if not, another's end the feed."""
        if can_travel(size):
            return True
        text = (
            f"{self._name}: a frame of {size[1]}x{size[0]} ({size[0] * size[1] / 1e6:.1f} megapixels) came; "
            f"at most {MAX_PIXELS / 1e6:.1f} megapixels and {MAX_SIDE} px a side can be carried: scale it down"
        )
        if not live:
            raise SourceError(text)
        self.too_large += 1
        log.warning("%s", text, extra={"once_key": "too large"})
        return False

    def _stamp(self, picture: Picture) -> Frame:
        now, size = self._clock(), (picture.rgb.shape[0], picture.rgb.shape[1])
        captured_ns, captured_unix_ns = picture.arrived_ns or (now, self._unix_clock())
        if self._size is not None and size != self._size:
            (old_h, old_w), (new_h, new_w) = self._size, size
            log.info("%s: the frame size changed from %dx%d to %dx%d", self._name, old_w, old_h, new_w, new_h)
            self._epoch += 1
        self._size = size
        if self._deadline_ns is None and self._config.duration_s:
            self._deadline_ns = now + round(max(0.0, self._config.duration_s - self._elapsed_s) * 1e9)
        stamp = Stamp(
            camera=self._config.camera,
            session=self.session,
            frame_id=self.last_frame_id + 1,
            captured_ns=captured_ns,
            captured_unix_ns=captured_unix_ns,
            pts_s=picture.pts_s,
            epoch=self._epoch,
        )
        return Frame(
            stamp=stamp,
            rgb=picture.rgb,
            truth=picture.truth,
            name=os.fsencode(picture.name),
            pixel_aspect=picture.pixel_aspect,
        )

    def _hand_over(self, frame: Frame) -> None:
        if not self._live:
            self._wait_while(lambda: len(self._frames) >= QUEUE)
        with self._changed:
            unwanted = self._paused if self._live else len(self._frames) >= QUEUE  # the latter when the time is up
            if self._stopping or unwanted or frame.stamp.frame_id <= self.last_frame_id:
                return  # the latter: its number went to a repeated picture meanwhile
            if self._live:
                self._frames.clear()
            self._frames.append(frame)
            self._recent_ns.append(frame.stamp.captured_ns)
            self._newest_ns = frame.stamp.captured_ns
            self.last_frame_id = frame.stamp.frame_id
            self.captured += 1
        self._wake()

    def _over(self) -> bool:
        """Whether the feed is to end: stopped, or at one of its limits."""
        late = self._deadline_ns is not None and self._clock() >= self._deadline_ns
        enough = 0 < self._config.frames <= self.last_frame_id + 1
        return self._stopping or late or enough

    def _enter(self, phase: Phase) -> None:
        with self._changed:
            self._phase = phase
        self._wake()

    def _wait_while(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition is false or the feed is to end."""
        with self._changed:
            while condition() and not self._over():
                self._changed.wait(self._left_s(self._deadline_ns))

    def _wait_until(self, until_ns: int) -> None:
        """Wait until the clock says so or the feed is to end."""
        with self._changed:
            while self._clock() < until_ns and not self._over():
                self._changed.wait(self._left_s(min(until_ns, self._deadline_ns or until_ns)))

    def _left_s(self, until_ns: int | None) -> float | None:
        return None if until_ns is None else max(0.0, (until_ns - self._clock()) / 1e9)


def _damaged(source: Source | None) -> int:
    """Packets of a source that did not decode; those of pictures in files are no packets."""
    return getattr(source, "damaged", 0)
