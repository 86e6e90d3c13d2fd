"""Where zmq enters: a context with our socket options and CURVE keys, and the poller that waits for sockets."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from stream.errors import ConfigError
from stream.transport.gate import Gate
from stream.transport.keys import ROLES, AllowList, Keys, Role
from stream.transport.listening import connect_unseen, is_listening, short_folder, why_not_bound
from stream.transport.passing import Shelf
from stream.transport.relay import Allowance, Inside
from stream.transport.wire import MAX_ARRAY_BYTES

log = logging.getLogger(__name__)

# libzmq closes a connection without a word when a part of a message passes its limit. Ours lies above the largest array
# that is sent, so that what is too long is counted like everything malformed; what is far too long is never read.
SOCKET_LIMIT_BYTES = 2 * MAX_ARRAY_BYTES

HANDSHAKE_MS = 5000  # a client that has not said what it is by then is disconnected
INSIDE_BACKLOG = 512  # connections of a gate that wait to be accepted
# A host that vanishes is noticed by TCP. ZeroMQ's own heartbeats make libzmq abort the process when one falls due on a
# connection that has broken off while messages of it wait for room (`Assertion failed: !_io_error`).
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 1, 1, 3
UNACKNOWLEDGED_MS = 4000  # what was sent and is not acknowledged for so long: the host is gone
CLOSE_S = 5.0  # until libzmq has let go of all sockets, which takes milliseconds
LINGER_S = 0.5  # for the last bytes of public sockets


@dataclass(frozen=True)
class Refused:
    """How many were not let in."""

    keys: int = 0  # attempts to connect with a key that is not allowed there
    connections: int = 0  # for which there was no room

    def __add__(self, other: Refused) -> Refused:
        return Refused(self.keys + other.keys, self.connections + other.connections)

    def __sub__(self, other: Refused) -> Refused:
        return Refused(self.keys - other.keys, self.connections - other.connections)


class Context:
    """The sockets of one process (or, over inproc, of all nodes in it)."""

    def __init__(self, keys: str = "") -> None:
        self.zmq = zmq.Context()
        self.zmq.set(zmq.MAX_SOCKETS, 4096)
        self.keys = Keys(keys) if keys else None
        self.shelf = Shelf()  # of messages between nodes that share this context
        self._authenticator: Any = None
        self._allow_lists: list[AllowList] = []
        self._open: list[zmq.Socket[bytes]] = []  # held, so that none is collected before it is closed
        self._gates: dict[zmq.Socket[bytes], Gate] = {}  # of the public sockets
        self._more_gates: list[Gate] = []  # whose clients each have a socket of their own
        self._descriptors: list[int] = []  # by which their gates find them
        self._lock = threading.Lock()  # nodes in threads of this process open sockets at the same time
        self._refused_taken = Refused()

    def socket(
        self, kind: int, *, bind: str = "", connect: str = "", queue: int, name: bytes = b""
    ) -> zmq.Socket[bytes]:
        """A socket with this project's options; ConfigError when the endpoint can't be bound."""
        socket = self.open(kind, queue=queue)
        if name:
            socket.routing_id = name
        self.attach(socket, bind=bind, connect=connect)
        return socket

    def attach(self, socket: zmq.Socket[bytes], *, bind: str = "", connect: str = "") -> str:
        """Bind a socket to an endpoint, or connect it; the endpoint as bound. ConfigError, and the socket is closed."""
        endpoint = bind or connect
        if endpoint.startswith("tcp://"):
            socket.ipv6 = int("[" in endpoint)
            socket.tcp_keepalive, socket.tcp_keepalive_cnt = 1, KEEPALIVE_PROBES
            socket.tcp_keepalive_idle, socket.tcp_keepalive_intvl = KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S
            socket.tcp_maxrt = UNACKNOWLEDGED_MS
            if self.keys:
                self._secure(socket, bool(bind))
        try:
            if bind:
                socket.bind(endpoint)
            else:
                socket.connect(endpoint)
        except zmq.ZMQError as error:
            socket.close()
            raise ConfigError(why_not_bound(endpoint, error.errno, error.strerror)) from None
        return bound_endpoint(socket) if bind else endpoint

    def open(self, kind: int, *, queue: int) -> zmq.Socket[bytes]:
        """A socket that is bound and connected to nothing yet, for use within this host."""
        socket = self._make(kind, queue)
        with self._lock:
            self._open = [s for s in self._open if not s.closed] + [socket]
        return socket

    def public_socket(
        self, kind: int, endpoint: str, *, queue: int, limit_bytes: int, allowance: Allowance
    ) -> tuple[zmq.Socket[bytes], str]:
        """A socket that operators may connect to through a gate, and the endpoint as it was bound.

        `limit_bytes`: of one message that comes; memory is taken as soon as its length has come. ConfigError when the
        endpoint can't be bound: it is one that people choose, so another program may have it.
        """
        if endpoint.startswith("inproc://"):  # nobody outside this process
            return self.socket(kind, bind=endpoint, queue=queue), endpoint
        self._refuse_in_use(endpoint)
        socket = self._make_public(kind, endpoint, queue, limit_bytes, "operator")
        try:
            path = _bind_unseen(socket)
            self._descriptors.append(path)
            gate = Gate(endpoint, lambda: Inside(connect_unseen(path)), allowance)
        except (OSError, zmq.ZMQError) as error:
            socket.close()
            raise ConfigError(why_not_bound(endpoint, error.errno, error.strerror)) from None
        self._gates[socket] = gate
        return socket, gate.endpoint

    def gate(
        self, kind: int, endpoint: str, members: Members, *, queue: int, limit_bytes: int, allowance: Allowance
    ) -> Gate:
        """A gate that gives each viewer a socket of its own, which joins the `members`; ConfigError as above."""
        self._refuse_in_use(endpoint)
        if endpoint.startswith("tcp://"):
            self._check_keys()

        def connect() -> Inside:
            try:
                socket = self._make_public(kind, endpoint, queue, limit_bytes, "viewer")
                path = _bind_unseen(socket)
                try:
                    inside = connect_unseen(path)
                finally:
                    os.close(path)
            except zmq.ZMQError as error:
                raise OSError(error.errno, error.strerror) from None
            members.joined.append(socket)
            return Inside(inside, lambda: members.left.append(socket))

        try:
            gate = Gate(endpoint, connect, allowance)
        except OSError as error:
            raise ConfigError(why_not_bound(endpoint, error.errno, error.strerror)) from None
        self._more_gates.append(gate)
        return gate

    def _refuse_in_use(self, endpoint: str) -> None:
        if endpoint.startswith("ipc://") and is_listening(endpoint.removeprefix("ipc://")):
            raise ConfigError(f"endpoint {endpoint} is in use by another program; stop that one or choose another path")

    def _make_public(self, kind: int, endpoint: str, queue: int, limit_bytes: int, role: Role) -> zmq.Socket[bytes]:
        socket = self._make(kind, queue)
        socket.maxmsgsize = limit_bytes
        socket.handshake_ivl, socket.backlog = HANDSHAKE_MS, INSIDE_BACKLOG
        if endpoint.startswith("tcp://") and self.keys:
            self._secure(socket, bind=True, role=role)
        return socket

    def _make(self, kind: int, queue: int) -> zmq.Socket[bytes]:
        socket = self.zmq.socket(kind)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = queue
        socket.maxmsgsize = SOCKET_LIMIT_BYTES
        socket.reconnect_ivl, socket.reconnect_ivl_max = 20, 500  # ms
        if kind == zmq.ROUTER:
            socket.router_mandatory = socket.router_handover = 1
        return socket

    def close_public(self, socket: zmq.Socket[bytes], wait_ms: int) -> None:
        """Close a public socket once its last messages are out, or after `wait_ms`; nobody is let in any more."""
        if socket in self._gates:
            self._gates[socket].close()
        socket.close(linger=wait_ms)

    def _secure(self, socket: zmq.Socket[bytes], bind: bool, role: Role = "graph") -> None:
        assert self.keys
        if bind:
            self._check_keys()
            self.keys.bind_side(socket, role)
        else:
            self.keys.connect_side(socket)

    def _check_keys(self) -> None:
        """Have the keys of clients checked from now on."""
        with self._lock:
            if self.keys is None or self._authenticator is not None:
                return
            from zmq.auth.thread import ThreadAuthenticator

            self._authenticator = ThreadAuthenticator(self.zmq)
            self._authenticator.start()
            for role in ROLES:
                allow_list = AllowList(self.keys, role)
                self._allow_lists.append(allow_list)
                self._authenticator.configure_curve_callback(role, credentials_provider=allow_list)

    @property
    def refused(self) -> Refused:
        """Who was not let in, until now."""
        return Refused(
            keys=sum(allow_list.refused for allow_list in self._allow_lists),
            connections=sum(gate.refused for gate in [*self._gates.values(), *self._more_gates]),
        )

    def take_refused(self) -> Refused:
        """Who was not let in since this was asked last: of several nodes in a process, one counts each refusal."""
        with self._lock:
            taken, self._refused_taken = self._refused_taken, self.refused
            return self._refused_taken - taken

    def close(self) -> None:
        """Close what is still open; only the last messages of public sockets are waited for, and not for long."""
        if self._authenticator is not None:
            self._authenticator.stop()
        gates = [*self._gates.values(), *self._more_gates]
        for gate in gates:
            gate.close()
        self._destroy()
        for gate in gates:
            gate.join(LINGER_S)
        self._gates.clear()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()

    def _destroy(self) -> None:
        """Close every socket, and wait for libzmq to let go of them: for ever, were there one that nobody closes.

        So a thread waits, which ends with the process.
        """
        thread = threading.Thread(target=lambda: self.zmq.destroy(linger=0), name="sockets-close", daemon=True)
        thread.start()
        thread.join(CLOSE_S)
        if thread.is_alive():
            log.warning("sockets were not closed within %g s; they end with the process", CLOSE_S)


@dataclass
class Members:
    """Sockets of a gate's clients, one each; filled by its thread, taken by the one that sends."""

    joined: deque[zmq.Socket[bytes]] = field(default_factory=deque)
    left: deque[zmq.Socket[bytes]] = field(default_factory=deque)


def bound_endpoint(socket: zmq.Socket[bytes]) -> str:
    """Where a socket was bound last: with the port that the system has chosen."""
    return bytes(socket.getsockopt(zmq.LAST_ENDPOINT)).decode().rstrip("\0")


def _bind_unseen(socket: zmq.Socket[bytes]) -> int:
    """Bind a socket where nobody else finds it: a unix socket without a name; the descriptor of its file.

    OSError or ZMQError where that fails.
    """
    folder = Path(tempfile.mkdtemp(prefix="sam-pt-live-gate-", dir=short_folder()))
    try:
        socket.bind(f"ipc://{folder}/s")
        return os.open(folder / "s", os.O_PATH | os.O_CLOEXEC)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
