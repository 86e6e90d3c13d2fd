from itertools import pairwise

import pytest

from stream.topology import Delivery
from stream.transport.begin_times import LONGEST_S, READY_BEFORE_S, REMEMBERED, BeginTimes
from stream.transport.credit import ReaderCredit, WriterCredit


def run(writer_s: float, reader_s: float, *, period_s: float = 0.0, messages: int = 40) -> list[tuple[float, float]]:
    """(age of each message when it is taken, when it is taken) of a writer and a reader with such steps."""
    times, reader_free_s, now_s, taken = BeginTimes(), 0.0, 0.0, []
    for i in range(messages):
        begun_s = max(now_s + max(0.0, times.left_s(now_s)), i * period_s)
        ready_s = begun_s + writer_s
        wanted_s, taken_s = reader_free_s, max(reader_free_s, ready_s)
        for _, act, at_s in sorted(
            [(wanted_s, times.wanted, wanted_s), (ready_s, times.ready, ready_s)], key=lambda e: e[0]
        ):
            act(at_s)
        times.taken(taken_s)
        taken.append((taken_s - begun_s, taken_s))
        now_s, reader_free_s = taken_s, taken_s + reader_s
    return taken


def test_a_writer_that_is_faster_than_its_reader_begins_later_and_costs_no_rate():
    taken = run(0.01, 0.05)
    assert taken[4][0] == pytest.approx(0.05), "it waits for its reader at first"
    assert taken[-1][0] == pytest.approx(0.01 + READY_BEFORE_S)
    assert all(after - before == pytest.approx(0.05) for (_, before), (_, after) in pairwise(taken[2:]))


@pytest.mark.parametrize(("writer_s", "reader_s"), [(0.05, 0.01), (0.03, 0.031)])
def test_a_writer_that_is_slower_or_as_fast_begins_at_once(writer_s: float, reader_s: float):
    assert all(age <= max(writer_s, reader_s) + 1e-9 for age, _ in run(writer_s, reader_s))


def test_a_reader_that_waits_for_the_feed_finds_nothing_held_back():
    assert all(age == pytest.approx(0.01) for age, _ in run(0.01, 0.02, period_s=0.04)[1:])


def test_no_writer_waits_without_end():
    assert run(0.01, 5.0)[-1][0] >= 5.0 - LONGEST_S - 0.01


def test_a_paced_writer_is_full_until_it_is_time_to_begin():
    now = [0.0]
    writer = WriterCredit[str](b"writer00", Delivery.PACED, 1, clock=lambda: now[0])
    reader = ReaderCredit()
    for _ in range(REMEMBERED + 1):
        writer.offer("message")
        now[0] += 0.05  # the reader is busy
        writer.requested(reader.request(1))
        answer = writer.next()
        assert answer is not None
        reader.came(answer[0])
    assert writer.full
    assert writer.early_s == pytest.approx(0.05 - READY_BEFORE_S)
    now[0] += 0.05
    assert not writer.full


def test_a_lossless_writer_is_never_held_back():
    now = [0.0]
    writer = WriterCredit[str](b"writer00", Delivery.LOSSLESS, 1, clock=lambda: now[0])
    reader = ReaderCredit()
    for _ in range(REMEMBERED + 1):
        writer.offer("message")
        now[0] += 0.05
        writer.requested(reader.request(1))
        answer = writer.next()
        assert answer is not None
        reader.came(answer[0])
        assert not writer.full
