"""Connections that have not been let in yet, in; whose turn it is, out. Peers take turns, so that none fills it alone.

A connection first says something, and then waits for its turn: of each peer the oldest first. Who has broken off takes
no turn. So a client waits as long as others of its own peer do that stay, and hardly longer for those of other peers.
"""

from __future__ import annotations

import select
import socket as socketlib
from collections import Counter, OrderedDict
from dataclasses import dataclass

PEERS = 1024  # whose last turn is remembered


@dataclass
class Waiting:
    """A connection that waits."""

    connection: socketlib.socket
    peer: str  # who it comes from
    since_s: float
    spoke: bool = False  # it has said something


class WaitingRoom:
    """At most so many connections. It closes none: what it gives back is to be closed, or let in."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[int, Waiting] = {}  # by descriptor, the oldest first
        self._turns: OrderedDict[str, int] = OrderedDict()  # the number of each peer's last turn
        self._turn = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, fd: int) -> bool:
        return fd in self._waiting

    def add(self, connection: socketlib.socket, peer: str, now_s: float) -> list[socketlib.socket]:
        """Let a connection wait; the ones that give way to it, or itself where none does."""
        gone = self._take_broken() if len(self._waiting) >= self._most else []
        self._waiting[connection.fileno()] = Waiting(connection, peer, now_s)
        if len(self._waiting) > self._most:
            gone.append(self._remove(self._superfluous()))
        return gone

    def speaks(self, fd: int) -> None:
        """A connection has said something: now it waits for its turn."""
        self._waiting[fd].spoke = True

    def take_next(self) -> socketlib.socket | None:
        """The connection whose turn it is; None where nobody waits for one."""
        oldest: dict[str, int] = {}
        for fd, w in self._waiting.items():
            if w.spoke:
                oldest.setdefault(w.peer, fd)
        if not oldest:
            return None
        peer = min(oldest, key=lambda p: self._turns.get(p, -1))
        return self._remove(oldest[peer])

    def had_turn(self, peer: str) -> None:
        """A connection of that peer was let in: the others come first now."""
        self._turn += 1
        self._turns[peer] = self._turn
        self._turns.move_to_end(peer)
        if len(self._turns) > PEERS:
            self._turns.popitem(last=False)

    def take_old(self, now_s: float, mute_s: float, waiting_s: float) -> list[socketlib.socket]:
        """Those that have said nothing for `mute_s`, or waited for `waiting_s`."""
        old = [fd for fd, w in self._waiting.items() if now_s - w.since_s >= (waiting_s if w.spoke else mute_s)]
        return [self._remove(fd) for fd in old]

    def take_all(self) -> list[socketlib.socket]:
        """All of them."""
        return [self._remove(fd) for fd in list(self._waiting)]

    def _take_broken(self) -> list[socketlib.socket]:
        """Those that have broken off."""
        poll = select.poll()
        for fd in self._waiting:
            poll.register(fd, select.POLLRDHUP)
        return [self._remove(fd) for fd, _ in poll.poll(0)]

    def _superfluous(self) -> int:
        """Who gives way in a full room: of the peer with the most, who has been mute for longest, else the newest."""
        count = Counter(w.peer for w in self._waiting.values())
        largest = max(count, key=lambda peer: count[peer])
        of_peer = [(fd, w) for fd, w in self._waiting.items() if w.peer == largest]
        return next((fd for fd, w in of_peer if not w.spoke), of_peer[-1][0])

    def _remove(self, fd: int) -> socketlib.socket:
        return self._waiting.pop(fd).connection


def has_broken_off(connection: socketlib.socket) -> bool:
    """Whether the other side has closed a connection, or its machine is gone."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))
