"""A stream is pushed to a real RTSP server, survives the server, and waits for nobody."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from renderer.box_masks import box_object, masks_of
from rtsp_fixture import start_rtsp_server
from running import LOOP, reserved_port, until

import nodes.renderer.rtsp_push.pusher as pusher_module
from nodes.renderer.node import GIVES_WAY, make_stage
from nodes.renderer.rtsp_push.pictures import Picture
from nodes.renderer.rtsp_push.pusher import Pusher
from stream.commands import Start
from stream.errors import ConfigError
from stream.in_memory import InMemoryNode
from stream.messages import Frame, Scene
from stream.settings.config import Capture, Config, Renderer
from stream.settings.presets import build, load

pytestmark = pytest.mark.rtsp
RED, BLUE = (200, 30, 30), (30, 30, 200)


def picture(index, colour=RED, size=(96, 160)):
    return Picture(np.full((*size, 3), colour, np.uint8), index * 40_000_000)


class Feed:
    """Offers pictures for as long as it is asked to."""

    def __init__(self, pusher):
        self.pusher = pusher
        self.index = 0

    def until(self, condition, what, **form):
        def offer():
            self.pusher.offer(picture(self.index, **form))
            self.pusher.check()
            self.index += 1
            return condition()

        return until(offer, what)


@pytest.fixture
def feed(request):
    made = []

    def begin(url):
        pusher = Pusher(url, time.monotonic)
        made.append(pusher)
        return Feed(pusher)

    yield begin
    for pusher in made:
        pusher.close()


@pytest.fixture(scope="module")
def server():
    with start_rtsp_server(take=True) as server:
        yield server


def arrived(server, push, pictures, size, rgb):
    """Whether so many pictures of that size and colour have come with a push: counted from 0, or backwards from -1."""
    taken = server.taken()
    if not -len(taken) <= push < len(taken) or taken[push]["size"] != list(size) or taken[push]["rgb"] is None:
        return False
    return taken[push]["pictures"] >= pictures and np.abs(np.array(taken[push]["rgb"]) - rgb).max() < 12


def test_what_is_pushed_arrives_and_another_size_begins_another_stream(feed, server):
    own = feed(server.push_url)
    own.until(lambda: arrived(server, -1, 10, (160, 96), RED), "pictures at the server")
    own.until(lambda: arrived(server, -1, 3, (132, 98), BLUE), "another size", colour=BLUE, size=(97, 131))
    pusher = own.pusher
    until(lambda: pusher.connections == 2, "the count")
    assert pusher.pushed >= 13
    assert pusher.passed_over > 0  # it was offered more than there was time for
    assert (pusher.connected, pusher.error) == (True, "")
    process = pusher._process
    assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE  # the models go first
    with open(f"/proc/{process.pid}/cmdline", "rb") as file:
        assert b"rtsp://" not in file.read()  # an address may hold a password
    os.kill(process.pid, signal.SIGSTOP)  # it can't say goodbye
    pusher.close()
    until(lambda: process.poll() is not None, "its end")


def test_a_server_that_hangs_is_given_up_and_holds_nobody_up(feed, server, monkeypatch):
    monkeypatch.setattr(pusher_module, "ANSWER_S", 1.5)
    server.freeze()
    own = feed(server.push_url)
    own.until(lambda: own.pusher.error == "no answer within 1.5 s", "the end of patience")
    monkeypatch.undo()
    server.thaw()
    own.until(lambda: own.pusher.connected and arrived(server, -1, 3, (160, 96), RED), "pictures at the server")


def test_a_server_that_was_killed_and_is_back_gets_the_stream_again(feed, caplog, monkeypatch):
    monkeypatch.setattr(pusher_module, "BACKOFF_MAX_S", 0.5)
    with reserved_port() as port:
        with start_rtsp_server(port, take=True) as server:
            own = feed(server.push_url)
            own.until(lambda: arrived(server, 0, 3, (160, 96), RED), "pictures at the server")
            server.kill()
            own.until(lambda: own.pusher.error and not own.pusher.connected, "the loss")
        assert len([r for r in caplog.records if "it is tried again" in r.message]) == 1
        with start_rtsp_server(port, take=True) as server:
            own.until(lambda: arrived(server, 0, 3, (160, 96), RED), "pictures after its return")
            until(lambda: own.pusher.connections == 2, "the count")


def test_a_run_pushes_its_picture_also_after_its_renderer_was_killed(start, server):
    def pictures(push):
        taken = server.taken()[push:]
        return taken[0]["pictures"] if taken and taken[0]["size"] == [192, 96] else 0

    first = len(server.taken())
    small = ("--set", "capture.demo_size=192x96", "--set", "capture.demo_fps=10")
    run = start(*LOOP, *small, "--rtsp-push", server.push_url)
    until(lambda: pictures(first) > 3, "pictures at the server")
    until(lambda: run.ctl("stats")["rtsp_push"]["connected"], "the heartbeat")
    os.kill(run.pids()["renderer"], signal.SIGKILL)
    until(lambda: pictures(first + 1) > 3, "pictures of the next renderer")
    until(lambda: run.ctl("stats")["rtsp_push"]["connections"] == 2, "the count over both")
    run.send(signal.SIGTERM)
    assert run.wait() == 0
    until(lambda: not processes_that_push(server.port), "the end of the processes that push")


def processes_that_push(port):
    """Connections to the server that are still there, in any process."""
    with open("/proc/net/tcp") as table:
        return [line for line in table if f":{port:04X} 01" in line]


@pytest.mark.parametrize(("more", "steps"), [({}, [GIVES_WAY]), ({"window": True}, []), ({"record": "a.mp4"}, [])])
def test_who_draws_for_a_push_alone_lets_the_models_go_first(monkeypatch, more, steps):
    nicer = []
    monkeypatch.setattr("nodes.renderer.node.os.nice", nicer.append)
    monkeypatch.setattr("nodes.renderer.node.Window", lambda *_: None)
    own = Renderer(rtsp_push="rtsp://127.0.0.1:1/live", **more)
    make_stage(Config(capture=Capture(source="rtsp://camera/1"), renderer=own), InMemoryNode()).close()
    assert nicer == steps


@pytest.mark.parametrize("overlay", [True, False])
def test_the_renderer_pushes_scenes_with_their_masks_or_without(monkeypatch, overlay):
    offered = []
    monkeypatch.setattr(Pusher, "_run", lambda _: None)
    monkeypatch.setattr(Pusher, "offer", lambda _, picture: offered.append(picture))
    monkeypatch.setattr("nodes.renderer.node.os.nice", lambda _: None)
    config = Config(
        capture=Capture(source="rtsp://camera/1"),
        renderer=Renderer(rtsp_push="rtsp://127.0.0.1:1/live", push_overlay=overlay),
    )
    node = InMemoryNode()
    stage = make_stage(config, node)
    node.start(stage, Start())
    assert stage.wants("scenes")
    masks = masks_of(box_object(3, (40, 20, 30, 20)), size=(90, 160))
    rgb = np.full((90, 160, 3), 128, np.uint8)
    node.give(stage, Scene(frame=Frame(stamp=masks.stamp, rgb=rgb), masks=masks))
    (pushed,) = offered
    assert np.array_equal(pushed.rgb, rgb) is not overlay
    assert pushed.captured_ns == masks.stamp.captured_ns
    progress = stage.progress()
    assert progress.counters == {"push_pushed": 0, "push_passed_over": 0, "push_connections": 0}
    stage.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("rtmp://host/live", r"--rtsp-push \(renderer.rtsp_push\) is 'rtmp://host/live'; needs rtsp://HOST:PORT/PATH"),
        ("rtsp://u:secret-word@host", r"'rtsp://\*\*\*@host'; needs a path"),
        ("rtsp://host:0/x", "needs rtsp://HOST:PORT/PATH"),
        ("rtsp://host/a b", "as %20"),
    ],
)
def test_an_address_that_nothing_can_be_pushed_to_is_refused(url, message):
    with pytest.raises(ConfigError, match=message):
        load("lite", {"renderer.rtsp_push": url})


def test_two_cameras_push_to_addresses_of_their_own():
    cameras = {"cameras": {"a": {}, "b": {}}}
    with pytest.raises(ConfigError, match=r"would both write renderer\.rtsp_push"):
        build({"renderer": {"rtsp_push": "rtsp://host/live"}, **cameras})
    fleet = build({"renderer": {"rtsp_push": "rtsp://host/{camera}"}, **cameras})
    assert fleet.cameras["b"].renderer.rtsp_push == "rtsp://host/b"
