"""Who subscribes to what, as a Broadcast remembers it."""

from __future__ import annotations

from stream.transport.subscriptions import PREFIXES, Subscriptions


def test_a_prefix_covers_what_begins_so_until_its_last_client_is_gone():
    subscriptions = Subscriptions()
    subscriptions.add("wall", b"masks/")
    subscriptions.add("phone", b"masks/")
    subscriptions.add("phone", b"masks/")
    assert subscriptions.cover(b"masks/door")
    assert not subscriptions.cover(b"masks")
    assert not subscriptions.cover(b"status/door")
    subscriptions.leave("phone")
    assert subscriptions.cover(b"masks/door")
    subscriptions.remove("wall", b"masks/")
    subscriptions.remove("wall", b"masks/")
    assert not subscriptions.cover(b"masks/door")
    assert len(subscriptions) == 0


def test_the_empty_prefix_covers_everything():
    subscriptions = Subscriptions()
    subscriptions.add("wall", b"")
    assert subscriptions.cover(b"events/door")


def test_a_client_with_more_topics_than_are_remembered_misses_none_of_them():
    subscriptions = Subscriptions()
    for number in range(2 * PREFIXES):
        subscriptions.add("control room", f"masks/camera-{number:03}".encode())
    assert subscriptions.cover(f"masks/camera-{2 * PREFIXES - 1:03}".encode())
    assert len(subscriptions) == PREFIXES
    subscriptions.leave("control room")
    assert not subscriptions.cover(b"masks/camera-000")
