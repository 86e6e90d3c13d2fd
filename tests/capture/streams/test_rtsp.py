"""A real RTSP server: frames come, it is lost and comes back, and what the log says of it."""

from __future__ import annotations

import logging

import pytest
from capture.scripted_feeds import GENEROUS_S, Wakes
from rtsp_fixture import Camera, need_rtsp, start_rtsp_server

from nodes.capture.feed import Feed
from nodes.capture.sources import make_source
from stream.commands import StartCapture
from stream.errors import SourceError
from stream.settings.config import Capture

pytestmark = pytest.mark.rtsp


@pytest.fixture(autouse=True)
def rtsp_is_there() -> None:
    need_rtsp()


def watch(camera: Camera, **config) -> tuple[Feed, Wakes]:
    capture = Capture(source=camera.url, backoff_s=0.05, backoff_max_s=0.2, **config)
    wakes = Wakes()
    feed = Feed(lambda: make_source(capture), capture, StartCapture(), live=True, wake=wakes)
    feed.start()
    return feed, wakes


def complaint(url: str) -> str:
    source = make_source(Capture(source=url))
    with pytest.raises(SourceError) as caught:
        source.open()
    return str(caught.value)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_no_frame_of_a_network_camera_is_lost(transport):
    with start_rtsp_server() as camera:
        source = make_source(Capture(source=camera.url, rtsp_transport=transport))
        opened = source.open()
        assert opened.size == (360, 640)
        assert opened.frames is None
        pts = []
        for _ in range(40):
            picture = source.read()
            assert picture is not None
            pts.append(picture.pts_s)
        source.close()
        timed = [p for p in pts if p is not None]
        assert len(timed) >= 38  # the first may have none
        assert timed == pytest.approx([timed[0] + i / 25 for i in range(len(timed))], abs=0.001)


def test_a_killed_server_that_comes_back_is_a_new_session_and_the_numbers_go_on(caplog):
    caplog.set_level(logging.INFO)
    with start_rtsp_server() as camera:
        feed, wakes = watch(camera)
        wakes.wait_for(lambda: feed.captured >= 20)
        camera.kill()
        wakes.wait_for(lambda: feed.phase in ("backing off", "connecting"))
        before = feed.last_frame_id
        with start_rtsp_server(camera.port):
            wakes.wait_for(lambda: feed.last_frame_id >= before + 10)
            frame = feed.take()
            assert frame is not None
            assert frame.stamp.session >= 1
            assert frame.stamp.frame_id > before
        assert feed.stop(GENEROUS_S)
    assert feed.session == feed.reconnects >= 1  # on a busy machine a connection may be lost once more
    assert feed.captured == feed.last_frame_id + 1
    assert "the connection was closed" in caplog.text or "lost after" in caplog.text
    assert "session 1" in caplog.text


def test_a_frozen_server_is_noticed_within_the_read_timeout(caplog):
    with start_rtsp_server() as camera:
        feed, wakes = watch(camera, read_timeout_s=1.0)
        wakes.wait_for(lambda: feed.captured >= 5)
        camera.freeze()
        wakes.wait_for(lambda: feed.phase in ("backing off", "connecting"))
        assert "silent for 1 s (capture.read_timeout_s)" in caplog.text
        camera.thaw()
        wakes.wait_for(lambda: feed.reconnects >= 1)
        assert feed.stop(GENEROUS_S)


def test_a_camera_that_is_switched_on_later_is_waited_for():
    with start_rtsp_server() as camera:
        port = camera.port
        camera.stop()
        feed, wakes = watch(camera, wait_for_source=True)
        wakes.wait_for(lambda: feed.phase == "backing off")
        with start_rtsp_server(port):
            wakes.wait_for(lambda: feed.captured > 0)
            assert (feed.session, feed.reconnects) == (0, 0)
            assert feed.stop(GENEROUS_S)


def test_refusals_are_told_apart_and_without_the_password():
    with start_rtsp_server(user="me", password="s3cret") as camera:
        bare = f"127.0.0.1:{camera.port}"
        messages = {
            "none": complaint(f"rtsp://{bare}/cam"),
            "wrong": complaint(f"rtsp://me:wr0ng@{bare}/cam"),
            "path": complaint(f"rtsp://me:s3cret@{bare}/other"),
        }
        source = make_source(Capture(source=camera.url))
        assert source.open().size == (360, 640)
        source.close()
    assert "asks for a name and a password (401)" in messages["none"]
    assert "refuses this user name or password (401)" in messages["wrong"]
    assert "no stream at /other (404)" in messages["path"]
    assert not any(secret in text for text in messages.values() for secret in ("s3cret", "wr0ng"))
