"""Streams of the network for tests, served by this process: MJPEG and HLS by HTTP, MPEG-TS by UDP, RTMP.

Each sends flat grey pictures of 96x64 whose level names the second, 25 a second, until it is closed.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from capture.streams.rtmp_server import RtmpServer

FPS = 25
SIZE = (64, 96)
GREY = 120


def picture(index: int) -> np.ndarray:
    """(H, W, 3): grey, with a white bar that moves."""
    rgb = np.full((*SIZE, 3), GREY, np.uint8)
    rgb[:, index % SIZE[1]] = 255
    return rgb


class Sender:
    """Encodes pictures at their rate into whatever FFmpeg writes to, in a thread of its own."""

    def __init__(self, address: str, container: str, codec: str = "libx264", **options: str) -> None:
        self._arguments = address, container, codec, options
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(av.error.FFmpegError):  # whoever reads has gone, as a test wants it
            self._send()

    def _send(self) -> None:
        address, container_name, codec, options = self._arguments
        with av.open(address, "w", format=container_name, options=options) as container:
            stream = container.add_stream(codec, rate=FPS)
            stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
            stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "12"}
            began_s = time.monotonic()
            index = 0
            while not self._stopping.is_set():
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="rgb24")))
                index += 1
                self._stopping.wait(max(0.0, began_s + index / FPS - time.monotonic()))

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        if server.answer:
            self.send_error(server.answer)
            return
        path = self.path.partition("?")[0].lstrip("/")
        with contextlib.suppress(OSError):
            if path == "mjpeg":
                self._mjpeg(server)
            else:
                self._file(server.folder / path)

    def _mjpeg(self, server: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        index = 0
        while not server.stopping.is_set():
            jpeg = cv2.imencode(".jpg", picture(index))[1].tobytes()
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
            index += 1
            server.stopping.wait(1 / FPS)
        self.close_connection = True

    def _file(self, path: Path) -> None:
        try:
            body = path.read_bytes()
        except OSError:
            self.send_error(404)
            return
        self.send_response(200)
        kind = "application/vnd.apple.mpegurl" if path.suffix == ".m3u8" else "video/mp2t"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class HttpServer(ThreadingHTTPServer):
    """/mjpeg, and the files of a folder; with `answer` that status code for everything."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, folder: Path, answer: int = 0) -> None:
        self.folder, self.answer, self.stopping = folder, answer, threading.Event()
        super().__init__(("127.0.0.1", port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def handle_error(self, *_: Any) -> None:
        pass  # readers go away in the middle

    def close(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        self._thread.join(20)


@contextlib.contextmanager
def streaming(kind: str, port: int, folder: Path) -> Iterator[str]:
    """A stream of that kind; its address."""
    with contextlib.ExitStack() as stack:
        if kind == "udp":
            stack.callback(Sender(f"udp://127.0.0.1:{port}?pkt_size=1316", "mpegts").close)
            yield f"udp://127.0.0.1:{port}"
        elif kind == "rtmp":
            frames = (av.VideoFrame.from_ndarray(picture(i), format="rgb24") for i in itertools.count())
            stack.callback(RtmpServer(port, frames, FPS).close)
            yield f"rtmp://127.0.0.1:{port}/live/cam"
        else:
            stack.callback(HttpServer(port, folder).close)
            if kind == "hls":
                options = {"hls_time": "1", "hls_list_size": "4", "hls_flags": "delete_segments"}
                stack.callback(Sender(str(folder / "live.m3u8"), "hls", **options).close)
            yield f"http://127.0.0.1:{port}/{'live.m3u8' if kind == 'hls' else 'mjpeg'}"
