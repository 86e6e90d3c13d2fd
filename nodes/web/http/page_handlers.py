"""The page: its files, and the WebSocket of each page that is open."""

from __future__ import annotations

import secrets

from aiohttp import web

from nodes.web.access.sessions import Access
from nodes.web.camera_feed import CameraFeed, NoCameraFeed
from nodes.web.counts import Counts
from nodes.web.http.replies import plain
from nodes.web.http.static_files import StaticFile
from nodes.web.http.visitor import Visitor
from nodes.web.hub import Hub
from nodes.web.page_socket import PageSocket

PROTOCOL_VERSION = 1


class PageHandlers:
    """The answers of the routes that a page asks for."""

    def __init__(
        self,
        hub: Hub,
        access: Access,
        counts: Counts,
        static_files: dict[str, StaticFile],
        camera_feed: CameraFeed | None,
    ) -> None:
        """`camera_feed`: what takes the pictures of a page's own camera, where that is the source of the run."""
        self._hub = hub
        self._access = access
        self._counts = counts
        self._static = static_files
        self._camera_feed: CameraFeed = camera_feed or NoCameraFeed()
        self._source = "browser" if camera_feed else "other"
        self._life = secrets.token_hex(4)  # a page that sees another knows that the server was restarted
        self._pages: dict[PageSocket, str] = {}  # those that are open, with their cookies

    async def index(self, visitor: Visitor) -> web.StreamResponse:
        """The page."""
        return await self.static(visitor, "index.html")

    async def static(self, visitor: Visitor, name: str) -> web.StreamResponse:
        """A file of the page."""
        file = self._static.get(name)
        if file is None:
            return plain(404, "no such file")
        headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Content-Type": file.content_type}
        if visitor.request.headers.get("If-None-Match") == file.etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.content, headers=headers)

    async def static_inside(self, visitor: Visitor, folder: str, name: str) -> web.StreamResponse:
        """A file of a folder of the page's."""
        return await self.static(visitor, f"{folder}/{name}")

    async def socket(self, visitor: Visitor) -> web.StreamResponse:
        """The page's WebSocket."""
        if not web.WebSocketResponse().can_prepare(visitor.request):
            return plain(426, "this address speaks WebSocket")
        assert visitor.role
        page = PageSocket(self._hub, self._camera_feed, visitor.role, self._counts, visitor.cookie)
        if not self._hub.join(page.viewer):
            return plain(503, f"{self._hub.viewers.most} look already; try again later")
        self._pages[page] = visitor.cookie
        welcome = {
            "type": "welcome",
            "version": PROTOCOL_VERSION,
            "role": visitor.role,
            "cameras": self._hub.cameras,
            "server": self._life,
            "source": self._source,
        }
        try:
            return await page.serve(visitor.request, welcome)
        finally:
            self._pages.pop(page, None)
            self._hub.leave(page.viewer)

    def close_pages(self) -> None:
        """Close the pages whose sessions are over."""
        for page, cookie in list(self._pages.items()):
            if self._access.role(cookie, used=False) is None:
                page.log_out()
