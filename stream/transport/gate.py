"""The gate of a public socket: lets clients in, and relays bytes between each of them and a ZeroMQ socket of ours.

libzmq ends the whole process (`Assertion failed: !_io_error`) when a connection breaks off whose requests wait for room
in a queue, and a heartbeat of either side comes then. Clients choose when they break off and send heartbeats, so none
is connected to libzmq itself. What it sees are connections that end in order: when a client is gone, its half is shut,
and the rest once libzmq has read to the end. Nothing here reads what is relayed, so it may be encrypted (CURVE).

The gate also bounds what one client takes: connections, and bytes a second (by not reading on; nothing is lost).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket as socketlib
import threading
import time
from collections import deque
from collections.abc import Callable

from stream.transport.descriptors import free_descriptors
from stream.transport.listening import address_of, keep_alive, listen_at_address, listen_at_path
from stream.transport.relay import Allowance, Bucket, Inside, Relay

log = logging.getLogger(__name__)

DESCRIPTORS_A_CLIENT = 6  # its connection, the two ends of the relay, and those of a ZeroMQ socket of its own
DESCRIPTORS_APART = 48  # stay free for files, pipes and the sockets of the graph
GATES = 3  # of a process at most: control, and with a port that the system chooses two for masks
MUTE_S = 5.0  # how long a client may say nothing at first
GREETING_BYTES = 64  # of ZMTP: who has sent less has not even begun
ACCEPT_PAUSE_S = 0.5  # when no descriptor is left
TICK_S = 0.05  # how often is looked at who may send again


class Gate:
    """Accepts clients at an endpoint, in a thread of its own, until it is closed."""

    def __init__(self, endpoint: str, connect_inside: Callable[[], Inside], allowance: Allowance) -> None:
        """OSError where the endpoint can't be bound. The thread calls `connect_inside` for each client."""
        self.refused = 0  # clients that found no room
        self._connect_inside = connect_inside
        self._allowance = allowance
        room = (free_descriptors() - DESCRIPTORS_APART) // DESCRIPTORS_A_CLIENT // GATES
        self._most = max(1, min(allowance.clients, room))  # fewer where descriptors are scarce
        self._path = endpoint.removeprefix("ipc://") if endpoint.startswith("ipc://") else ""
        self._listener = listen_at_path(self._path) if self._path else listen_at_address(endpoint)
        self.endpoint = endpoint if self._path else f"tcp://{address_of(self._listener)}"
        self._mute: dict[int, tuple[socketlib.socket, float]] = {}  # clients that have sent nothing, and since when
        self._joins = Bucket(self._most, allowance.joins_per_s, time.monotonic())
        self._queue: deque[socketlib.socket] = deque()  # clients that have said something, and wait to be let in
        self._clients: dict[int, Relay] = {}  # by either descriptor
        self._throttled: set[Relay] = set()  # who has to wait until it may send more
        self._selector = selectors.DefaultSelector()
        self._wake_fd, self._waker_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_fd, selectors.EVENT_READ)
        self._lock = threading.Lock()  # held while a client is let in
        self._listening = True
        self._closing = False
        self._accept_again_s = 0.0
        self._end_s = float("inf")  # when the thread ends at the latest
        self._thread = threading.Thread(target=self._run, name=f"{threading.current_thread().name}-gate", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept nobody any more."""
        with self._lock:
            self._listening = False
        self._wake()

    def join(self, wait_s: float) -> None:
        """Close, and wait for the last bytes of our socket, which is closed by now, to reach the clients."""
        self._end_s, self._closing = time.monotonic() + wait_s, True
        self.close()
        self._thread.join(wait_s + 1.0)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._waker_fd, b"!")

    def _run(self) -> None:
        try:
            while time.monotonic() < self._end_s and not (self._closing and not self._clients):
                now_s = time.monotonic()
                self._watch_listener(now_s)
                for client in list(self._throttled):
                    self._watch_client(client, now_s)
                self._drop_mute(now_s)
                self._serve_queue(now_s)
                waits = self._throttled or self._mute or self._closing or now_s < self._accept_again_s
                self._serve(self._selector.select(TICK_S if waits else None))
        finally:
            for client in set(self._clients.values()):
                client.close()
            for outside, _ in self._mute.values():
                outside.close()
            self._unlisten()
            self._selector.close()
            os.close(self._wake_fd)
            os.close(self._waker_fd)

    def _watch_listener(self, now_s: float) -> None:
        if not self._listening:
            self._unlisten()
        elif self._listener.fileno() >= 0:
            self._watch(self._listener.fileno(), selectors.EVENT_READ if now_s >= self._accept_again_s else 0)

    def _unlisten(self) -> None:
        if self._listener.fileno() < 0:
            return
        self._watch(self._listener.fileno(), 0)
        self._listener.close()
        if self._path:
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _watch_client(self, client: Relay, now_s: float) -> None:
        """Wait for what the client can do now; one that has sent too much is looked at again soon."""
        outside, inside = client.interests(now_s)
        self._watch(client.outside.fileno(), outside)
        self._watch(client.inside.fileno(), inside)
        if client.ended or client.inbound or outside & selectors.EVENT_READ:
            self._throttled.discard(client)
        else:
            self._throttled.add(client)

    def _watch(self, fd: int, events: int) -> None:
        key = self._selector.get_map().get(fd)
        if key is None:
            if events:
                self._selector.register(fd, events)
        elif not events:
            self._selector.unregister(fd)
        elif key.events != events:
            self._selector.modify(fd, events)

    def _serve(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        now_s = time.monotonic()
        for key, events in ready:
            if key.fd == self._wake_fd:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_fd, 4096)
            elif key.fd == self._listener.fileno():
                self._accept(now_s)
            elif key.fd in self._mute:
                self._watch(key.fd, 0)
                self._queue.append(self._mute[key.fd][0])
            elif (client := self._clients.get(key.fd)) is not None:
                self._relay(client, key.fd, events, now_s)

    def _relay(self, client: Relay, fd: int, events: int, now_s: float) -> None:
        if fd == client.outside.fileno():
            if events & selectors.EVENT_WRITE:
                client.write_client()
            if events & selectors.EVENT_READ:
                client.read_client(now_s)
        else:
            if events & selectors.EVENT_WRITE:
                client.write_inside()
            if events & selectors.EVENT_READ and not client.outbound and not client.read_inside():
                self._drop(client)
                return
        self._watch_client(client, now_s)

    def _drop(self, client: Relay) -> None:
        """Close a client's connection; our socket has closed its own."""
        for fd in (client.outside.fileno(), client.inside.fileno()):
            self._watch(fd, 0)
            del self._clients[fd]
        self._throttled.discard(client)
        client.close()

    def _accept(self, now_s: float) -> None:
        try:
            outside, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._accept_again_s = now_s + ACCEPT_PAUSE_S
                self._refuse(os.strerror(error.errno))
            return
        outside.setblocking(False)
        if len(self._mute) >= self._most:  # the one that has been mute for longest gives way
            self._forget_mute(next(iter(self._mute))).close()
        self._mute[outside.fileno()] = outside, now_s
        self._watch(outside.fileno(), selectors.EVENT_READ)

    def _drop_mute(self, now_s: float) -> None:
        """Close the connections that have been mute for too long."""
        for fd, (outside, since_s) in list(self._mute.items()):
            if now_s - since_s < MUTE_S:
                return
            self._forget_mute(fd)
            outside.close()

    def _forget_mute(self, fd: int) -> socketlib.socket:
        self._watch(fd, 0)
        return self._mute.pop(fd)[0]

    def _serve_queue(self, now_s: float) -> None:
        """Let in who waits, the first first, as often as may be; a socket of its own costs some milliseconds."""
        while self._queue and self._joins.left(now_s) >= 1:
            outside = self._queue.popleft()
            if outside.fileno() < 0:  # it gave way, or waited for too long
                continue
            self._forget_mute(outside.fileno())
            if outside.getsockopt(socketlib.SOL_SOCKET, socketlib.SO_ERROR):  # it has broken off meanwhile
                outside.close()
                continue
            self._joins.take(1)
            self._let_in(outside, now_s)

    def _let_in(self, outside: socketlib.socket, now_s: float) -> None:
        """Connect a client to a socket of ours."""
        if not self._has_room() and not self._evict():
            outside.close()
            self._refuse(f"{self._most} are connected, which is the most")
            return
        try:
            if not self._path:
                keep_alive(outside)
            with self._lock:
                if not self._listening:
                    raise OSError(errno.ESHUTDOWN, os.strerror(errno.ESHUTDOWN))
                inside = self._connect_inside()
        except OSError as error:
            outside.close()
            self._refuse(os.strerror(error.errno or 0))
            return
        client = Relay(outside, inside, self._allowance, now_s)
        self._clients[outside.fileno()] = self._clients[client.inside.fileno()] = client
        client.read_client(now_s)
        self._watch_client(client, now_s)

    def _has_room(self) -> bool:
        """Whether one more may come; clients that are gone do not count while our sockets still read to their end."""
        clients = set(self._clients.values())
        there = sum(not client.ended for client in clients)
        return there < self._most and len(clients) < self._most + self._most // 4 + 1

    def _evict(self) -> bool:
        """Make room: close the oldest connection whose client has not even greeted to the end."""
        mute = next((c for c in self._clients.values() if c.received < GREETING_BYTES and not c.ended), None)
        if mute is None:
            return False
        self._drop(mute)
        return True

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        log.warning(
            "%s: a client was refused (%d so far): %s; close connections that are not needed, or raise the limit of "
            "open files (ulimit -n)",
            self.endpoint,
            self.refused,
            reason,
            extra={"once_key": f"refused at {self.endpoint}"},
        )
