"""Every request passes here: its route is found, host, origin and role are checked, the answer gets its headers."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from nodes.web.access.request_checks import CHANGE_HEADER, Hosts, is_same_origin
from nodes.web.access.sessions import Access
from nodes.web.counts import Counts
from nodes.web.http.login_handlers import LoginHandlers
from nodes.web.http.replies import dress, plain
from nodes.web.http.routes import ROUTES, Route, RouteTable
from nodes.web.http.visitor import Visitor

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1 << 20
Handler = Callable[..., Awaitable[web.StreamResponse]]


class Gate:
    """Answers requests."""

    def __init__(
        self,
        groups: Sequence[object],
        login: LoginHandlers,
        access: Access,
        counts: Counts,
        hosts: Hosts,
        cookie: str,
        metrics_token: str,
    ) -> None:
        """`groups` of handlers: each route is answered by the method of its name."""
        self._handlers: dict[str, Handler] = {
            route.name: next(getattr(group, route.name) for group in groups if hasattr(group, route.name))
            for route in ROUTES
        }
        self._login = login
        self._counts = counts
        self._access = access
        self._hosts = hosts
        self._cookie = cookie
        self._metrics_token = metrics_token
        self._table = RouteTable()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to a request."""
        route, parts, allowed = self._table.find(request.method, request.path)
        try:
            response = await self._respond(request, route, parts, allowed)
        except web.HTTPException as error:
            response = plain(error.status, error.reason)
            response.force_close()
        except TimeoutError:
            response = plain(408, "the request's body did not come in time")
            response.force_close()
        except Exception:
            log.exception("%s failed", route.name if route else "a request", extra={"once_key": "web request"})
            if request.writer.output_size and request.transport is not None:
                request.transport.abort()  # a part of another answer is out
            response = plain(500, "a fault of the server; its log says more")
        if not response.prepared:
            dress(response)
        self._counts.answered[route.name if route else "none", response.status] += 1
        return response

    async def _respond(
        self, request: web.BaseRequest, route: Route | None, parts: dict[str, str], allowed: list[str]
    ) -> web.StreamResponse:
        if (request.content_length or 0) > MAX_BODY_BYTES:
            response = plain(413, f"a request has at most {MAX_BODY_BYTES} bytes")
            response.force_close()
            return response
        if route is None:
            return plain(405, "not this way") if allowed else plain(404, "there is nothing here")
        if (refused := self._check_origin(request, route)) is not None:
            return refused
        cookie = request.cookies.get(self._cookie, "")
        visitor = Visitor(request, self._access.role(cookie), cookie, lambda: self._access.role(cookie) is not None)
        if route.name == "index" and "once" in request.query:
            return await self._login.use_link(visitor, request.query["once"])
        if (refused := await self._check_role(visitor, route)) is not None:
            return refused
        return await self._handlers[route.name](visitor, **parts)

    def _check_origin(self, request: web.BaseRequest, route: Route) -> web.StreamResponse | None:
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        if not route.any_host and not self._hosts.knows(host):
            return plain(421, "this server is not called so; web.hosts takes further names")
        if not is_same_origin(origin, host):
            return plain(403, "another site's page asks")
        if route.changes and request.headers.get(CHANGE_HEADER) != "1":
            return plain(403, f"needs the header {CHANGE_HEADER}: 1")
        # A form can't send our header; then the browser has to say where it comes from.
        if route.method == "POST" and origin is None and request.headers.get(CHANGE_HEADER) != "1":
            return plain(403, f"needs an Origin, or the header {CHANGE_HEADER}: 1")
        return None

    async def _check_role(self, visitor: Visitor, route: Route) -> web.StreamResponse | None:
        if route.need == "nobody" or (route.need == "metrics" and self._has_metrics_token(visitor.request)):
            return None
        if visitor.role is None:
            if not route.page:
                return plain(401, "log in first")
            # SameSite=Strict: who follows a link from elsewhere seems to have no session until he asks from here.
            if visitor.request.headers.get("Sec-Fetch-Site") == "cross-site":
                return await self._login.go_on()
            return web.Response(status=303, headers={"Location": "/login"})
        if route.need == "operator" and visitor.role != "operator":
            return plain(403, "needs the role operator")
        return None

    def _has_metrics_token(self, request: web.BaseRequest) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = scheme.lower() == "bearer" and bool(self._metrics_token)
        return given and secrets.compare_digest(token.strip().encode(), self._metrics_token.encode())
