"""Logging in and out: a name and a password, or a link that works once, become a cookie."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from nodes.web.access.login_page import continue_page, login_page
from nodes.web.access.passwords import Account, Role, role_of
from nodes.web.access.sessions import SESSION_S, Access
from nodes.web.counts import Counts
from nodes.web.http.replies import html
from nodes.web.http.visitor import Visitor

BODY_S = 10.0  # within which the body of a form has to be there
MAX_FORM_BYTES = 4096


class LoginHandlers:
    """The answers of the routes that sessions begin and end with."""

    def __init__(
        self,
        access: Access,
        accounts: dict[str, Account],
        counts: Counts,
        cookie: str,
        close_pages: Callable[[], None],
        *,
        https: bool,
    ) -> None:
        """`close_pages` closes the pages whose sessions are over."""
        self._access = access
        self._accounts = accounts
        self._counts = counts
        self._cookie = cookie
        self._close_pages = close_pages
        self._https = https
        self._checking = asyncio.Lock()  # one password at a time: each takes 32 MiB and a core

    async def login_form(self, visitor: Visitor) -> web.StreamResponse:
        """The form."""
        return self._form(200)

    async def login(self, visitor: Visitor) -> web.StreamResponse:
        """Take a name and a password, or the code of a link that works once."""
        form = await visitor.form(MAX_FORM_BYTES, BODY_S)
        if not form:
            return self._form(400, "That was no login.")
        if not self._access.may_try(visitor.address):
            return self._too_many()
        role = await self._role(form)
        if role is None:
            self._counts.refused_logins += 1
            return self._form(401, "That is not right." if self._accounts else "That code is not right, or was used.")
        self._access.forgive(visitor.address)
        return self._logged_in(role)

    async def use_link(self, visitor: Visitor, code: str) -> web.StreamResponse:
        """Exchange the code of a printed address for a session."""
        if not self._access.may_try(visitor.address):
            return self._too_many()
        if self._accounts or not self._access.use_link(code):
            self._counts.refused_logins += 1
            return self._form(401, "That address was used before, or is not of this run.")
        self._access.forgive(visitor.address)
        return self._logged_in("operator")

    async def go_on(self) -> web.StreamResponse:
        """Lead to the page from the page itself."""
        return html(200, continue_page())

    async def logout(self, visitor: Visitor) -> web.StreamResponse:
        """End the session, and close its pages."""
        self._access.close_session(visitor.cookie)
        self._close_pages()
        response = web.Response(status=204)
        response.del_cookie(self._cookie, path="/", httponly=True, samesite="Strict", secure=self._https)
        return response

    def _logged_in(self, role: Role) -> web.StreamResponse:
        """Lead to the page, with the cookie of a new session."""
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            self._cookie,
            self._access.open_session(role),
            path="/",
            max_age=round(SESSION_S),
            httponly=True,
            secure=self._https,
            samesite="Strict",
        )
        return response

    def _too_many(self) -> web.StreamResponse:
        self._counts.refused_logins += 1
        response = self._form(429, "Too many tries; wait ten seconds.")
        response.headers["Retry-After"] = "10"
        return response

    def _form(self, status: int, message: str = "") -> web.StreamResponse:
        return html(status, login_page(by_password=bool(self._accounts), message=message))

    async def _role(self, form: dict[str, str]) -> Role | None:
        if not self._accounts:
            return "operator" if self._access.use_link(form.get("once", "")) else None
        name, password = form.get("name", ""), form.get("password", "")
        async with self._checking:
            return await asyncio.to_thread(role_of, self._accounts, name, password)
