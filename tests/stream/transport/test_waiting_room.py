"""Who is let in next, and who gives way, where more connections come than can be let in."""

from __future__ import annotations

import socket

import pytest

from stream.transport.waiting_room import WaitingRoom, has_broken_off


class Crowd:
    """A room, and connections that come to it by name."""

    def __init__(self, most: int) -> None:
        self.room = WaitingRoom(most)
        self.ends: dict[str, tuple[socket.socket, socket.socket]] = {}
        self.names: dict[int, str] = {}

    def come(self, name: str, peer: str, now_s: float = 0.0, *, mute: bool = False) -> list[str]:
        """A connection comes; the names of those that give way."""
        self.ends[name] = socket.socketpair()
        here = self.ends[name][0]
        self.names[here.fileno()] = name
        gone = [self.names[c.fileno()] for c in self.room.add(here, peer, now_s)]
        if not mute and name not in gone:
            self.room.speaks(here.fileno())
        return gone

    def break_off(self, name: str) -> None:
        self.ends[name][1].close()

    def next(self, peer: str = "") -> str | None:
        """The name of the next; its peer has had its turn."""
        connection = self.room.take_next()
        if connection is None:
            return None
        if peer:
            self.room.had_turn(peer)
        return self.names[connection.fileno()]


@pytest.fixture
def crowd():
    crowds = []

    def make(most):
        crowds.append(Crowd(most))
        return crowds[-1]

    yield make
    for c in crowds:
        for pair in c.ends.values():
            for end in pair:
                end.close()


def test_of_one_peer_the_oldest_that_has_said_something_is_next(crowd):
    c = crowd(8)
    for name, mute in (("a", True), ("b", False), ("c", False)):
        c.come(name, "host", mute=mute)
    assert [c.next("host"), c.next("host"), c.next("host")] == ["b", "c", None]


def test_peers_take_turns_whatever_the_number_that_they_send(crowd):
    c = crowd(64)
    for i in range(30):
        c.come(f"flood {i}", "flood")
    assert c.next("flood") == "flood 0"
    c.come("honest", "other")
    assert c.next("other") == "honest"
    assert c.next("flood") == "flood 1"


def test_a_full_room_is_made_by_the_peer_with_the_most(crowd):
    c = crowd(4)
    assert [c.come(f"flood {i}", "flood", mute=i == 1) for i in range(4)] == [[]] * 4
    assert c.come("honest", "other") == ["flood 1"], "the mute one first"
    assert c.come("honest 2", "other") == ["flood 3"], "then the newest"
    assert c.come("flood 4", "flood") == ["flood 4"], "who comes last to a full room goes, among equals"
    assert len(c.room) == 4


def test_connections_that_have_broken_off_give_way_first(crowd):
    c = crowd(3)
    for name in ("a", "b", "c"):
        c.come(name, "host")
    c.break_off("b")
    assert c.come("d", "host") == ["b"]
    assert has_broken_off(c.ends["b"][0])
    assert not has_broken_off(c.ends["d"][0])


def test_who_says_nothing_waits_for_less_long(crowd):
    c = crowd(4)
    c.come("mute", "host", 0.0, mute=True)
    c.come("waiting", "host", 0.0)
    c.come("new", "host", 4.0, mute=True)
    assert [c.names[x.fileno()] for x in c.room.take_old(5.0, mute_s=5.0, waiting_s=60.0)] == ["mute"]
    assert [c.names[x.fileno()] for x in c.room.take_old(60.0, mute_s=5.0, waiting_s=60.0)] == ["waiting", "new"]
