"""Live streams of the network beside RTSP, each from a real sender of this machine; and what is said without one."""

from __future__ import annotations

import contextlib
import socket

import numpy as np
import pytest
from capture.clips import complaint
from capture.streams.senders import GREY, SIZE, HttpServer, streaming
from running import reserved_port, until

from nodes.capture import network
from nodes.capture.feed import Feed
from nodes.capture.pace import Pace
from nodes.capture.source import Picture
from nodes.capture.sources import make_source
from stream.commands import StartCapture
from stream.errors import ConfigError
from stream.settings.addresses import is_playlist
from stream.settings.config import Capture
from stream.settings.presets import load
from stream.settings.recordings import recording_node


@contextlib.contextmanager
def feed_of(url):
    config = Capture(source=url, wait_for_source=True, read_timeout_s=1.0, backoff_s=0.1, backoff_max_s=0.2)
    feed = Feed(lambda: make_source(config), config, StartCapture(), live=True)
    feed.start()
    try:
        yield feed
    finally:
        assert feed.stop(30)


def frames(feed, count, session):
    """So many frames of a session."""
    found = []

    def more():
        frame = feed.take()
        if frame is not None and frame.stamp.session == session:
            found.append(frame)
        return len(found) >= count

    until(more, f"{count} frames of session {session}")
    return found


@pytest.mark.parametrize("kind", ["mjpeg", "hls", "udp", "rtmp"])
def test_a_stream_is_live_and_connected_again_when_it_comes_back(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(network, "HLS_SILENCE_S", 1.0)
    with contextlib.ExitStack() as stack:
        port = _free_udp_port() if kind == "udp" else stack.enter_context(reserved_port())
        with streaming(kind, port, tmp_path) as url:
            feed = stack.enter_context(feed_of(url))
            first = frames(feed, 5, session=0)
            assert first[0].size == SIZE
            assert np.median(first[0].rgb) == pytest.approx(GREY, abs=6)
            if kind == "mjpeg":  # whose times would be those of 25 frames a second, whatever comes
                assert (first[0].stamp.pts_s, feed.source_info.fps) == (None, None)
            assert feed.source_info.codec == ("mjpeg" if kind == "mjpeg" else "h264")
        for file in tmp_path.iterdir():  # as of a server that begins anew
            file.unlink()
        until(lambda: feed.phase in ("backing off", "connecting"), "the loss to be noticed")
        with streaming(kind, port, tmp_path):
            again = frames(feed, 3, session=1)
    assert again[0].stamp.frame_id > first[-1].stamp.frame_id
    assert feed.reconnects == 1


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "rtmp"])
def test_a_server_that_is_not_there_is_one_line_without_the_password(scheme):
    with reserved_port() as port:
        message = complaint(f"{scheme}://me:secret@127.0.0.1:{port}/cam")
    assert message.startswith(f"{scheme}://***@127.0.0.1:{port}/cam: nothing listens at 127.0.0.1:{port}")
    assert "secret" not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "refuses this user name or password (401)"),
        (403, "may not see the stream (403)"),
        (404, "no stream at /cam (404)"),
        (500, "the server refuses"),
    ],
)
def test_what_a_server_refuses_with_is_told(status, words, tmp_path):
    with contextlib.closing(HttpServer(0, tmp_path, answer=status)) as server:
        message = complaint(f"http://me:secret@127.0.0.1:{server.server_port}/cam")
    assert words in message
    assert "secret" not in message
    assert "\n" not in message


def test_a_page_that_is_no_video_is_told(tmp_path):
    (tmp_path / "page").write_text("<html>hello</html>")
    with contextlib.closing(HttpServer(0, tmp_path)) as server:
        message = complaint(f"http://127.0.0.1:{server.server_port}/page")
    assert "is no video stream; needs http://" in message


def test_a_server_that_says_nothing_and_a_sender_that_is_silent_are_timeouts():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        assert "no answer within 0.3 s" in complaint(f"http://127.0.0.1:{port}/cam", open_timeout_s=0.3)
    message = complaint(f"udp://127.0.0.1:{_free_udp_port()}", open_timeout_s=0.3)
    assert "nothing came to 127.0.0.1:" in message
    assert "within 0.3 s; check where the sender sends to" in message


def test_srt_works_or_it_is_said_what_to_do_where_ffmpeg_has_none():
    message = complaint("srt://127.0.0.1:9", open_timeout_s=0.3)
    assert "speaks no SRT; install PyAV on an FFmpeg that does" in message or "no answer" in message


@pytest.mark.parametrize(
    ("address", "needed"),
    [
        ("http:///cam", "needs http://[USER:PASSWORD@]HOST"),
        ("http://host:99999/cam", "needs http://[USER:PASSWORD@]HOST"),
        ("udp://239.0.0.1", "needs udp://ADDRESS_OF_OURS:PORT"),
        ("srt://host", "needs srt://HOST:PORT"),
        ("rtmp:///app", "needs rtmp://HOST"),
    ],
)
def test_an_address_that_is_none_is_told(address, needed):
    assert needed in complaint(address)


@pytest.mark.parametrize("address", ["http://a:p#ss@host/x", "rtmp://a:p/ss@host/x", "srt://a b@host:1"])
def test_a_password_that_has_to_be_written_otherwise_is_refused(address):
    with pytest.raises(ConfigError, match="has to be written as %") as refusal:
        load("rtsp", {"capture.source": address})
    assert "ss" not in str(refusal.value).replace("password", "").replace("address", "")


@pytest.mark.parametrize(
    "address", ["http://host:80/view?user=a@b", "https://host/@cam/live.m3u8", "http://a:b@host/x"]
)
def test_an_address_with_an_at_in_its_path_is_one(address):
    assert load("rtsp", {"capture.source": address}).live


def test_packets_are_copied_unless_they_come_long_before_their_pictures(tmp_path):
    keys = {"renderer.record": f"{tmp_path}/"}
    nodes = {
        address: recording_node(load("lite", {**keys, "capture.source": address}))
        for address in ("http://h/mjpeg", "http://h/live.m3u8?token=1", "udp://0.0.0.0:5000", "rtmp://h/a/b")
    }
    assert list(nodes.values()) == ["capture", "renderer", "capture", "capture"]
    assert is_playlist("HTTPS://h/x.M3U8")
    assert not is_playlist("rtsp://h/x.m3u8")


def test_a_burst_is_played_at_its_rate_and_one_that_comes_late_from_then_on():
    now = [0]
    pace = Pace(25.0, lambda: now[0], most_late_s=1.0)
    picture = np.zeros((2, 2, 3), np.uint8)
    assert [pace.due_ns(Picture(picture, pts_s=i / 25)) for i in range(3)] == [0, 40_000_000, 80_000_000]
    now[0] = 5_000_000_000  # nothing has come for seconds
    late = [pace.due_ns(Picture(picture, pts_s=i / 25)) for i in range(3, 6)]
    assert late == [5_000_000_000, 5_040_000_000, 5_080_000_000]
