"""Which page is the camera, and what becomes of what it sends."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.web.camera_feed import CameraFrame
from nodes.web.camera_uploads import BURST, HOLD_S, MAX_HZ, CameraUploads
from stream.messages import Upload

JPEG = b"\xff\xd8\xff\xe0 the rest of a picture"
TAKEN = {"type": "camera_ack"}


class FakePage:
    """A page that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def say(self, message: dict[str, Any]) -> None:
        self.heard.append(message)

    def refusal(self) -> str:
        """The newest message, which is a refusal."""
        assert self.heard[-1]["type"] == "camera_refused"
        return self.heard.pop()["message"]


class Server:
    """The uploads with a clock of their own, and what they have passed on."""

    def __init__(self) -> None:
        self.now_ns = 100 * 10**9
        self.sent: list[Upload] = []
        self.uploads = CameraUploads(self.sent.append, lambda: self.now_ns, lambda: self.now_ns + 1)

    def take(self, page: FakePage, jpeg: bytes = JPEG, width: int = 640, height: int = 480) -> bool:
        """Whether a picture was passed on."""
        before = len(self.sent)
        self.uploads.take(page, CameraFrame(captured_ms=1.0, width=width, height=height), jpeg)
        return len(self.sent) > before

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def page() -> FakePage:
    return FakePage()


@pytest.fixture
def other() -> FakePage:
    return FakePage()


def test_a_picture_is_passed_on_with_the_time_of_its_arrival_and_acknowledged(server, page):
    assert server.take(page)
    assert page.heard == [TAKEN]
    (upload,) = server.sent
    assert upload.jpeg.tobytes() == JPEG
    assert (upload.arrived_ns, upload.arrived_unix_ns) == (100 * 10**9, 100 * 10**9 + 1)


def test_one_page_is_the_camera_until_it_is_silent(server, page, other):
    server.take(page)
    assert not server.take(other)
    assert "another page is the camera already" in other.refusal()
    server.uploads.tell(other, "on", "")
    assert "another page" in other.refusal()
    assert server.uploads.refused == 2
    server.sleep(HOLD_S + 0.1)
    assert server.take(other)
    assert server.sent[-1].page == server.sent[0].page + 1
    assert not server.take(page)


@pytest.mark.parametrize(("state", "reason"), [("ended", "unplugged"), ("denied", "denied")])
def test_a_page_that_stops_says_so_to_capture_and_makes_room(server, page, other, state, reason):
    server.take(page)
    server.uploads.tell(page, state, "words of the page")
    last = server.sent[-1]
    assert (last.page, last.jpeg.size) == (server.sent[0].page, 0)
    assert reason in last.reason
    assert "words of the page" not in last.reason
    assert server.take(other)


def test_a_closed_page_ends_its_camera_alone(server, page, other):
    server.take(page)
    server.uploads.left(other)
    assert len(server.sent) == 1
    server.uploads.left(page)
    assert "closed" in server.sent[-1].reason
    server.uploads.left(page)
    assert len(server.sent) == 2
    assert server.take(other)


def test_a_camera_that_is_turned_on_again_is_another_connection(server, page):
    server.uploads.tell(page, "on", "")
    server.take(page)
    server.uploads.tell(page, "on", "")
    server.take(page)
    assert server.sent[1].page == server.sent[0].page + 1


def test_a_page_whose_camera_is_denied_before_it_sent_anything_changes_nothing(server, page, other):
    server.take(other)
    server.uploads.tell(page, "denied", "")
    assert len(server.sent) == 1
    assert server.take(other)


def test_pictures_that_come_too_fast_are_counted_and_go_no_further(server, page):
    taken = [server.take(page) for _ in range(round(BURST) + 5)]
    assert taken == [True] * round(BURST) + [False] * 5
    assert server.uploads.too_fast == 5
    server.sleep(2.1 / MAX_HZ)
    assert [server.take(page) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    "wrong", [{"jpeg": b""}, {"jpeg": b"GIF89a"}, {"width": 65535}, {"width": 30000, "height": 30000}]
)
def test_what_is_no_picture_is_counted_and_refused_and_takes_no_place(server, page, other, wrong):
    assert not server.take(page, **wrong)
    assert "no JPEG" in page.refusal()
    assert server.uploads.malformed == 1
    assert server.take(other)
