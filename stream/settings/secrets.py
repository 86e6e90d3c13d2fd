"""Credentials: found where an address comes in, hidden wherever text goes out.

An address is remembered once, at the border (command line, config); from then on `redact` hides its credentials in any
text, however they are written there: as they came, percent-decoded, or escaped in JSON or in Python's repr. A second
line of defence, by pattern, covers addresses that nobody has remembered.
"""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

HIDDEN = "***"
SHORTEST = 4  # characters: a shorter password alone is hidden only beside its user, or every "a" would vanish

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# Some cameras want user and password in the path or the query instead (`/user=admin&password=x`, `?pwd=x`).
_NAMED = re.compile(r"(?i)\b((?:user(?:name)?|login|pass(?:word|wd)?|pwd|token|secret|key)=)([^&;\s/\"']+)")
# All up to the last @ may be user and password: a password may hold an @ or a / itself (help texts are let alone).
_CREDENTIALS = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)(?!\[?USER:PASSWORD)(?!\*\*\*@)[^\s\"']*@")

# a key of the config, on a command line, whose value is a secret by itself
_SECRET_KEY = re.compile(r"(?:--set=)?(?:webhooks\.secret)=(.+)", re.DOTALL)

_remembered: dict[str, str] = {}  # what to hide -> what to show instead


def remember(text: str) -> None:
    """Hide the credentials of the address in `text`, if there is one, and a secret of the config in it, from now on."""
    if secret := _SECRET_KEY.match(text):
        remember_secret(secret[1])
    scheme = _SCHEME.search(text)
    if scheme is None:
        return
    rest = text[scheme.end() :]
    user_info, at, _ = rest.rpartition("@")
    if at:
        _hide(user_info + "@", HIDDEN + "@")
        password = user_info.partition(":")[2]
        if len(password) >= SHORTEST:
            _hide(password, HIDDEN)
    for _, value in _NAMED.findall(rest):
        if len(value) >= SHORTEST:
            _hide(value, HIDDEN)


def remember_secret(text: str) -> None:
    """Hide a secret that is no address in all that is redacted from now on."""
    if len(text) >= SHORTEST:
        _hide(text, HIDDEN)


def redact(text: str) -> str:
    """`text` without the user names, passwords and tokens of the addresses in it."""
    for secret, shown in _remembered.items():
        text = text.replace(secret, shown)
    return _NAMED.sub(r"\1***", _CREDENTIALS.sub(r"\1***@", text)) if "://" in text else text


def has_credentials(text: str) -> bool:
    """Whether `text` holds something to hide: a secret of the config, or an address with one."""
    if _SECRET_KEY.match(text):
        return True
    scheme = _SCHEME.search(text)
    return scheme is not None and ("@" in text[scheme.end() :] or _NAMED.search(text[scheme.end() :]) is not None)


def _hide(secret: str, shown: str) -> None:
    """Take in every way that a secret may be written, the longest first."""
    plain = {secret, unquote(secret)}
    escaped = {json.dumps(s)[1:-1] for s in plain} | {json.dumps(s, ensure_ascii=False)[1:-1] for s in plain}
    escaped |= (
        {repr(s)[1:-1] for s in plain} | {s.replace("'", "\\'") for s in plain} | {s.replace('"', '\\"') for s in plain}
    )
    escaped |= {repr(s)[1:-1] for s in escaped}  # a repr of JSON
    _remembered.update({form: shown for form in plain | escaped if form.strip("@*")})
    longest_first = sorted(_remembered.items(), key=lambda item: -len(item[0]))
    _remembered.clear()
    _remembered.update(longest_first)
