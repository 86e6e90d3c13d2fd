"""Where a node goes on after a restart: how far each node has got in, the next frame_id and session of capture out."""

from __future__ import annotations

import math

from stream.reports import Opened

USUAL_FPS = 30.0  # of a live source that does not say its own rate
RESTART_S = 0.5  # what capture takes to open its source again, beside the time that it was not heard of


class NodeState:
    """What the session knows of a node."""

    def __init__(self) -> None:
        self.loaded = False  # it takes commands
        self.loads = 0  # how often it has loaded
        self.newest_frame_id = -1  # that it has handled
        self.newest_at_s = 0.0  # when that was reported; before the first, when the source was open

    def load(self) -> None:
        """The node has loaded."""
        self.loaded = True
        self.loads += 1

    def unload(self) -> None:
        """The node is being restarted."""
        self.loaded = False

    def open(self, now_s: float) -> None:
        """The source is open; no frame has been reported yet."""
        self.newest_at_s = max(self.newest_at_s, now_s)

    def reach(self, frame_id: int, now_s: float) -> None:
        """The node has handled a frame."""
        if frame_id > self.newest_frame_id:
            self.newest_frame_id, self.newest_at_s = frame_id, now_s


def resume_point(
    opened: Opened, capture: NodeState, tracker: NodeState, now_s: float, *, live: bool
) -> tuple[int, int]:
    """(frame_id, session) that capture begins with after a restart; `opened` is its newest report of an open source.

    A file goes on after the newest frame that the tracker has had, so that none is lost. A live feed went on meanwhile:
    its ids go on by as many frames as it must have sent.
    """
    if not live:
        return tracker.newest_frame_id + 1, opened.session
    missed_s = max(0.0, now_s - capture.newest_at_s) + RESTART_S
    missed = math.ceil(missed_s * max(opened.fps or USUAL_FPS, 1.0))
    return capture.newest_frame_id + 1 + missed, opened.session + 1
