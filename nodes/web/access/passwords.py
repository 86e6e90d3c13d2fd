"""The password file: `role:name:scrypt:...` lines in, the role of who knows a password out.

A line is `operator:anna:scrypt$15$8$2$SALT$HASH`: log2 of scrypt's N, its r and p, then salt and hash in base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stream.errors import ConfigError

Role = Literal["viewer", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
LOG2_N, R, P = 15, 8, 2  # 32 MiB and about 0.15 s on one core of a cloud machine
MAX_MEMORY = 128 << 20  # bytes that a line of the file may make scrypt take
MAX_FILE_BYTES = 1 << 20
MAX_PASSWORD = 1024  # characters


@dataclass(frozen=True)
class Account:
    """One line of the file."""

    role: Role
    name: str
    log2_n: int
    r: int
    p: int
    salt: bytes
    hashed: bytes

    def opens_with(self, password: str) -> bool:
        """Whether that is the password; takes a tenth of a second, so call it outside the event loop."""
        found = _scrypt(password, self.salt, self.log2_n, self.r, self.p, len(self.hashed))
        return hmac.compare_digest(found, self.hashed)

    def line(self) -> str:
        """The account as a line of the file."""
        salt, hashed = (base64.b64encode(b).decode() for b in (self.salt, self.hashed))
        return f"{self.role}:{self.name}:scrypt${self.log2_n}${self.r}${self.p}${salt}${hashed}"


def make_account(role: Role, name: str, password: str) -> Account:
    """An account with a salt of its own."""
    check_name(name)
    if not 8 <= len(password) <= MAX_PASSWORD:
        raise ConfigError(f"the password has {len(password)} characters; needs 8 to {MAX_PASSWORD}")
    salt = secrets.token_bytes(16)
    return Account(role, name, LOG2_N, R, P, salt, _scrypt(password, salt, LOG2_N, R, P, 32))


def check_name(name: str) -> None:
    """Refuse a name that a line of the file can't hold."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"name {name[:80]!r}: needs 1 to 64 of A-Z a-z 0-9 . _ -")


def read_accounts(path: str) -> dict[str, Account]:
    """The accounts of a file, by name; ConfigError says which line is wrong (and never what is in it)."""
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise ConfigError(f"web.passwords {path}: can't be read ({error.strerror})") from None
    if len(text) > MAX_FILE_BYTES:
        raise ConfigError(f"web.passwords {path}: has more than {MAX_FILE_BYTES} bytes")
    if mode & 0o077:
        raise ConfigError(f"web.passwords {path}: other users can read or change it; `chmod 600 {path}`")
    accounts: dict[str, Account] = {}
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        account = _read_line(line.strip())
        if account is None:
            raise ConfigError(
                f"web.passwords {path}, line {number}: needs role:name:scrypt$... as `tools/ctl.py passwd` writes it"
            )
        if account.name in accounts:
            raise ConfigError(f"web.passwords {path}, line {number}: {account.name} is there twice")
        accounts[account.name] = account
    if not accounts:
        raise ConfigError(f"web.passwords {path}: holds no account; `python tools/ctl.py passwd {path} NAME` adds one")
    return accounts


def write_account(path: str, account: Account) -> None:
    """Add the account to the file, or put it in the place of the one of that name. Nobody else can read the file."""
    accounts = read_accounts(path) if os.path.exists(path) and os.path.getsize(path) else {}
    accounts[account.name] = account
    folder = Path(path).resolve().parent
    try:
        descriptor, part = tempfile.mkstemp(prefix=".passwords-", dir=folder)  # made with mode 600
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write("".join(f"{a.line()}\n" for a in accounts.values()))
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, Path(path).resolve())
        except BaseException:
            os.unlink(part)
            raise
    except OSError as error:
        raise ConfigError(f"{path}: can't be written ({error.strerror})") from None


def role_of(accounts: dict[str, Account], name: str, password: str) -> Role | None:
    """The role of who has that name and password; an unknown name takes as long as a wrong password."""
    account = accounts.get(name) or _nobody(next(iter(accounts.values())))
    fits = account.opens_with(password[:MAX_PASSWORD])
    return account.role if fits and name in accounts else None


def _nobody(like: Account) -> Account:
    """An account that no password opens, as dear to check as `like`."""
    return Account("viewer", "", like.log2_n, like.r, like.p, like.salt, bytes(len(like.hashed)))


def _read_line(line: str) -> Account | None:
    role, _, rest = line.partition(":")
    name, _, written = rest.partition(":")
    parts = written.split("$")
    if role not in ROLES or not NAME.fullmatch(name) or len(parts) != 6 or parts[0] != "scrypt":
        return None
    try:
        log2_n, r, p = (int(n) for n in parts[1:4])
        salt, hashed = (base64.b64decode(b, validate=True) for b in parts[4:])
    except (ValueError, binascii.Error):
        return None
    costs = 10 <= log2_n <= 20 and 1 <= r <= 32 and 1 <= p <= 16 and 128 * r << log2_n <= MAX_MEMORY
    if not costs or not 8 <= len(salt) <= 64 or not 16 <= len(hashed) <= 64:
        return None
    return Account("operator" if role == "operator" else "viewer", name, log2_n, r, p, salt, hashed)


def _scrypt(password: str, salt: bytes, log2_n: int, r: int, p: int, length: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=1 << log2_n, r=r, p=p, maxmem=2 * MAX_MEMORY, dklen=length)
