"""A receiver of webhooks for tests: checks each signature, keeps what it took, and can be away or answer badly."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from running import reserved_port

SECRET = "a secret of the tests"


class Receiver:
    """Listens on a port of its own while it is on."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/hook?token=of-the-receiver"
        self.taken: list[dict[str, Any]] = []  # bodies, in order
        self.ids: list[str] = []  # of them
        self.forged = 0  # requests whose signature is wrong, or old
        self.answers: list[tuple[int, dict[str, str]]] = []  # that the next requests get; none left: 204
        self.hangs = False  # it says nothing
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.handle(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if self.hangs:
            time.sleep(1.0)
            return
        status, headers = self.answers.pop(0) if self.answers else (204, {})
        if not signed(request.headers, body):
            self.forged += 1
        elif status < 300:
            self.taken.append(json.loads(body))
            self.ids.append(request.headers["webhook-id"])
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()


def signed(headers: Any, body: bytes) -> bool:
    """Whether a request was signed with the secret, lately: as a receiver has to check it."""
    name, stamp = headers["webhook-id"], headers["webhook-timestamp"]
    expected = hmac.new(SECRET.encode(), f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    given = base64.b64decode(headers["webhook-signature"].removeprefix("v1,"))
    return hmac.compare_digest(expected, given) and abs(time.time() - int(stamp)) < 300


@contextmanager
def start_receiver() -> Iterator[Receiver]:
    """A receiver that listens, on a port that stays its own until the block ends."""
    with reserved_port() as port:
        receiver = Receiver(port)
        receiver.start()
        try:
            yield receiver
        finally:
            receiver.stop()
