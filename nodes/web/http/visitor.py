"""A request with who sent it: what handlers are given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from nodes.web.access.passwords import Role


@dataclass(frozen=True)
class Visitor:
    """Who asks, and for what."""

    request: web.BaseRequest
    role: Role | None  # None: nobody has logged in
    cookie: str  # of the session; "" without one
    still_in: Callable[[], bool]  # whether the session goes on; asked by what lasts longer than a request

    @property
    def address(self) -> str:
        """The network address that the request came from."""
        return self.request.remote or ""

    async def body(self, timeout_s: float) -> bytes:
        """The request's body; HTTPException where it is too long, TimeoutError where it does not come."""
        async with asyncio.timeout(timeout_s):
            return await self.request.read()

    async def form(self, most_bytes: int, timeout_s: float) -> dict[str, str] | None:
        """The fields of a form; None where the body is none."""
        body = await self.body(timeout_s)
        if len(body) > most_bytes:
            return None
        try:
            return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=8, errors="strict"))
        except ValueError:
            return None
