"""A few thousand malformed messages for every parser; `make load` feeds a million."""

from __future__ import annotations

from fuzz import fuzzer

COUNT = 6000


def test_every_parser_takes_or_refuses_whatever_comes_and_memory_stays_flat():
    outcome = fuzzer.run(COUNT, seed=1)
    names = [receiver.name for receiver in fuzzer.receivers()]
    assert all(outcome.taken[name] + outcome.refused[name] >= COUNT // len(names) for name in names)
    assert all(outcome.refused[name] > 0 for name in names)
    assert outcome.grown_mb < 30


def test_every_parser_takes_its_valid_messages():
    for receiver in fuzzer.receivers():
        if receiver.name not in ("stamps of messages", "control"):  # which nobody asked for; which need each other
            for parts in receiver.seeds:
                receiver.take(parts)
