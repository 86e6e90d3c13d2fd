"""Live sources: a camera of this machine, a camera on the network; their failures in words that say what to do.

Measured with GStreamer's RTSP server: `fflags=nobuffer` loses every frame of the first one or two seconds, so it is not
used; analysing 0.1 s instead of FFmpeg's 5 s brings the first picture after 0.2 s instead of 1.2 s and loses nothing.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from urllib.parse import urlsplit

from nodes.capture.video import VideoSource, errors, reason
from stream.errors import SourceError
from stream.settings.secrets import redact

REORDER_PACKETS = 2000  # a hundred megabit a second for 0.2 s: time is to end the wait for a packet, not their number


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


class RtspSource(VideoSource):
    """A camera on the network."""

    live = True

    def __init__(
        self, url: str, transport: str, open_timeout_s: float, read_timeout_s: float, udp_reorder_s: float
    ) -> None:
        options = {"rtsp_transport": transport, "analyzeduration": "100000"}  # us
        if transport == "udp":  # the jitter buffer: over TCP, packets are in order and none is missing
            options["max_delay"] = str(round(udp_reorder_s * 1e6))  # us
            options["reorder_queue_size"] = str(REORDER_PACKETS if udp_reorder_s else 0)
        super().__init__(redact(url), url, options=options, timeout_s=(open_timeout_s, read_timeout_s))
        self._open_timeout_s, self._read_timeout_s = open_timeout_s, read_timeout_s

    def check(self) -> None:
        try:
            parts = urlsplit(self._address)
            host, self._port = parts.hostname, parts.port or (322 if parts.scheme == "rtsps" else 554)
        except ValueError:  # not chained: its message quotes the address
            host = None
        if not host:
            raise SourceError(
                f"{self.name}: no address; needs rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH, PORT up to 65535"
            )
        self._host, self._path, self._has_user = host, parts.path or "/", parts.username is not None

    def open_failure(self, error: Exception, took_s: float) -> SourceError:
        return SourceError(f"{self.name}: {self._open_reason(error, took_s)}")

    def _open_reason(self, error: Exception, took_s: float) -> str:
        place = f"{self._host}:{self._port}"
        if isinstance(error, errors.HTTPUnauthorizedError):
            if self._has_user:
                return "the server refuses this user name or password (401); check both"
            return "the server asks for a name and a password (401); give rtsp://USER:PASSWORD@HOST..."
        if isinstance(error, errors.HTTPForbiddenError):
            return "this user may not see the stream (403); check the rights of the account on the camera"
        if isinstance(error, errors.HTTPNotFoundError):
            return f"the server has no stream at {self._path} (404); check the path in the camera's manual"
        if isinstance(error, ConnectionRefusedError):
            return f"nothing listens at {place} (connection refused); check that the camera is on, and the port"
        # a timeout while connecting comes as "invalid data", so the clock tells it apart
        if isinstance(error, errors.ExitError | TimeoutError) or took_s >= 0.95 * self._open_timeout_s:
            return f"no answer within {self._open_timeout_s:g} s (capture.open_timeout_s); check address and network"
        if getattr(error, "errno", None) in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            return f"no way to {self._host} ({reason(error)}); check the network"
        if getattr(error, "errno", None) == errno.EIO and not resolves(self._host):
            return f"the host {self._host} is unknown; check its name, or give its address in numbers"
        if isinstance(error, errors.InvalidDataError):
            return f"what answers at {place} speaks no RTSP; check the port (usually 554)"
        return f"can't be opened ({reason(error)})"

    def read_failure(self, error: Exception) -> SourceError:
        if isinstance(error, errors.ExitError | TimeoutError):
            limit = self._read_timeout_s
            return SourceError(
                f"{self.name}: silent for {limit:g} s (capture.read_timeout_s), after {self._given} frames"
            )
        return super().read_failure(error)


def resolves(host: str) -> bool:
    """Whether the name can be resolved."""
    try:
        return bool(socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return False


def camera_hint() -> str:
    """The sentence that says which cameras there are and what to do."""
    found = sorted(str(p) for p in Path("/dev").glob("video*"))
    if found:
        return f"there is {', '.join(found)}; give --source one of them"
    return "there is no /dev/video* at all; plug a camera in, or give --source a file, rtsp://... or demo"
