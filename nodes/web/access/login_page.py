"""The login form, as HTML without a script."""

from __future__ import annotations

from html import escape

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<title>Log in: SAM-PT Live</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/base.css">
<link rel="stylesheet" href="/static/login.css">
</head>
<body class="login">
<main class="card">
<h1 class="brand"><span class="mark" aria-hidden="true"></span>SAM-PT <span class="soft">Live</span></h1>
{message}
<form method="post" action="/login">
{fields}
<button class="button" type="submit">Log in</button>
</form>
{hint}
</main>
</body>
</html>
"""
_PASSWORD = """<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" autocapitalize="none" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>"""
_LINK = """<label for="once">Code</label>
<input id="once" name="once" type="password" autocomplete="off" required autofocus>"""
_LINK_HINT = """<p class="soft">Open the address that the run has printed in its terminal. It works once; the code is
what follows <code>?once=</code> in it. <code>python tools/ctl.py link</code> prints another one.</p>"""
_CONTINUE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=/">
<title>SAM-PT Live</title>
</head>
<body><p><a href="/">Go on to the page</a></p></body>
</html>
"""


def login_page(*, by_password: bool, message: str = "") -> str:
    """The form for a name and a password, or for the code of a link that works once."""
    return _PAGE.format(
        message=f'<p class="error" role="alert">{escape(message)}</p>' if message else "",
        fields=_PASSWORD if by_password else _LINK,
        hint="" if by_password else _LINK_HINT,
    )


def continue_page() -> str:
    """A page that leads to `/` from here: a browser that came from elsewhere sends its cookie only then."""
    return _CONTINUE
