"""A page's own camera as the feed (--source browser): its pictures in, uploads for capture and acknowledgements out.

One page is the camera at a time: the first operator's that sends, until it says that it stops, is closed, or has been
silent for `HOLD_S`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from nodes.web.camera_feed import CameraFrame, Page
from stream.geometry import can_travel
from stream.messages import Upload

log = logging.getLogger(__name__)

HOLD_S = 3.0  # a page that is silent for longer is the camera no more
MAX_HZ, BURST = 60.0, 30.0  # pictures a second that are taken of a page in the long run; at once
JPEG_START = b"\xff\xd8\xff"

REASONS = {"denied": "its use was denied", "ended": "it was turned off or unplugged"}


class CameraUploads:
    """Who is the camera, and what it sends. All calls come from one thread; `send` must not wait."""

    def __init__(
        self,
        send: Callable[[Upload], None],
        clock: Callable[[], int] = time.monotonic_ns,
        unix_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.taken = 0
        self.refused = 0  # another page's
        self.malformed = 0
        self.too_fast = 0
        self._send = send
        self._clock = clock
        self._unix_clock = unix_clock
        self._holder: Page | None = None  # the page that is the camera
        self._count = 0  # times that a page became it: `Upload.page`
        self._newest_ns = 0  # when it was heard of last
        self._credit = 0.0  # pictures that it may send now

    def take(self, page: Page, frame: CameraFrame, jpeg: bytes) -> None:
        """Pass a picture on and acknowledge it; one that comes too fast is thrown away."""
        if not self._may_be_camera(page):
            return
        if not can_travel((frame.height, frame.width)) or not jpeg.startswith(JPEG_START):
            self.malformed += 1
            page.say({"type": "camera_refused", "message": "no JPEG of a size that can be carried"})
            return
        self._hold(page)
        page.say({"type": "camera_ack"})
        if self._credit < 1:
            self.too_fast += 1
            return
        self._credit -= 1
        self.taken += 1
        self._pass_on(np.frombuffer(jpeg, np.uint8))

    def tell(self, page: Page, state: Literal["on", "denied", "ended"], message: str) -> None:
        """A page's camera was turned on, was denied, or has ended; the page's own words are shown to nobody."""
        if state != "on":
            if page is not self._holder:
                log.info("a page's camera: %s", REASONS[state])
            self._let_go(page, REASONS[state])
        elif self._may_be_camera(page):
            self._holder = None  # also where it was this page: turned on again, it is another connection
            self._hold(page)

    def left(self, page: Page) -> None:
        """A page is gone."""
        self._let_go(page, "its page was closed")

    def _may_be_camera(self, page: Page) -> bool:
        """Whether no other page is the camera; one that may not is told so."""
        if self._holder in (None, page) or self._clock() - self._newest_ns > HOLD_S * 1e9:
            return True
        self.refused += 1
        page.say({"type": "camera_refused", "message": "another page is the camera already; close it first"})
        return False

    def _hold(self, page: Page) -> None:
        now_ns = self._clock()
        if self._holder is not page:
            self._holder, self._credit = page, BURST
            self._count += 1
        else:
            self._credit = min(BURST, self._credit + (now_ns - self._newest_ns) / 1e9 * MAX_HZ)
        self._newest_ns = now_ns

    def _let_go(self, page: Page, reason: str) -> None:
        """Tell capture that this page sends no more, if it was the camera."""
        if self._holder is page:
            self._holder = None
            self._pass_on(np.zeros(0, np.uint8), reason)

    def _pass_on(self, jpeg: np.ndarray, reason: str = "") -> None:
        times = {"arrived_ns": self._clock(), "arrived_unix_ns": self._unix_clock()}
        self._send(Upload(page=self._count, jpeg=jpeg, reason=reason, **times))
