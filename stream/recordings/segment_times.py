"""Which segment a frame's masks belong to, and when it is shown there: an index and a stamp in, name and time out."""

from __future__ import annotations

from collections.abc import Sequence

from stream.messages import Stamp
from stream.recordings.segments import Index, OpenSegment, Segment

NEWEST = 3  # finished segments that masks may still come for
FRAME_S = 0.02  # a frame may be stamped so much before its segment begins, by rounding
CLOCKS_S = 2.0  # what the two ways to tell a frame's time may differ by


def place(index: Index, stamp: Stamp) -> tuple[str, float] | None:
    """(name of the segment, s since its time 0) of a frame; None where no segment holds it, or none yet."""
    recent: Sequence[Segment | OpenSegment] = index.segments[-NEWEST:]
    if index.writing is not None:
        recent = [*recent, index.writing]
    for segment in reversed(recent):
        t = time_in(segment, stamp)
        if t < -FRAME_S:
            continue
        ended = (
            isinstance(segment, Segment)
            and segment.live
            and t > (segment.end_unix_ns - segment.start_unix_ns) / 1e9 + FRAME_S
        )
        return None if ended else (segment.name, max(0.0, t))
    return None


def time_in(segment: Segment | OpenSegment, stamp: Stamp) -> float:
    """When a frame is shown in a segment, s; by the source's times where both bear them, else as it was captured."""
    captured_s = (stamp.captured_unix_ns - segment.start_unix_ns) / 1e9
    if segment.origin_pts_s is None or stamp.pts_s is None:
        return captured_s
    shown_s = stamp.pts_s - segment.origin_pts_s
    of_this_connection = not segment.live or abs(shown_s - captured_s) <= CLOCKS_S
    return shown_s if of_this_connection else captured_s
