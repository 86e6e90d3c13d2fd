from __future__ import annotations

from itertools import permutations

import pytest

from stream.errors import MessageError
from stream.topology import Delivery
from stream.transport.credit import ReaderCredit, WriterCredit, new_incarnation


def writer(delivery=Delivery.EVERY, depth=3):
    return WriterCredit(new_incarnation(), delivery, 1 if delivery is Delivery.NEWEST else depth)


def drain(queue, reader):
    """Everything that may be sent now, as the reader sees it."""
    came = []
    while (item := queue.next()) is not None:
        reader.came(item[0], message=item[1] is not None)
        if item[1] is not None:
            came.append(item[1])
    return came


def test_nothing_is_sent_before_it_is_asked_for():
    queue, reader = writer(), ReaderCredit()
    queue.offer("a")
    assert queue.next() is None
    queue.requested(reader.request(1))
    assert drain(queue, reader) == ["a"]


def test_a_slow_reader_of_the_newest_gets_the_newest():
    queue, reader = writer(Delivery.NEWEST), ReaderCredit()
    for i in range(10):
        queue.offer(i)
    queue.requested(reader.request(1))
    assert drain(queue, reader) == [9]
    assert queue.dropped == 9


def test_a_bounded_queue_drops_the_oldest_and_counts_them():
    queue, reader = writer(depth=3), ReaderCredit()
    for i in range(5):
        queue.offer(i)
    queue.requested(reader.request(10))
    assert drain(queue, reader) == [2, 3, 4]
    assert queue.dropped == 2


def test_a_lossless_queue_drops_nothing_and_says_that_it_is_full():
    queue, reader = writer(Delivery.LOSSLESS, depth=2), ReaderCredit()
    for i in range(3):
        queue.offer(i)
    assert queue.full
    queue.requested(reader.request(2))
    assert drain(queue, reader) == [0, 1]
    assert not queue.full
    queue.requested(reader.request(2))
    assert drain(queue, reader) == [2]


def test_the_last_message_never_pushes_out_the_one_before_it():
    queue, reader = writer(Delivery.NEWEST), ReaderCredit()
    queue.offer("frame")
    queue.offer("end", last=True)
    queue.requested(reader.request(2))
    assert drain(queue, reader) == ["frame", "end"]


def test_every_incarnation_of_a_reader_is_told_of_the_end():
    queue, old, new = writer(Delivery.LOSSLESS), ReaderCredit(), ReaderCredit()
    queue.requested(old.request(3))
    queue.offer("end", last=True)
    assert drain(queue, old) == ["end"]  # and then it was killed, before it could pass it on
    queue.requested(new.request(3))
    assert drain(queue, new) == ["end"]


def test_asking_again_changes_nothing():
    queue, reader = writer(), ReaderCredit()
    for i in range(3):
        queue.offer(i)
    for _ in range(5):
        queue.requested(reader.request(1))
    assert drain(queue, reader) == [0]


def test_a_restarted_reader_gets_what_waits():
    queue, old, new = writer(), ReaderCredit(), ReaderCredit()
    queue.offer("a")
    queue.requested(old.request(1))
    assert drain(queue, old) == ["a"]
    queue.offer("b")
    queue.requested(new.request(1))
    assert drain(queue, new) == ["b"]
    assert new.lost == 0


def test_a_restarted_writer_is_recognised_and_is_not_asked_twice_for_the_same():
    first, second, reader = writer(), writer(), ReaderCredit()
    first.offer("a")
    first.requested(reader.request(1))
    drain(first, reader)
    for i in range(4):
        second.offer(i)
    stale = reader.request(1)  # knows the first writer only
    second.requested(stale)
    second.requested(stale)  # repeated before anything has come
    assert drain(second, reader) == [1]  # depth 3: 0 gave way
    second.requested(reader.request(1))
    assert drain(second, reader) == [2]
    assert reader.lost == 0


def test_messages_lost_on_the_way_are_counted():
    queue, reader = writer(), ReaderCredit()
    for i in range(3):
        queue.offer(i)
    queue.requested(reader.request(3))
    stamps = [queue.next()[0] for _ in range(3)]
    reader.came(stamps[0])
    reader.came(stamps[2])
    assert reader.lost == 1


def test_a_reader_that_is_gone_gets_nothing_until_it_asks():
    queue, reader = writer(), ReaderCredit()
    queue.requested(reader.request(2))
    queue.reader_gone()
    queue.offer("a")
    assert queue.next() is None
    queue.requested(reader.request(2))
    assert drain(queue, reader) == ["a"]


@pytest.mark.parametrize("order", [*permutations(["late", "hello", "first"])], ids=" ".join)
@pytest.mark.parametrize("heard", [0, 4])
def test_a_new_incarnation_gets_what_follows_its_hello_whenever_requests_are_read(order, heard):
    queue, old, new = writer(depth=9), ReaderCredit(), ReaderCredit()
    queue.expect(old.reader_id)
    for i in range(heard):
        queue.requested(old.request(1))
        queue.offer(i)
        drain(queue, old)
    queue.offer("stale")
    sent = []
    for event in (*order, "again"):
        if event == "late":
            queue.requested(old.request(9))
        elif event == "hello":
            queue.expect(new.reader_id)
            queue.offer("start")
        else:
            queue.requested(new.request(9))
        released = [*iter(queue.next, None)]
        if event != "late":  # what the dead one's credit releases is lost
            sent += released
    assert [item for _, item in sent] == ["start"]
    new.came(sent[0][0])
    assert (new.taken, new.lost) == (1, 0)


def test_a_request_that_came_before_the_first_hello_is_kept():
    queue, reader = writer(), ReaderCredit()
    queue.requested(reader.request(2))
    queue.expect(reader.reader_id)
    queue.offer("start")
    assert drain(queue, reader) == ["start"]


def test_a_reader_whose_last_message_was_lost_with_the_connection_is_not_stuck():
    queue, reader = writer(Delivery.NEWEST), ReaderCredit()
    queue.requested(reader.request(1))
    queue.offer("lost")
    queue.next()  # sent, and never came
    queue.offer("next")
    queue.requested(reader.request(1))
    assert drain(queue, reader) == []  # it is told of the loss
    assert reader.lost == 1
    queue.requested(reader.request(1))
    assert drain(queue, reader) == ["next"]


@pytest.mark.parametrize("request_", [b"", b"x" * 27, b"x" * 29, b"\xff" * 28])
def test_a_malformed_request_is_a_message_error(request_):
    with pytest.raises(MessageError):
        writer().requested(request_)


@pytest.mark.parametrize("stamp", [b"", b"x" * 15, bytes(16)])
def test_a_malformed_stamp_is_a_message_error(stamp):
    with pytest.raises(MessageError):
        ReaderCredit().came(stamp)
