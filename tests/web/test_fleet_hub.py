"""The hub of a page whose run has several cameras."""

from __future__ import annotations

import json

from nodes.web.hub import Hub


class NoListening:
    def want(self, topics):
        self.topics = topics


def status(camera):
    header = {"schema": "sam-pt-live/status", "version": 1, "camera": camera, "status": {"state": "running"}}
    return [f"status/{camera}".encode(), json.dumps(header).encode()]


def test_a_camera_that_was_removed_is_forgotten_though_its_last_word_comes_late():
    hub = Hub(NoListening(), None, ["door", "hall"], 4)
    hub.take([status("door"), status("hall")])
    hub.set_cameras(["door", "yard"])
    assert hub.cameras == ["door", "yard"]
    assert hub.status("hall") == {}
    hub.take([status("hall"), status("yard")])
    assert hub.cameras == ["door", "yard"]
    assert hub.status("yard") == {"state": "running"}
    hub.close()


def test_a_page_that_is_told_of_no_cameras_learns_them_from_their_statuses():
    hub = Hub(NoListening(), None, [], 4)
    hub.take([status("door")])
    assert hub.cameras == ["door"]
    hub.close()
