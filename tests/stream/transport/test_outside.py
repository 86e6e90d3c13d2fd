"""Topics whose writer binds a second endpoint, for readers on another host: with the keys of the graph."""

from __future__ import annotations

import pytest
from running import until

from stream.messages import Masks, Stamp
from stream.topology import Delivery, Edge
from stream.transport.keys import make_keys
from stream.transport.service_sockets import Broadcast, Collector
from stream.transport.sockets import Context
from stream.transport.topics import Publisher, Subscriber

OUTSIDE = "tcp://127.0.0.1:0"


@pytest.fixture(params=["keys", ""])
def contexts(request, tmp_path):
    """Of the writer's host, and of the reader's."""
    keys = str(tmp_path / request.param) if request.param else ""
    if keys:
        make_keys(keys)
    made = Context(keys), Context(keys)
    yield made
    for context in made:
        context.close()


def masks(frame_id):
    stamp = Stamp(camera="door", session=0, frame_id=frame_id, captured_ns=0, captured_unix_ns=0)
    return Masks(stamp=stamp, size=(4, 6))


def test_a_topic_reaches_readers_here_and_on_another_host(contexts, tmp_path):
    here, elsewhere = contexts
    edges = [Edge("masks", "decoder", reader, Delivery.NEWEST) for reader in ("publisher", "supervisor")]
    publisher = Publisher(here, f"ipc://{tmp_path}/masks", "masks", edges, outside=OUTSIDE)
    assert publisher.endpoint == f"ipc://{tmp_path}/masks"
    assert not publisher.outside.endswith(":0")
    readers = [Subscriber(here, publisher.endpoint, edges[0]), Subscriber(elsewhere, publisher.outside, edges[1])]
    publisher.send(masks(7))
    for reader in readers:

        def come(reader=reader):
            reader.ask()
            publisher.pump()
            return reader.take()

        assert until(come, "the masks").stamp.frame_id == 7
        reader.close()
    publisher.close()


def test_a_collector_hears_publishers_on_other_hosts_and_follows_one_that_moves(contexts, tmp_path):
    here, elsewhere = contexts
    collector = Collector(elsewhere, 8)
    collector.subscribe("masks/")
    for n in (1, 2):
        made = Broadcast(here, f"ipc://{tmp_path}/{n}", 8, in_run_only=True, outside=OUTSIDE)
        collector.connect(made.endpoint)

        def heard(made=made):
            made.send([b"masks/door", b"{}"])
            return collector.take()

        assert until(heard, "a message") == [b"masks/door", b"{}"]
        collector.disconnect(made.endpoint)
        made.close()
    collector.close()
