"""Streams of the network: RTSP, MJPEG and HLS by HTTP, UDP, SRT, RTMP; their failures in words that say what to do.

Measured with GStreamer's RTSP server: `fflags=nobuffer` loses every frame of the first one or two seconds, so it is not
used; analysing 0.1 s instead of FFmpeg's 5 s brings the first picture after 0.2 s instead of 1.2 s and loses nothing.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from nodes.capture.decoding.video import VideoSource, errors, reason
from nodes.capture.source import SourceInfo
from stream.errors import SourceError
from stream.settings.addresses import is_playlist
from stream.settings.config import Capture
from stream.settings.secrets import redact

REORDER_PACKETS = 2000  # a hundred megabit a second for 0.2 s: time is to end the wait for a packet, not their number
HLS_SILENCE_S = 20.0  # segments of 6 s are common, and the next one comes when it is whole
TIMELESS = "mpjpeg"  # FFmpeg gives MJPEG over HTTP the times of 25 frames a second, whatever comes


@dataclass(frozen=True)
class Protocol:
    """What is known of a way to stream."""

    name: str
    port: int | None  # where none is given; None: one has to be
    form: str  # of an address, for messages
    options: dict[str, str] = field(default_factory=dict)  # for FFmpeg
    listens: bool = False  # it waits for a sender instead of asking a server


_RTSP = "rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH, PORT up to 65535"
_HTTP = "http://[USER:PASSWORD@]HOST[:PORT]/PATH: MJPEG, or HLS (.m3u8)"
_RTMP = "rtmp://HOST[:PORT]/APP/STREAM"
_ANALYSED = {"analyzeduration": "2000000"}  # us: parameter sets come with the first key frame alone
_FROM_NOW = {**_ANALYSED, "live_start_index": "-1"}  # HLS: begin with the newest segment
_RTMP_LIVE = {"analyzeduration": "500000", "rtmp_live": "live", "rtmp_buffer": "100"}  # ms
PROTOCOLS = {
    "rtsp": Protocol("RTSP", 554, _RTSP),
    "rtsps": Protocol("RTSP", 322, _RTSP),
    "http": Protocol("HTTP", 80, _HTTP, _FROM_NOW),
    "https": Protocol("HTTPS", 443, _HTTP, _FROM_NOW),
    "rtmp": Protocol("RTMP", 1935, _RTMP, _RTMP_LIVE),
    "rtmps": Protocol("RTMPS", 443, _RTMP, _RTMP_LIVE),
    "srt": Protocol("SRT", None, "srt://HOST:PORT, or srt://:PORT?mode=listener", _ANALYSED),
    "udp": Protocol(
        "UDP", None, "udp://ADDRESS_OF_OURS:PORT (0.0.0.0: any), or udp://GROUP:PORT for multicast",
        {**_ANALYSED, "overrun_nonfatal": "1", "fifo_size": "50000"}, listens=True,
    ),
}  # fmt: skip


class NetworkSource(VideoSource):
    """A stream on the network."""

    live = True

    def __init__(
        self, url: str, open_timeout_s: float, read_timeout_s: float, options: dict[str, str] | None = None
    ) -> None:
        self._protocol = PROTOCOLS[url.partition("://")[0].lower()]
        if is_playlist(url):
            read_timeout_s = max(read_timeout_s, HLS_SILENCE_S)
        options = self._protocol.options if options is None else options
        super().__init__(redact(url), url, options=dict(options), timeout_s=(open_timeout_s, read_timeout_s))
        self._open_timeout_s, self._read_timeout_s = open_timeout_s, read_timeout_s

    def check(self) -> None:
        try:
            parts = urlsplit(self._address)
            host, port = parts.hostname, parts.port or self._protocol.port
        except ValueError:  # not chained: its message quotes the address
            host = port = None
        if not host and port and "mode=listener" in self._address:
            host = "0.0.0.0"
        if not host or not port:
            raise SourceError(f"{self.name}: no address; needs {self._protocol.form}")
        self._host, self._port = host, port
        self._path, self._has_user = parts.path or "/", parts.username is not None

    def _begin(self) -> SourceInfo:
        self._timed = self._container.format.name != TIMELESS
        info = super()._begin()
        return replace(
            info,
            fps=info.fps if self._timed else None,
            bursts="hls" in self._container.format.name,
        )

    def open_failure(self, error: Exception, took_s: float) -> SourceError:
        return SourceError(f"{self.name}: {self._open_reason(error, took_s)}")

    def _open_reason(self, error: Exception, took_s: float) -> str:
        place, name = f"{self._host}:{self._port}", self._protocol.name
        # a timeout while connecting comes as "invalid data", so the clock tells it apart
        timed_out = isinstance(error, errors.ExitError | TimeoutError) or took_s >= 0.95 * self._open_timeout_s
        number = getattr(error, "errno", None)
        if isinstance(error, errors.ProtocolNotFoundError):
            return (
                f"this FFmpeg speaks no {name}; install PyAV on an FFmpeg that does (pip install av --no-binary av), "
                "or let MediaMTX take the stream and give it as rtsp://"
            )
        if (refusal := self._refusal(error)) is not None:
            return refusal
        if isinstance(error, ConnectionRefusedError):
            return f"nothing listens at {place} (connection refused); check that the camera is on, and the port"
        if timed_out and self._protocol.listens:
            return f"nothing came to {place} within {self._open_timeout_s:g} s; check where the sender sends to"
        if timed_out:
            return f"no answer within {self._open_timeout_s:g} s (capture.open_timeout_s); check address and network"
        if number in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
            return f"{place} can't be listened at ({reason(error)}); give an address of this machine, and a free port"
        if number in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            return f"no way to {self._host} ({reason(error)}); check the network"
        if number == errno.EIO and not resolves(self._host):
            return f"the host {self._host} is unknown; check its name, or give its address in numbers"
        if isinstance(error, errors.InvalidDataError | errors.EOFError) or number == errno.EIO:
            return self._no_stream(place)
        return f"can't be opened ({reason(error)})"

    def _refusal(self, error: Exception) -> str | None:
        """What a server says by its status code; None where it is no such error."""
        scheme = self._protocol.name.lower()
        if isinstance(error, errors.HTTPUnauthorizedError):
            if self._has_user:
                return "the server refuses this user name or password (401); check both"
            return f"the server asks for a name and a password (401); give {scheme}://USER:PASSWORD@HOST..."
        if isinstance(error, errors.HTTPForbiddenError):
            return "this user may not see the stream (403); check the rights of the account on the camera"
        if isinstance(error, errors.HTTPNotFoundError):
            return f"the server has no stream at {self._path} (404); check the path in the camera's manual"
        if isinstance(error, errors.HTTPError):
            return f"the server refuses ({reason(error)}); look at its own log"
        return None

    def _no_stream(self, place: str) -> str:
        if self._protocol.port == 554:
            return f"what answers at {place} speaks no RTSP; check the port (usually 554)"
        return f"what comes from {place} is no video stream; needs {self._protocol.form}"

    def read_failure(self, error: Exception) -> SourceError:
        if isinstance(error, errors.ExitError | TimeoutError):
            limit = self._read_timeout_s
            return SourceError(
                f"{self.name}: silent for {limit:g} s (capture.read_timeout_s), after {self._given} frames"
            )
        return super().read_failure(error)


def make_network_source(config: Capture) -> NetworkSource:
    """The source of a config whose address is on the network."""
    url, timeouts = config.source, (config.open_timeout_s, config.read_timeout_s)
    if not url.lower().startswith("rtsp"):
        return NetworkSource(url, *timeouts)
    options = {"rtsp_transport": config.rtsp_transport, "analyzeduration": "100000"}  # us
    if config.rtsp_transport == "udp":  # the jitter buffer: over TCP, packets are in order and none is missing
        options["max_delay"] = str(round(config.udp_reorder_s * 1e6))  # us
        options["reorder_queue_size"] = str(REORDER_PACKETS if config.udp_reorder_s else 0)
    return NetworkSource(url, *timeouts, options)


def resolves(host: str) -> bool:
    """Whether the name can be resolved."""
    try:
        return bool(socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return False
