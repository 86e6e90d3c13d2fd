"""A local HTTP server that serves one file and misbehaves as told, small files that look like weights, and fetches."""

from __future__ import annotations

import hashlib
import io
import random
import re
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stream.weights.published import Checkpoint
from tools.fetch.disk import FetchError
from tools.fetch_weights import FetchProgress, fetch


def weights(size: int = 300_000, seed: int = 0) -> bytes:
    """Bytes that begin as torch.save's do."""
    return b"PK\x03\x04" + random.Random(seed).randbytes(size - 4)


PAYLOAD = weights()


def row(payload: bytes, *urls: str, **changes: object) -> Checkpoint:
    """A row of the table whose published file is `payload`."""
    fields: dict[str, object] = {
        "name": "tiny",
        "file": "tiny.pth",
        "urls": urls,
        "size": len(payload),
        "licence": "MIT",
        "md5": hashlib.md5(payload).hexdigest(),
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    return Checkpoint(**{**fields, **changes})  # type: ignore[arg-type]


def archive(*members: tuple[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A .tar.gz of these names and contents; `links` come first."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, goal in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, goal
            tar.addfile(info)
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


class WeightsServer(ThreadingHTTPServer):
    """Its attributes say how it behaves; `requests` are the paths and headers that came."""

    daemon_threads = True

    def __init__(self, payload: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.payload = payload
        self.url = f"http://127.0.0.1:{self.server_port}/tiny.pth"
        self.ranges = True  # answers Range
        self.honours_if_range = True
        self.etag = '"one"'
        self.content_type = "application/octet-stream"
        self.says_length = True
        self.break_after = 0  # bytes of each answer; 0: never
        self.hang_after = 0  # bytes of the first answer, then silence until the server is closed
        self.statuses: list[int] = []  # answered first, one a request
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()

    def ranges_asked(self) -> list[str]:
        return [headers.get("range", "") for _, headers in self.requests]

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that leaves early is what these tests are about


class Handler(BaseHTTPRequestHandler):
    server: WeightsServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        s = self.server
        s.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        if s.statuses:
            self.send_error(s.statuses.pop(0))
            return
        start, asked = 0, re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        unchanged = not s.honours_if_range or self.headers.get("If-Range", s.etag) == s.etag
        if asked and s.ranges and unchanged:
            start = int(asked[1])
            if start >= len(s.payload):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(s.payload)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(s.payload) - 1}/{len(s.payload)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", s.content_type)
        if s.etag:
            self.send_header("ETag", s.etag)
        if s.says_length:
            self.send_header("Content-Length", str(len(s.payload) - start))
        self.end_headers()
        body = s.payload[start:]
        if s.hang_after:
            self.wfile.write(body[: s.hang_after])
            s.hang_after = 0
            s.closing.wait()
            return
        self.wfile.write(body[: s.break_after] if s.break_after else body)


@contextmanager
def serving(payload: bytes) -> Iterator[WeightsServer]:
    """A server on a free port of this machine."""
    with WeightsServer(payload) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


class Fetch:
    """Fetches into a folder, with what they told and how long they would have waited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = io.StringIO()
        self.waits: list[float] = []
        self.target = folder / "tiny.pth"
        self.part = folder / "tiny.pth.part"

    def __call__(self, checkpoint: Checkpoint, url: str = "") -> str:
        return fetch(checkpoint, self.folder, FetchProgress("tiny", self.out), url, self.waits.append)

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def broken_off(fetching: Fetch, server: WeightsServer) -> None:
    """Leave the first 200,000 bytes of the server's file."""
    server.break_after = 40_000
    with pytest.raises(FetchError):
        fetching(row(PAYLOAD, server.url))
    server.break_after = 0
    server.requests.clear()
