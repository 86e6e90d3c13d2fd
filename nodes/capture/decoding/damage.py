"""What FFmpeg says of each packet and picture in; whether a picture is known to be damaged out.

A decoder marks the picture whose data is damaged, and not those that are predicted from it: these show the same faults,
until a key frame comes. So every picture after a damaged one counts as damaged, up to the first undamaged key frame
that is shown later. In codecs without prediction (MJPEG, ProRes) each picture is a key frame.
"""

from __future__ import annotations

REORDERED = 32  # pictures at most that a decoder holds back; after so many a key frame is later than the damage
MOST = 750  # pictures, 30 s at 25 a second: a stream that is refreshed bit by bit has no key frames at all


class DamageWatch:
    """Follows one stream in the order of decoding and of showing."""

    def __init__(self) -> None:
        self._after = 0  # pictures since the damage; 0 while there is none
        self._shown_at: int | None = None  # presentation time of the newest damage, ticks; None: unknown

    def packet_damaged(self, pts: int | None) -> None:
        """A packet came damaged, or could not be decoded: what is shown from now on may lean on it."""
        self._note(pts)

    def damages(self, pts: int | None, *, key_frame: bool, corrupt: bool) -> bool:
        """Whether the next picture is damaged; `corrupt`: the decoder says so of the picture itself."""
        if corrupt:
            self._note(pts)
            return True
        if not self._after:
            return False
        later = pts is None or self._shown_at is None or pts > self._shown_at or self._after > REORDERED
        if (key_frame and later) or self._after > MOST:
            self._after = 0
            return False
        self._after += 1
        return True

    def _note(self, pts: int | None) -> None:
        newer = pts is None or self._shown_at is None or not self._after
        self._shown_at = pts if newer else max(pts or 0, self._shown_at or 0)
        self._after = 1
