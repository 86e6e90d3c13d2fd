"""A camera of this machine; its failures in words that say what to do."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from nodes.capture.decoding.video import VideoSource, reason
from stream.errors import SourceError


class CameraSource(VideoSource):
    """A camera of this machine, through Video4Linux."""

    live = True

    def __init__(self, device: str, size: str, fps: float) -> None:
        path = f"/dev/video{int(device)}" if device.isdigit() else device
        wishes = {"video_size": size, "framerate": f"{fps:g}" if fps else ""}
        options = {key: value for key, value in wishes.items() if value}
        super().__init__(f"camera {path}", path, container="v4l2", options=options)
        self._path = path
        self._wishes = options

    def check(self) -> None:
        try:
            mode = os.stat(self._path).st_mode
        except OSError as error:
            raise SourceError(f"{self.name}: {(error.strerror or '').lower()}; {camera_hint()}") from None
        if not stat.S_ISCHR(mode):
            raise SourceError(f"{self.name}: is no device; {camera_hint()}")
        if not os.access(self._path, os.R_OK | os.W_OK):
            raise SourceError(
                f"{self.name}: no permission to use it; needs membership of its group: "
                "sudo usermod -aG video $USER, then log in again"
            )

    def open_failure(self, error: Exception, took_s: float) -> SourceError:
        number = getattr(error, "errno", None)
        if number == errno.EBUSY:
            return SourceError(f"{self.name}: in use by another program; close that one (fuser {self._path} names it)")
        if number == errno.EINVAL and self._wishes:
            wished = " at ".join(self._wishes.values())
            return SourceError(
                f"{self.name}: does not give {wished}; leave out capture.camera_size and capture.camera_fps, or choose "
                f"from: v4l2-ctl -d {self._path} --list-formats-ext"
            )
        if number in (errno.ENOTTY, errno.EINVAL, errno.ENODEV, errno.ENXIO):
            return SourceError(f"{self.name}: no camera that gives pictures ({reason(error)}); {camera_hint()}")
        return super().open_failure(error, took_s)


def camera_hint() -> str:
    """The sentence that says which cameras there are and what to do."""
    found = sorted(str(p) for p in Path("/dev").glob("video*"))
    if found:
        return f"there is {', '.join(found)}; give --source one of them"
    return "there is no /dev/video* at all; plug a camera in, or give --source a file, rtsp://... or demo"
