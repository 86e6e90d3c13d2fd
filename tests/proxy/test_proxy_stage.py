from __future__ import annotations

import json

import pytest

from nodes.proxy.node import AT_ONCE, CHOOSE_S, make_stage
from stream.commands import PublishStatus, SetCameras, Start
from stream.in_memory import InMemoryNode
from stream.settings.config import Config

CAMERAS = {"door": "ipc:///run/1/publish", "hall": "ipc:///run/2/publish"}


class Proxy:
    def __init__(self):
        self.node = InMemoryNode()
        self.stage = make_stage(Config(), self.node)
        self.node.start(self.stage, Start(), SetCameras(endpoints=CAMERAS))

    def round(self):
        self.node.time_s += CHOOSE_S
        self.stage.on_idle()


@pytest.fixture
def proxy():
    return Proxy()


def test_messages_are_passed_on_as_they_are(proxy):
    proxy.node.collector.messages += [[b"masks/door", b"{}", b"\x7f"], [b"status/hall", b"{}"]]
    proxy.round()
    assert proxy.node.broadcast.sent == [[b"masks/door", b"{}", b"\x7f"], [b"status/hall", b"{}"]]
    assert proxy.stage.progress().counters == {"passed_on": 2}


@pytest.mark.parametrize(
    ("prefixes", "topics"),
    [
        ({"masks/"}, {"masks/door", "masks/hall"}),
        ({"scenes/hall"}, {"scenes/hall"}),
        ({"events/"}, {"events/door", "events/hall"}),
        ({""}, {f"{room}/{name}" for room in ("masks", "scenes", "status", "frames", "events") for name in CAMERAS}),
        ({"nonsense"}, set()),
    ],
)
def test_publishers_are_subscribed_to_for_what_somebody_outside_wants(proxy, prefixes, topics):
    proxy.node.broadcast.subscriptions = prefixes
    proxy.round()
    assert proxy.node.collector.topics == topics
    proxy.node.broadcast.subscriptions = set()
    proxy.round()
    assert proxy.node.collector.topics == set()


def test_cameras_come_and_go(proxy):
    proxy.node.broadcast.subscriptions = {"masks/"}
    proxy.stage.handle_command(SetCameras(endpoints={"hall": CAMERAS["hall"], "yard": "ipc:///run/3/publish"}))
    assert proxy.node.collector.endpoints == {CAMERAS["hall"], "ipc:///run/3/publish"}
    assert proxy.node.collector.topics == {"masks/hall", "masks/yard"}


def test_a_flood_leaves_commands_and_subscriptions_their_turn(proxy):
    proxy.node.collector.messages += [[b"masks/door", b"{}"]] * (AT_ONCE + 1)
    proxy.round()
    assert (len(proxy.node.broadcast.sent), proxy.node.wakes) == (AT_ONCE, 1)
    proxy.round()
    assert (len(proxy.node.broadcast.sent), proxy.node.wakes) == (AT_ONCE + 1, 1)


def test_the_status_of_a_camera_without_a_publisher_is_published(proxy):
    proxy.stage.handle_command(PublishStatus(camera="door", status=json.dumps({"state": "failed"})))
    ((topic, header),) = proxy.node.broadcast.sent
    assert topic == b"status/door"
    assert json.loads(header)["status"] == {"state": "failed"}


def test_both_sockets_are_closed(proxy):
    proxy.stage.close()
    assert proxy.node.broadcast.closed
    assert proxy.node.collector.closed


def test_a_camera_on_another_host_is_listened_to_once_it_says_where(proxy):
    proxy.stage.handle_command(SetCameras(endpoints={**CAMERAS, "yard": ""}))
    assert proxy.node.collector.endpoints == set(CAMERAS.values())
    yard = "tcp://192.168.1.12:40001"
    proxy.stage.handle_command(SetCameras(endpoints={**CAMERAS, "yard": yard}))
    assert proxy.node.collector.endpoints == {*CAMERAS.values(), yard}
    moved = "tcp://192.168.1.13:40002"
    proxy.stage.handle_command(SetCameras(endpoints={**CAMERAS, "yard": moved}))
    assert proxy.node.collector.endpoints == {*CAMERAS.values(), moved}
