from __future__ import annotations

from itertools import permutations

import pytest

from stream.credit import ReaderCredit, WriterCredit, new_id
from stream.errors import MessageError
from stream.topology import Delivery


def lane(delivery=Delivery.EVERY, depth=3):
    return WriterCredit(new_id(), delivery, 1 if delivery is Delivery.NEWEST else depth)


def drain(one, want):
    """Everything that may be sent now, as the reader sees it."""
    came = []
    while (item := one.next()) is not None:
        want.came(item[0], message=item[1] is not None)
        if item[1] is not None:
            came.append(item[1])
    return came


def test_nothing_is_sent_before_it_is_asked_for():
    one, want = lane(), ReaderCredit()
    one.offer("a")
    assert one.next() is None
    one.requested(want.request(1))
    assert drain(one, want) == ["a"]


def test_a_slow_reader_of_the_newest_gets_the_newest():
    one, want = lane(Delivery.NEWEST), ReaderCredit()
    for i in range(10):
        one.offer(i)
    one.requested(want.request(1))
    assert drain(one, want) == [9]
    assert one.dropped == 9


def test_a_bounded_queue_drops_the_oldest_and_counts_them():
    one, want = lane(depth=3), ReaderCredit()
    for i in range(5):
        one.offer(i)
    one.requested(want.request(10))
    assert drain(one, want) == [2, 3, 4]
    assert one.dropped == 2


def test_a_lossless_queue_drops_nothing_and_says_that_it_is_full():
    one, want = lane(Delivery.LOSSLESS, depth=2), ReaderCredit()
    for i in range(3):
        one.offer(i)
    assert one.full
    one.requested(want.request(2))
    assert drain(one, want) == [0, 1]
    assert not one.full
    one.requested(want.request(2))
    assert drain(one, want) == [2]


def test_the_last_message_never_pushes_out_the_one_before_it():
    one, want = lane(Delivery.NEWEST), ReaderCredit()
    one.offer("frame")
    one.offer("end", last=True)
    one.requested(want.request(2))
    assert drain(one, want) == ["frame", "end"]


def test_every_life_of_a_reader_is_told_of_the_end():
    one, old, new = lane(Delivery.LOSSLESS), ReaderCredit(), ReaderCredit()
    one.requested(old.request(3))
    one.offer("end", last=True)
    assert drain(one, old) == ["end"]  # and then it was killed, before it could pass it on
    one.requested(new.request(3))
    assert drain(one, new) == ["end"]


def test_asking_again_changes_nothing():
    one, want = lane(), ReaderCredit()
    for i in range(3):
        one.offer(i)
    for _ in range(5):
        one.requested(want.request(1))
    assert drain(one, want) == [0]


def test_a_restarted_reader_begins_anew_and_gets_what_waits():
    one, old, new = lane(), ReaderCredit(), ReaderCredit()
    one.offer("a")
    one.requested(old.request(1))
    assert drain(one, old) == ["a"]
    one.offer("b")
    one.requested(new.request(1))
    assert drain(one, new) == ["b"]
    assert new.lost == 0


def test_a_restarted_writer_is_recognised_and_is_not_asked_twice_for_the_same():
    first, second, want = lane(), lane(), ReaderCredit()
    first.offer("a")
    first.requested(want.request(1))
    drain(first, want)
    for i in range(4):
        second.offer(i)
    stale = want.request(1)  # knows the first writer only
    second.requested(stale)
    second.requested(stale)  # repeated before anything has come
    assert drain(second, want) == [1]  # depth 3: 0 gave way
    second.requested(want.request(1))
    assert drain(second, want) == [2]
    assert want.lost == 0


def test_messages_lost_on_the_way_are_counted():
    one, want = lane(), ReaderCredit()
    for i in range(3):
        one.offer(i)
    one.requested(want.request(3))
    stamps = [one.next()[0] for _ in range(3)]
    want.came(stamps[0])
    want.came(stamps[2])
    assert want.lost == 1


def test_a_reader_that_is_gone_gets_nothing_until_it_asks():
    one, want = lane(), ReaderCredit()
    one.requested(want.request(2))
    one.reader_gone()
    one.offer("a")
    assert one.next() is None
    one.requested(want.request(2))
    assert drain(one, want) == ["a"]


@pytest.mark.parametrize("order", [*permutations(["late", "hello", "first"])], ids=" ".join)
@pytest.mark.parametrize("heard", [0, 4])
def test_a_new_life_gets_what_follows_its_hello_whenever_requests_are_read(order, heard):
    one, old, new = lane(depth=9), ReaderCredit(), ReaderCredit()
    one.expect(old.reader_id)
    for i in range(heard):
        one.requested(old.request(1))
        one.offer(i)
        drain(one, old)
    one.offer("stale")
    sent = []
    for event in (*order, "again"):
        if event == "late":
            one.requested(old.request(9))
        elif event == "hello":
            one.expect(new.reader_id)
            one.offer("start")
        else:
            one.requested(new.request(9))
        released = [*iter(one.next, None)]
        if event != "late":  # what the dead one's credit releases is lost
            sent += released
    assert [item for _, item in sent] == ["start"]
    new.came(sent[0][0])
    assert (new.taken, new.lost) == (1, 0)


def test_a_request_that_came_before_the_first_hello_is_kept():
    one, want = lane(), ReaderCredit()
    one.requested(want.request(2))
    one.expect(want.reader_id)
    one.offer("start")
    assert drain(one, want) == ["start"]


def test_a_reader_whose_last_message_was_lost_with_the_connection_is_not_stuck():
    one, want = lane(Delivery.NEWEST), ReaderCredit()
    one.requested(want.request(1))
    one.offer("lost")
    one.next()  # sent, and never came
    one.offer("next")
    one.requested(want.request(1))
    assert drain(one, want) == []  # it is told of the loss
    assert want.lost == 1
    one.requested(want.request(1))
    assert drain(one, want) == ["next"]


@pytest.mark.parametrize("request_", [b"", b"x" * 27, b"x" * 29, b"\xff" * 28])
def test_a_malformed_request_is_a_message_error(request_):
    with pytest.raises(MessageError):
        lane().requested(request_)


@pytest.mark.parametrize("stamp", [b"", b"x" * 15, bytes(16)])
def test_a_malformed_stamp_is_a_message_error(stamp):
    with pytest.raises(MessageError):
        ReaderCredit().came(stamp)
