"""CURVE keys by role: whose connections are let in where.

    graph      the hosts of the graph: every socket         keys/graph.key_secret
    operator   requests to the control socket, and masks    keys/operators/NAME.key, named on the allow list
    viewer     masks, frames and status                     keys/viewers/NAME.key

The folder with graph.key_secret serves; a client's folder holds client.key_secret and the graph's public key.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal, get_args

import zmq
import zmq.auth

from stream.errors import ConfigError

log = logging.getLogger(__name__)

Role = Literal["graph", "operator", "viewer"]
ROLES: tuple[Role, ...] = get_args(Role)
ADMITS: dict[Role, tuple[str, ...]] = {"graph": (), "operator": ("operators",), "viewer": ("operators", "viewers")}


class Keys:
    """The key pair of a host of the graph or of a client, and the public key of those that it connects to."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        name = "client" if (self.folder / "client.key_secret").exists() else "graph"
        try:
            self.public, secret = zmq.auth.load_certificate(self.folder / f"{name}.key_secret")
            self.graph_public = self.public
            if name == "client":
                self.graph_public, _ = zmq.auth.load_certificate(self.folder / "graph.key")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"graph.keys is {folder!r}: no key pair there ({error}); "
                f"make one with `python tools/ctl.py keygen {folder}`"
            ) from None
        if secret is None:
            raise ConfigError(f"graph.keys is {folder!r}: {name}.key_secret holds no secret key")
        self.secret = secret

    def bind_side(self, socket: zmq.Socket[bytes], role: Role) -> None:
        """Let in only who has that role, or more (the authenticator of the Context checks it)."""
        socket.curve_publickey, socket.curve_secretkey, socket.curve_server = self.public, self.secret, True
        socket.zap_domain = role.encode()

    def connect_side(self, socket: zmq.Socket[bytes]) -> None:
        """Show the key pair, and talk to nobody who has not got the graph's."""
        socket.curve_publickey, socket.curve_secretkey = self.public, self.secret
        socket.curve_serverkey = self.graph_public

    def allowed(self, role: Role) -> dict[bytes, str]:
        """Public keys that have the role, or more, each with its name; as the folder is now."""
        found = {self.graph_public: "graph"}
        for folder in ADMITS[role]:
            for path in sorted((self.folder / folder).glob("*.key")):
                try:
                    found[zmq.auth.load_certificate(path)[0]] = path.stem
                except (OSError, ValueError) as error:
                    log.warning("%s holds no key: %s", path, error, extra={"once_key": str(path)})
        return found


class AllowList:
    """CURVE's question whether a client may come in; refusals are counted, and logged once in a period."""

    def __init__(self, keys: Keys, role: Role) -> None:
        self.refused = 0
        self._keys = keys
        self._role = role

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether the key (in Z85) has the role."""
        if key in self._keys.allowed(self._role):
            return True
        self.refused += 1
        log.warning(
            "a client whose key is not allowed as %s was refused (%d so far): %s; `ctl.py keygen` makes one that is",
            self._role,
            self.refused,
            key.decode(errors="replace"),
            extra={"once_key": f"refused {self._role}"},
        )
        return False


def make_keys(folder: str) -> None:
    """Write a new key pair into `folder` (made, private); ConfigError when there is one already, or it can't be."""
    path = Path(folder)
    if (path / "graph.key_secret").exists():
        raise ConfigError(f"{folder} holds a key pair already; remove it, or name another folder")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        zmq.auth.create_certificates(path, "graph")
        (path / "graph.key_secret").chmod(0o600)
    except OSError as error:
        raise ConfigError(f"{folder}: no key pair can be written there ({error.strerror})") from None


def make_client_keys(folder: str, role: Role, name: str) -> Path:
    """Put a new client on the graph's allow list; the folder that is to be handed to it."""
    path = Path(folder)
    listed, handed = path / f"{role}s", path / f"{role}-{name}"
    if not (path / "graph.key_secret").exists():
        raise ConfigError(
            f"{folder} holds no graph.key_secret; make it first with `python tools/ctl.py keygen {folder}`"
        )
    if (listed / f"{name}.key").exists() or handed.exists():
        raise ConfigError(f"{folder} has {role} {name!r} already; remove its key, or give another name")
    try:
        for made in (listed, handed):
            made.mkdir(mode=0o700, exist_ok=True)
        zmq.auth.create_certificates(handed, "client")
        (handed / "client.key_secret").chmod(0o600)
        (handed / "client.key").rename(listed / f"{name}.key")
        (handed / "graph.key").write_bytes((path / "graph.key").read_bytes())
    except OSError as error:
        raise ConfigError(f"{folder}: no key pair can be written there ({error.strerror})") from None
    return handed
