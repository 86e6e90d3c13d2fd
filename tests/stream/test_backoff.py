"""The waits between attempts."""

from __future__ import annotations

import random

import pytest

from stream.backoff import Backoff


def test_waits_double_up_to_the_longest():
    backoff = Backoff(0.5, 30.0, 0.0, 30.0)
    assert [backoff.next_wait() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_jitter_stays_within_its_share_and_does_not_add_up():
    backoff = Backoff(0.5, 30.0, 0.2, 30.0, random.Random(7))
    waits = [backoff.next_wait() for _ in range(400)]
    assert waits[3] == pytest.approx(4, rel=0.2)
    late = waits[6:]
    assert min(late) >= 24
    assert max(late) <= 36
    assert max(late) - min(late) > 10  # it does jitter


def test_two_cameras_do_not_come_back_at_the_same_moment():
    assert Backoff(0.5, 30, 0.2, 30).next_wait() != Backoff(0.5, 30, 0.2, 30).next_wait()


def test_a_healthy_connection_starts_the_waits_anew():
    backoff = Backoff(0.5, 30.0, 0.0, 30.0)
    assert [backoff.next_wait() for _ in range(3)] == [0.5, 1, 2]
    backoff.healthy(29.9)
    assert backoff.next_wait() == 4
    backoff.healthy(30.0)
    assert backoff.next_wait() == 0.5
