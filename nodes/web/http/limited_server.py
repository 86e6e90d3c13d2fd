"""The HTTP server with its limits: connections, slow requests, what is no HTTP. Counts what it refuses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from nodes.web.counts import Counts
from nodes.web.http.replies import dress

MAX_CONNECTIONS = 256
IDLE_S = 15.0  # a connection without a whole request line and headers for so long is closed
LINE_BYTES = 4096  # of the request line, and of one header
MAX_HEADERS = 64
LINGER_S = 1.0  # so long the rest of a body that is not wanted is read and thrown away

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_silent = logging.getLogger("nodes.web.aiohttp")  # it would log a traceback for every line that is no HTTP
_silent.disabled = True


class _Handler(RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is counted and answered in one line."""
        if isinstance(self._manager, LimitedServer):
            self._manager.counts.malformed_http += 1
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the response is out already")
        response = web.Response(status=status, text="no request that this server understands\n")
        response.force_close()
        dress(response)
        return response


class LimitedServer(web.Server):
    """Makes connections, and closes one that has said nothing when there are too many."""

    def __init__(self, handle: Handle, counts: Counts) -> None:
        super().__init__(
            handle,
            logger=_silent,
            access_log=None,  # addresses hold links that open a session
            keepalive_timeout=IDLE_S,
            lingering_time=LINGER_S,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=MAX_HEADERS,
            auto_decompress=False,
            handler_cancellation=True,
        )
        self.most = MAX_CONNECTIONS
        self.counts = counts

    def __call__(self) -> RequestHandler:
        """The handler of a new connection."""
        return _Handler(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Let it in; where there are too many, the one that has been idle for the longest gives way."""
        if len(self._connections) >= self.most:
            self.counts.refused_connections += 1
            idle = next((h for h in self._connections if not h._request_in_progress), None)
            victim: Any = self._connections.pop(idle, None) if idle is not None else transport
            (victim or transport).abort()
            if idle is None:
                return
        super().connection_made(handler, transport)

    def count(self) -> None:
        """Count the connections that are open."""
        self.counts.connections = len(self._connections)
