"""The routes of the server, and what each of them needs: the one table that requests are checked against."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Need = Literal["nobody", "viewer", "operator", "metrics"]


@dataclass(frozen=True)
class Route:
    """One kind of request."""

    name: str  # of the handler
    method: Literal["GET", "POST"]
    path: str  # a name in {} stands for one part of it
    need: Need  # the role; metrics: a viewer, or whoever has the token
    changes: bool = False  # it changes something, so it needs a header that no foreign page can send
    any_host: bool = False  # it tells nothing, so it does not matter what name it is asked by
    head: bool = False  # HEAD will do, too
    page: bool = False  # a person reads the answer: without a session it is the way to the login


ROUTES = (
    Route("index", "GET", "/", "viewer", head=True, page=True),
    Route("static", "GET", "/static/{name}", "nobody", head=True),
    Route("static_inside", "GET", "/static/{folder}/{name}", "nobody", head=True),
    Route("login_form", "GET", "/login", "nobody", head=True, page=True),
    Route("login", "POST", "/login", "nobody", page=True),
    Route("logout", "POST", "/logout", "viewer", changes=True),
    Route("socket", "GET", "/ws", "viewer"),
    Route("snapshot", "GET", "/snapshot/{camera}.jpg", "viewer"),
    Route("mjpeg", "GET", "/mjpeg/{camera}", "viewer"),
    Route("recordings", "GET", "/recordings", "viewer"),
    Route("recorded_video", "GET", "/recordings/{camera}/{start}.mp4", "viewer", head=True),
    Route("recorded_masks", "GET", "/recordings/{camera}/{start}.masks.jsonl", "viewer", head=True),
    Route("api", "POST", "/api/{method}", "viewer", changes=True),  # the methods that change something: operator
    Route("healthz", "GET", "/healthz", "nobody", head=True, any_host=True),
    Route("metrics", "GET", "/metrics", "metrics", head=True),
)

_PART = r"(?P<\1>[A-Za-z0-9_.-]{1,80}?)"


class RouteTable:
    """Finds the route of a request."""

    def __init__(self, routes: Sequence[Route] = ROUTES) -> None:
        self._patterns = [(re.compile(re.sub(r"\\{(\w+)\\}", _PART, re.escape(route.path))), route) for route in routes]

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], list[str]]:
        """(route, the parts of its path, []), or without one (None, {}, the methods that the path has)."""
        allowed: list[str] = []
        for pattern, route in self._patterns:
            if (match := pattern.fullmatch(path)) is None:
                continue
            if method == route.method or (method == "HEAD" and route.head):
                return route, match.groupdict(), []
            allowed.append(route.method)
        return None, {}, allowed
