"""The gate of a public socket: lets clients in, and relays bytes between each of them and a ZeroMQ socket of ours.

libzmq ends the whole process (`Assertion failed: !_io_error`) when a connection breaks off whose requests wait for room
in a queue, and a heartbeat of either side comes then. Clients choose when they break off and send heartbeats, so none
is connected to libzmq itself. What it sees are connections that end in order: when a client is gone, its half is shut,
and the rest once libzmq has read to the end. Nothing here reads what is relayed, so it may be encrypted (CURVE).

The gate also bounds what one client takes: connections, and bytes a second (by not reading on; nothing is lost). Where
too many come, those who come from different places take turns, and each place has its share of the connections.
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
from collections import Counter
from collections.abc import Callable

from stream.bucket import Bucket
from stream.transport.descriptors import free_descriptors
from stream.transport.listening import address_of, keep_alive, listen_at_address, listen_at_path, peer_of
from stream.transport.relay import Allowance, Inside, Relay
from stream.transport.waiting_room import WaitingRoom, has_broken_off

log = logging.getLogger(__name__)

DESCRIPTORS_A_CLIENT = 6  # its connection, the two ends of the relay, and those of a ZeroMQ socket of its own
DESCRIPTORS_APART = 48  # stay free for files, pipes and the sockets of the graph
GATES = 3  # of a process at most: control, and with a port that the system chooses two for masks
WAITING = 512  # connections that wait to be let in, at most
MUTE_S = 5.0  # how long a client may say nothing at first
WAITING_S = 60.0  # how long one waits for its turn
ACCEPTED_AT_ONCE = 64
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
        room = (free_descriptors() - DESCRIPTORS_APART) // GATES
        self._most = max(1, min(allowance.clients, room // DESCRIPTORS_A_CLIENT))  # fewer where descriptors are scarce
        self._waiting = WaitingRoom(max(self._most, min(WAITING, room - DESCRIPTORS_A_CLIENT * self._most)))
        self._path = endpoint.removeprefix("ipc://") if endpoint.startswith("ipc://") else ""
        self._listener = listen_at_path(self._path) if self._path else listen_at_address(endpoint)
        self.endpoint = endpoint if self._path else f"tcp://{address_of(self._listener)}"
        self._joins = Bucket(self._most, allowance.joins_per_s, time.monotonic())
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
                self._drop_old(now_s)
                self._serve_waiting(now_s)
                waits = self._throttled or len(self._waiting) or self._closing or now_s < self._accept_again_s
                self._serve(self._selector.select(TICK_S if waits else None))
        finally:
            for client in set(self._clients.values()):
                client.close()
            for outside in self._waiting.take_all():
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
            elif key.fd in self._waiting:
                self._watch(key.fd, 0)
                self._waiting.speaks(key.fd)
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
        """Let those wait that have come."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                outside, _ = self._listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._accept_again_s = now_s + ACCEPT_PAUSE_S
                    self._refuse(os.strerror(error.errno))
                return
            outside.setblocking(False)
            self._watch(outside.fileno(), selectors.EVENT_READ)
            for gone in self._waiting.add(outside, peer_of(outside), now_s):
                self._close_waiting(gone)

    def _close_waiting(self, outside: socketlib.socket) -> None:
        self._watch(outside.fileno(), 0)
        outside.close()

    def _drop_old(self, now_s: float) -> None:
        """Close the connections that have been mute, or waiting, for too long."""
        for outside in self._waiting.take_old(now_s, MUTE_S, WAITING_S):
            self._close_waiting(outside)

    def _serve_waiting(self, now_s: float) -> None:
        """Let in who waits, in turn, as often as may be; a socket of its own costs some milliseconds."""
        while self._joins.left(now_s) >= 1 and (outside := self._waiting.take_next()) is not None:
            if has_broken_off(outside):
                outside.close()
                continue
            self._joins.take(1)
            self._let_in(outside, now_s)

    def _let_in(self, outside: socketlib.socket, now_s: float) -> None:
        """Connect a client to a socket of ours."""
        peer = peer_of(outside)
        self._waiting.had_turn(peer)
        if not self._has_room() and not self._evict(peer):
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
        client = Relay(outside, inside, self._allowance, now_s, peer)
        self._clients[outside.fileno()] = self._clients[client.inside.fileno()] = client
        client.read_client(now_s)
        self._watch_client(client, now_s)

    def _has_room(self) -> bool:
        """Whether one more may come; clients that are gone do not count while our sockets still read to their end."""
        clients = set(self._clients.values())
        there = sum(not client.ended for client in clients)
        return there < self._most and len(clients) < self._most + self._most // 4 + 1

    def _evict(self, peer: str) -> bool:
        """Make room for a client of that peer: close the oldest connection whose client has not greeted to the end.

        Where there is none: the newest one of the peer with the most, unless this one would have as many then.
        """
        clients = [c for c in dict.fromkeys(self._clients.values()) if not c.ended]
        chosen = next((c for c in clients if c.received < GREETING_BYTES), None)
        if chosen is None and clients:
            count = Counter(c.peer for c in clients)
            largest = max(count, key=lambda p: count[p])
            if count[largest] > count[peer] + 1:
                chosen = next(c for c in reversed(clients) if c.peer == largest)
        if chosen is None:
            return False
        self._drop(chosen)
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
