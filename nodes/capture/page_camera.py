"""The camera of a page in a browser as a source: JPEG pictures that the web node passed on in, pictures out."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np

from nodes.capture.source import NothingToOpenError, Picture, SourceInfo
from stream.arrays import Array
from stream.errors import SourceError
from stream.geometry import Size, can_travel
from stream.messages import Upload

NAME = "the page's camera"
WAIT_S = 0.25  # how long `open` waits at a time: how soon a feed that is to end sees it

_SIZE_SEGMENTS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15 without DHT, JPG, DAC
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}  # TEM, RST0 to RST7, SOI


class UploadBox:
    """The newest upload, on its way from the node's thread to the feed's."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: Upload | None = None
        self._closed = False

    def put(self, upload: Upload) -> None:
        """Keep it instead of the one before."""
        with self._changed:
            self._newest = upload
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Upload | None:
        """The newest upload that was not taken; None where none comes in time, and at once when it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._newest is not None, timeout_s)
            upload, self._newest = self._newest, None
            return upload

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class PageCameraSource:
    """One page's camera, from its first picture until that page sends no more.

    The next page is another connection, also one that begins before this one's silence has lasted long enough.
    """

    live = True

    def __init__(self, box: UploadBox, read_timeout_s: float) -> None:
        self.damaged = 0  # uploads that are no picture
        self._box = box
        self._read_timeout_s = read_timeout_s
        self._page: int | None = None  # whose pictures these are
        self._first: Picture | None = None
        self._given = 0

    def open(self) -> SourceInfo:
        """Wait a little for a page that sends; NothingToOpenError while there is none."""
        upload = self._box.take(WAIT_S)
        self._first = self._decoded(upload) if upload is not None and upload.jpeg.size else None
        if upload is None or self._first is None:
            raise NothingToOpenError(f"{NAME}: no page sends it yet; open the page and allow its camera")
        self._page = upload.page
        return SourceInfo((self._first.rgb.shape[0], self._first.rgb.shape[1]))

    def skip(self, count: int) -> None:
        """Nothing to pass over: a camera has no past."""

    def read(self) -> Picture:
        """The next picture; SourceError where the page has stopped, has gone silent, or is another one."""
        picture, self._first = self._first, None
        silent_from_s = time.monotonic()
        while picture is None:
            left_s = silent_from_s + self._read_timeout_s - time.monotonic()
            upload = self._box.take(left_s) if left_s > 0 else None
            if upload is None:
                limit = self._read_timeout_s
                raise SourceError(
                    f"{NAME}: silent for {limit:g} s (capture.read_timeout_s), after {self._given} frames"
                )
            if upload.page != self._page:
                self._box.put(upload)  # the next connection begins with it
                raise SourceError(f"{NAME}: another page sends now, after {self._given} frames")
            if not upload.jpeg.size:
                raise SourceError(f"{NAME}: {upload.reason or 'it was turned off'}, after {self._given} frames")
            picture = self._decoded(upload)
        self._given += 1
        return picture

    def close(self) -> None:
        """Nothing is held."""

    def _decoded(self, upload: Upload) -> Picture | None:
        """The picture of an upload, as old as its arrival; None where it is none, which is counted."""
        size = jpeg_size(upload.jpeg)
        rgb = None
        if size is not None and can_travel(size):  # before a forged size has cost any memory
            rgb = _rgb(upload.jpeg)
        if rgb is None:
            self.damaged += 1
            return None
        return Picture(rgb, arrived_ns=(upload.arrived_ns, upload.arrived_unix_ns))


def _rgb(jpeg: Array) -> Array | None:
    """(H, W, 3) uint8 of a JPEG; None where it can't be decoded."""
    try:
        bgr = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    if bgr is None:
        return None
    rgb: Array = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb


def jpeg_size(jpeg: Array) -> Size | None:
    """(height, width) that a JPEG's header says, (N,) uint8; None where it is no JPEG."""
    data = np.ascontiguousarray(jpeg).tobytes()
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        kind = data[at + 1]
        if kind == 0xFF:  # a filling byte
            at += 1
        elif kind in _WITHOUT_LENGTH:
            at += 2
        elif kind in _SIZE_SEGMENTS:
            height, width = (data[at + i] << 8 | data[at + i + 1] for i in (5, 7))
            return (height, width) if height and width else None
        else:
            at += 2 + max(2, data[at + 2] << 8 | data[at + 3])
    return None
