"""What each route answers; `gate.py` has checked by then that the request may ask."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

from aiohttp import web

from nodes.web.access import Access
from nodes.web.camera_feed import CameraFeed
from nodes.web.hub import Hub
from nodes.web.login_page import continue_page, login_page
from nodes.web.page_socket import VIEWER_METHODS, Counts, PageSocket
from nodes.web.passwords import Account, Role, role_of
from nodes.web.relay import refusal
from nodes.web.static_files import StaticFile
from nodes.web.visitor import Visitor

PROTOCOL_VERSION = 1
BODY_S = 10.0  # within which the body of a request has to be there
MAX_FORM_BYTES = 4096
ERROR_STATUS = {"unknown_method": 404, "forbidden": 403, "too_many_requests": 429, "timeout": 504, "busy": 503}


class Handlers:
    """The answers, by the names of the routes."""

    def __init__(
        self,
        hub: Hub,
        access: Access,
        accounts: dict[str, Account],
        camera_feed: CameraFeed,
        static_files: dict[str, StaticFile],
        cookie: str,
        *,
        https: bool,
        source: str,
    ) -> None:
        self.counts = Counts()
        self.pages: dict[PageSocket, str] = {}  # those that are connected, with their cookies
        self._hub = hub
        self._access = access
        self._accounts = accounts
        self._camera_feed = camera_feed
        self._static = static_files
        self._cookie = cookie
        self._https = https
        self._source = source  # "browser" or "other"
        self._life = secrets.token_hex(4)
        self._checking = asyncio.Lock()  # one password at a time: each takes 32 MiB and a core

    # --- the page ---

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

    async def static_core(self, visitor: Visitor, name: str) -> web.StreamResponse:
        """A file of the page's pure modules."""
        return await self.static(visitor, f"core/{name}")

    # --- who is there ---

    async def login_form(self, visitor: Visitor) -> web.StreamResponse:
        """The form."""
        return self._form(200)

    async def login(self, visitor: Visitor) -> web.StreamResponse:
        """Take a name and a password, or the code of a link that works once."""
        form = await visitor.form(MAX_FORM_BYTES, BODY_S)
        if form is None:
            return self._form(400, "That was no login.")
        if not self._access.may_try(visitor.address):
            response = self._form(429, "Too many tries; wait ten seconds.")
            response.headers["Retry-After"] = "10"
            return response
        role = await self._role(form)
        if role is None:
            return self._form(401, "That is not right." if self._accounts else "That code is not right, or was used.")
        self._access.forgive(visitor.address)
        return self.logged_in(role)

    async def use_link(self, visitor: Visitor, code: str) -> web.StreamResponse:
        """Exchange the code of a printed address for a session."""
        if self._accounts or not self._access.may_try(visitor.address) or not self._access.use_link(code):
            return self._form(401, "That address was used before, or is not of this run.")
        self._access.forgive(visitor.address)
        return self.logged_in("operator")

    def logged_in(self, role: Role) -> web.StreamResponse:
        """Lead to the page, with the cookie of a new session."""
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            self._cookie,
            self._access.open_session(role),
            path="/",
            max_age=30 * 24 * 3600,
            httponly=True,
            secure=self._https,
            samesite="Strict",
        )
        return response

    def go_on(self) -> web.StreamResponse:
        """Lead to the page from the page itself."""
        return html(200, continue_page())

    async def logout(self, visitor: Visitor) -> web.StreamResponse:
        """End the session, and close its pages."""
        self._access.close_session(visitor.cookie)
        for page, cookie in list(self.pages.items()):
            if cookie == visitor.cookie:
                page.log_out()
        response = web.Response(status=204)
        response.del_cookie(self._cookie, path="/", httponly=True, samesite="Strict", secure=self._https)
        return response

    def close_pages(self) -> None:
        """Close the pages whose sessions are over."""
        for page, cookie in list(self.pages.items()):
            if self._access.role(cookie) is None:
                page.log_out()

    def _form(self, status: int, message: str = "") -> web.StreamResponse:
        return html(status, login_page(by_password=bool(self._accounts), message=message))

    async def _role(self, form: dict[str, str]) -> Role | None:
        if not self._accounts:
            return "operator" if self._access.use_link(form.get("once", "")) else None
        name, password = form.get("name", ""), form.get("password", "")
        async with self._checking:
            return await asyncio.to_thread(role_of, self._accounts, name, password)

    # --- the feed ---

    async def socket(self, visitor: Visitor) -> web.StreamResponse:
        """The page's WebSocket."""
        request = visitor.request
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return plain(426, "this address speaks WebSocket")
        assert visitor.role
        page = PageSocket(self._hub, self._camera_feed, visitor.role, self.counts)
        if not self._hub.join(page.viewer):
            return plain(503, f"{self._hub.viewers.most} look already; try again later")
        self.pages[page] = visitor.cookie
        welcome = {
            "type": "welcome",
            "version": PROTOCOL_VERSION,
            "role": visitor.role,
            "cameras": self._hub.cameras,
            "server": self._life,
            "source": self._source,
        }
        try:
            return await page.serve(request, welcome)
        finally:
            self.pages.pop(page, None)
            self._hub.leave(page.viewer)

    # --- programs ---

    async def api(self, visitor: Visitor, method: str) -> web.StreamResponse:
        """A control method."""
        if visitor.role != "operator" and method not in VIEWER_METHODS:
            return answer(403, refusal("forbidden", f"{method} needs the role operator"))
        body = await visitor.body(BODY_S)
        try:
            params = json.loads(body) if body.strip() else {}
        except (ValueError, RecursionError):
            params = None
        if not isinstance(params, dict):
            return answer(400, refusal("bad_request", "the body is a JSON object of params"))
        reply = await self._hub.requests.ask(method, params)
        code = reply["error"].get("code", "") if "error" in reply else None
        return answer(200 if code is None else ERROR_STATUS.get(code, 400), reply)

    async def healthz(self, visitor: Visitor) -> web.StreamResponse:
        """One word: 200 only while frames flow, or when a file has ended well."""
        well = self._hub.well
        return plain(200 if well else 503, "ok" if well else "failing")


def plain(status: int, text: str) -> web.Response:
    """A line of text."""
    return web.Response(status=status, text=text + "\n")


def html(status: int, text: str) -> web.Response:
    """A page."""
    return web.Response(status=status, text=text, content_type="text/html")


def answer(status: int, value: dict[str, Any]) -> web.Response:
    """JSON."""
    return web.json_response(value, status=status)
