"""Where zmq enters: a context with our socket options and CURVE keys, and the poller that waits for sockets."""

from __future__ import annotations

import contextlib
import errno
import os
import socket as socketlib
from pathlib import Path
from typing import Any

import zmq
import zmq.auth

from stream.errors import ConfigError
from stream.transport.wire import MAX_ARRAY_BYTES

# libzmq closes a connection without a word when a part of a message passes its limit. Ours lies above the largest array
# that is sent, so that what is too long is counted like everything malformed; what is far too long is never read.
SOCKET_LIMIT_BYTES = 2 * MAX_ARRAY_BYTES

# Sockets that anybody may connect to take small requests only: memory is taken as soon as a message's length has come,
# so eight half-sent ones of the limit above would hold a gigabyte.
PUBLIC_LIMIT_BYTES = 1 << 20
HANDSHAKE_MS = 5000  # who has not said what it is by then is disconnected
BACKLOG = 64  # connections that wait to be accepted
# A public socket notices a vanished client by TCP's own keep-alive. ZeroMQ's heartbeats would do so sooner, but under a
# flood they make libzmq write to a connection that was just reset, and abort the process (`!_io_error`).
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 10, 5, 3


class Keys:
    """The CURVE key pair that every host of a graph holds; who has no copy of it is not let in."""

    def __init__(self, folder: str) -> None:
        try:
            self.public, secret = zmq.auth.load_certificate(Path(folder) / "graph.key_secret")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"graph.keys is {folder!r}: no key pair there ({error}); "
                f"make one with `python tools/ctl.py keygen {folder}`"
            ) from None
        if secret is None:
            raise ConfigError(f"graph.keys is {folder!r}: graph.key_secret holds no secret key")
        self.secret = secret

    def bind_side(self, socket: zmq.Socket[bytes]) -> None:
        """Let in only who holds the key pair (the authenticator of the Context checks it)."""
        socket.curve_publickey, socket.curve_secretkey, socket.curve_server = self.public, self.secret, True
        socket.zap_domain = b"graph"

    def connect_side(self, socket: zmq.Socket[bytes]) -> None:
        """Show the key pair, and talk to nobody else who has not got it."""
        socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = self.public, self.secret, self.public


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


class Context:
    """The sockets of one process (or, over inproc, of all nodes in it)."""

    def __init__(self, keys: str = "") -> None:
        self.zmq = zmq.Context()
        self.zmq.set(zmq.MAX_SOCKETS, 4096)
        self.keys = Keys(keys) if keys else None
        self._authenticator: Any = None
        self._open: list[zmq.Socket[bytes]] = []  # held, so that none is collected before it is closed

    def socket(
        self,
        kind: int,
        *,
        bind: str = "",
        connect: str = "",
        queue: int,
        name: bytes = b"",
        public: bool = False,
    ) -> zmq.Socket[bytes]:
        """A socket with this project's options; ConfigError when the endpoint can't be bound.

        `public`: anybody may connect, and the endpoint is one that people choose, so another program may have it.
        """
        socket = self.zmq.socket(kind)
        self._open = [s for s in self._open if not s.closed] + [socket]
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = queue
        socket.maxmsgsize = PUBLIC_LIMIT_BYTES if public else SOCKET_LIMIT_BYTES
        socket.reconnect_ivl, socket.reconnect_ivl_max = 20, 500  # ms
        if name:
            socket.routing_id = name
        if kind == zmq.ROUTER:
            socket.router_mandatory = socket.router_handover = 1
        endpoint = bind or connect
        if public and bind.startswith("ipc://") and _is_listening(bind.removeprefix("ipc://")):
            socket.close()
            raise ConfigError(f"endpoint {bind} is in use by another program; stop that one or choose another path")
        if endpoint.startswith("tcp://"):
            socket.ipv6 = int("[" in endpoint)
            if public:
                socket.handshake_ivl, socket.backlog = HANDSHAKE_MS, BACKLOG
                socket.tcp_keepalive, socket.tcp_keepalive_cnt = 1, KEEPALIVE_PROBES
                socket.tcp_keepalive_idle, socket.tcp_keepalive_intvl = KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S
            else:
                socket.heartbeat_ivl, socket.heartbeat_timeout = 1000, 3000  # ms; a host that vanishes is noticed
            if self.keys:
                self._secure(socket, bool(bind))
        try:
            if bind:
                socket.bind(endpoint)
            else:
                socket.connect(endpoint)
        except zmq.ZMQError as error:
            socket.close()
            raise ConfigError(_why_not_bound(endpoint, error)) from None
        return socket

    def _secure(self, socket: zmq.Socket[bytes], bind: bool) -> None:
        assert self.keys
        if not bind:
            self.keys.connect_side(socket)
            return
        if self._authenticator is None:
            from zmq.auth.thread import ThreadAuthenticator

            self._authenticator = ThreadAuthenticator(self.zmq)
            self._authenticator.start()
            self._authenticator.configure_curve_callback("graph", credentials_provider=_OneKey(self.keys.public))
        self.keys.bind_side(socket)

    def close(self) -> None:
        """Close what is still open; never waits for unsent messages."""
        if self._authenticator is not None:
            self._authenticator.stop()
        self.zmq.destroy(linger=0)


class _OneKey:
    """CURVE's question whether a client may come in: only with the graph's own key."""

    def __init__(self, public: bytes) -> None:
        self.public = public

    def callback(self, domain: str, key: bytes) -> bool:
        return key == self.public  # both in Z85


def _is_listening(path: str) -> bool:
    """Whether a program takes connections at a unix socket; ZeroMQ would take the path away from it without a word."""
    with socketlib.socket(socketlib.AF_UNIX, socketlib.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:  # its backlog is full
            return True
        except OSError:
            return False
        return True


def _why_not_bound(endpoint: str, error: zmq.ZMQError) -> str:
    reason = {
        zmq.EADDRINUSE: "is in use by another program; stop that one or choose another port",
        zmq.EADDRNOTAVAIL: "is no address of this machine",
        errno.ENODEV: "is no address of this machine",
        errno.EACCES: "may not be bound by this user",
        errno.EPERM: "may not be bound by this user",
        errno.ENOENT: "lies in a folder that does not exist",
    }.get(error.errno or 0, f"can't be used ({error.strerror})")
    return f"endpoint {endpoint} {reason}"


class Waker:
    """Ends a Poller's sleep from another thread or a signal handler."""

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wake(self) -> None:
        """End the sleep, or the next one; never waits."""
        with contextlib.suppress(OSError):  # the pipe is full (it is awake) or closed
            os.write(self._write_fd, b"!")

    def drain(self) -> None:
        """Take the wakings that have come."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)


class Poller:
    """Waits for sockets and file descriptors at once."""

    def __init__(self) -> None:
        self._poller = zmq.Poller()

        self._things: dict[Any, Any] = {}  # socket or descriptor -> what is watched

    def watch(self, thing: Any, on: bool = True) -> None:
        """Watch (or no longer watch) a transport object or a file descriptor for input."""
        target = thing if isinstance(thing, int) else thing.socket
        if on and target not in self._things:
            self._things[target] = thing
            self._poller.register(target, zmq.POLLIN)
        elif not on and target in self._things:
            del self._things[target]
            self._poller.unregister(target)

    def wait(self, timeout_ms: int) -> list[Any]:
        """What is watched and has input, after at most `timeout_ms`."""
        return [self._things[target] for target, _ in self._poller.poll(timeout_ms)]
