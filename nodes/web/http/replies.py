"""Short replies: a line of text, a page, JSON; and the headers that every reply has."""

from __future__ import annotations

from typing import Any

from aiohttp import web

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "media-src 'self' blob:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, a browser sends its own form as from the origin "null"
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Server": "SAM-PT Live",
}


def dress(response: web.StreamResponse) -> None:
    """Give an answer the headers that all have."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")


def plain(status: int, text: str) -> web.Response:
    """A line of text."""
    return web.Response(status=status, text=text + "\n")


def html(status: int, text: str) -> web.Response:
    """A page."""
    return web.Response(status=status, text=text, content_type="text/html")


def as_json(status: int, value: dict[str, Any]) -> web.Response:
    """JSON."""
    return web.json_response(value, status=status)
