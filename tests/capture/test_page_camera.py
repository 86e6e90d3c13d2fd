"""The camera of a page as a source: what pages send in, a feed like any other live one out."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest
from capture.clips import shade
from capture.scripted_feeds import GENEROUS_S, Wakes
from capture.test_capture_stage import WaitingNode
from running import until

from nodes.capture.feed import Feed
from nodes.capture.node import make_stage
from nodes.capture.page_camera import PageCameraSource, UploadBox, jpeg_size
from stream.commands import Pause, Resume, StartCapture
from stream.messages import Frame, Upload
from stream.settings.config import Capture, Config
from stream.topology import Delivery, wiring


def jpeg(rgb: np.ndarray) -> np.ndarray:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    assert done
    return data.reshape(-1)


def upload(i: int, *, page: int = 1, size: tuple[int, int] = (64, 96), at_ns: int = 10**9) -> Upload:
    return Upload(page=page, jpeg=jpeg(shade(i, size)), arrived_ns=at_ns, arrived_unix_ns=10**18 + at_ns)


def bye(reason: str, page: int = 1) -> Upload:
    return Upload(page=page, jpeg=np.zeros(0, np.uint8), reason=reason, arrived_ns=0, arrived_unix_ns=0)


class PageFeed:
    """A feed of a page's camera, whose uploads a test writes."""

    def __init__(self, **config: object) -> None:
        capture = Capture(source="browser", **config)
        self.box, self._wakes = UploadBox(), Wakes()
        self.feed = Feed(
            lambda: PageCameraSource(self.box, capture.read_timeout_s),
            capture,
            StartCapture(),
            live=True,
            wake=self._wakes,
        )
        self.feed.start()

    def waits(self) -> None:
        self._wakes.wait_for(lambda: self.feed.phase == "waiting")

    def frame_of(self, upload: Upload) -> Frame:
        """The frame that becomes of an upload."""
        self.box.put(upload)
        found: list[Frame] = []

        def come() -> bool:
            frame = self.feed.take()
            found.extend([frame] if frame else [])
            return bool(found)

        self._wakes.wait_for(come)
        return found[0]


@pytest.fixture
def play():
    feeds = []

    def make(**config):
        feeds.append(PageFeed(**{"backoff_s": 0.001, "backoff_max_s": 0.002, **config}))
        return feeds[-1]

    yield make
    for page in feeds:
        page.box.close()
        assert page.feed.stop(GENEROUS_S)


def test_a_page_is_waited_for_as_long_as_it_takes(play, caplog):
    caplog.set_level(logging.INFO)
    page = play()
    page.waits()
    assert page.feed.error is None
    frame = page.frame_of(upload(5))
    assert frame.size == (64, 96)
    assert abs(int(frame.rgb[20, 20, 0]) - int(shade(5)[20, 20, 0])) <= 3
    assert caplog.text.count("open the page and allow its camera") == 1


def test_a_picture_is_as_old_as_its_arrival_at_the_server(play):
    stamp = play().frame_of(upload(1, at_ns=777)).stamp
    assert (stamp.captured_ns, stamp.captured_unix_ns) == (777, 10**18 + 777)


def test_another_size_is_another_epoch_of_the_same_session(play):
    page = play()
    stamps = [page.frame_of(upload(i, size=size)).stamp for i, size in enumerate([(64, 96), (80, 128), (80, 128)])]
    assert [(s.frame_id, s.session, s.epoch) for s in stamps] == [(0, 0, 0), (1, 0, 1), (2, 0, 1)]


def test_a_page_that_falls_silent_is_waited_for_again_as_the_next_session(play, caplog):
    page = play(read_timeout_s=0.05)
    page.frame_of(upload(0))
    page.waits()
    assert "silent for 0.05 s (capture.read_timeout_s), after 1 frames" in caplog.text
    stamp = page.frame_of(upload(1)).stamp
    assert (stamp.frame_id, stamp.session) == (1, 1)
    assert page.feed.reconnects == 1


@pytest.mark.parametrize("reason", ["the page was closed", "its camera was unplugged"])
def test_a_page_that_says_why_it_stops_is_believed_at_once(play, caplog, reason):
    page = play(read_timeout_s=1000.0)
    page.frame_of(upload(0))
    page.box.put(bye(reason))
    page.waits()
    assert reason in caplog.text
    assert page.frame_of(upload(1, page=2)).stamp.session == 1


def test_the_next_page_is_another_session_and_its_first_picture_counts(play, caplog):
    page = play(read_timeout_s=1000.0)
    page.frame_of(upload(0))
    stamp = page.frame_of(upload(1, page=2)).stamp
    assert (stamp.frame_id, stamp.session) == (1, 1)
    assert "another page sends now" in caplog.text


def test_what_is_no_picture_is_counted_and_ends_nothing(play):
    page = play()
    whole = upload(0)
    forged = whole.jpeg.copy()
    at = bytes(forged).index(b"\xff\xc0") + 5
    forged[at : at + 4] = 255  # a picture of 65535x65535
    broken = [np.frombuffer(b"no picture at all", np.uint8), whole.jpeg[:40], forged]
    for i, data in enumerate(broken):
        page.box.put(Upload(page=1, jpeg=data, arrived_ns=1, arrived_unix_ns=1))
        until(lambda i=i: page.feed.damaged_packets == i + 1, "the count of what is no picture")
    assert page.frame_of(upload(1)).stamp.frame_id == 0
    page.box.put(Upload(page=1, jpeg=broken[0], arrived_ns=1, arrived_unix_ns=1))
    assert page.frame_of(upload(2)).stamp.session == 0


def test_a_limit_of_time_also_ends_a_feed_whose_page_is_gone(play):
    page = play(duration_s=0.3, read_timeout_s=0.01)
    page.frame_of(upload(0))
    page._wakes.wait_for(lambda: page.feed.phase == "ended")


@pytest.mark.parametrize("size", [(1, 1), (64, 96), (480, 853), (1081, 1919)])
def test_a_size_is_read_from_the_head_of_a_jpeg(size):
    data = jpeg(np.zeros((*size, 3), np.uint8))
    assert jpeg_size(data) == size
    assert jpeg_size(data[:20]) is None
    assert jpeg_size(data[1:]) is None


def test_odd_bytes_have_no_size():
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = np.concatenate([np.frombuffer(b"\xff\xd8", np.uint8), rng.integers(0, 256, 60, dtype=np.uint8)])
        data[2] = 255
        assert (found := jpeg_size(data)) is None or min(found) > 0


def test_the_stage_passes_uploads_on_and_pauses_like_any_live_feed():
    node = WaitingNode()
    stage = make_stage(Config(capture=Capture(source="browser")), node)
    node.start(stage, StartCapture())
    node.serve(stage, lambda: stage.progress().phase == "waiting")
    node.give(stage, upload(0))
    node.serve(stage, lambda: len(node.sent) == 1)
    node.start(stage, Pause())
    node.give(stage, upload(1))
    node.serve(stage, lambda: stage.progress().phase == "paused")
    node.start(stage, Resume())
    node.give(stage, upload(2))
    node.serve(stage, lambda: len(node.sent) == 2)
    stage.close()
    assert node.steps == 2  # an upload is none: what was captured of it is


def test_uploads_are_read_only_where_a_page_is_the_source():
    config = Config(capture=Capture(source="browser"))
    assert config.live
    assert wiring(config).nodes["capture"].reads["uploads"] is Delivery.NEWEST
    assert "uploads" not in wiring(Config()).nodes["capture"].reads
