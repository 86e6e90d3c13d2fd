from __future__ import annotations

import numpy as np
import pytest
from builders import frame, masks, object_mask

from stream.errors import MessageError
from stream.topology import Delivery, Edge
from stream.transport.passing import Shelf, as_passed
from stream.transport.sockets import Context
from stream.transport.topics import Publisher, Subscriber


@pytest.fixture
def context():
    made = Context()
    yield made
    made.close()


def until_taken(writer, reader):
    for _ in range(100_000):
        reader.ask()
        writer.pump()
        if (message := reader.take()) is not None:
            return message
    raise AssertionError("nothing came")


def big_frame(frame_id=3):
    return frame(frame_id, rgb=np.zeros((200, 300, 3), np.uint8))


@pytest.mark.parametrize("beside", [True, False])
def test_a_picture_is_the_writers_own_where_the_reader_is_beside_it_and_a_copy_elsewhere(context, tmp_path, beside):
    edge = Edge("frames", "capture", "tracker", Delivery.NEWEST)
    writer = Publisher(context, f"ipc://{tmp_path}/frames", "frames", [edge], ("tracker",) if beside else ())
    reader = Subscriber(context, f"ipc://{tmp_path}/frames", edge)
    sent = big_frame()
    writer.send(sent)
    came = until_taken(writer, reader)
    assert came.stamp == sent.stamp
    assert np.shares_memory(came.rgb, sent.rgb) is beside
    assert not came.rgb.flags.writeable
    assert sent.rgb.flags.writeable  # the writer's own view is as it was
    assert len(context.shelf) == 0


def test_what_a_reader_that_is_gone_has_not_taken_is_forgotten(context, tmp_path):
    edge = Edge("frames", "capture", "tracker", Delivery.EVERY)
    writer = Publisher(context, f"ipc://{tmp_path}/frames", "frames", [edge], ("tracker",))
    reader = Subscriber(context, f"ipc://{tmp_path}/frames", edge)
    writer.send(big_frame())
    until_taken(writer, reader)
    while not len(context.shelf):
        writer.send(big_frame())
        reader.ask()
        writer.pump()
    writer.expect("tracker", b"another1")
    assert len(context.shelf) == 0


def test_small_arrays_are_copies_and_numbers_of_numpy_are_plain():
    sent = masks(5, object_mask(1, (3, 4, 5, 6), score=np.float32(0.5)), size=(40, 60))
    passed = as_passed(sent)
    (before,), (after,) = sent.objects, passed.objects
    assert np.array_equal(before.mask, after.mask)
    assert not np.shares_memory(before.mask, after.mask)
    assert not after.mask.flags.writeable
    assert type(after.score) is float


def test_what_has_been_passed_once_is_passed_on_as_it_is():
    passed = as_passed(big_frame())
    assert as_passed(passed) is passed


def test_a_stamp_that_nobody_has_put_there_is_a_malformed_message():
    with pytest.raises(MessageError, match="nobody has passed"):
        Shelf().take(b"tracker", b"12345678" + bytes(8))
