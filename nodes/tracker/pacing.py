"""Which frames of a live feed to take: times and frame ids in, an even stride for each window out.

A tracker slower than its feed passes frames over. Taking whatever is newest would space a window's frames unevenly, and
the point model was trained on even ones. So each window gets a stride, the same for all its frames, chosen at its start
from how long the frames of the last one took, and the masks that the decoder made of its boundary. A frame that comes
before the stride is over is let go; one that was missed, because a step took longer than ever, is replaced by the next
there is. A stride also ends when twice its time is over: a feed that began with a burst is slower than it seemed. One
that the last steps would fit into twice is shortened at once.
"""

from __future__ import annotations

import math
from statistics import median_low

from stream.timing import FramePeriod

MARGIN = 1.15  # steps vary by some per cent: a stride that just fits would be missed every second time
QUICK_STEPS, MUCH_TOO_LONG = 3, 2  # so many steps in a row that would fit twice into the stride end it
# Steps longer than OUTLIER times the median leave a gap, since a stride for them would halve the rate or worse, unless
# they are more than this share of all.
OUTLIER, FEW = 2, 1 / 4
OVERDUE = 2  # of a stride's own time: a frame is taken then, wherever the count is


class Pacer:
    """The stride of the window now, in frames of the feed."""

    def __init__(self, steps: int = 7) -> None:
        self.steps = steps  # from one boundary to the next, frames
        self.reset()

    def reset(self) -> None:
        """Forget the feed."""
        self.stride = 1
        self.stride_s = 0.0  # the time that it was meant to take
        self.last_id: int | None = None  # frame_id taken last
        self.last_ns = 0  # when that was captured
        self.taken_s = 0.0  # when it was taken
        self.in_step = False  # the last frame's step is not over
        self.period = FramePeriod()
        self.step_times_s: list[float] = []  # of each frame of this window, from taking it to being ready for the next
        self.earlier_times_s: list[float] = []  # the same of the window before
        self.masks_s = 0.0  # how long the masks of a boundary take to come: the next window may not end earlier
        self.awaited_masks: tuple[int, float] | None = None  # frame_id whose masks are on their way, and since when
        self.warmed_up = False  # the first step is over, whose time says nothing: caches fill, libraries load
        self.timed_a_window = False

    def ready(self, now_s: float) -> None:
        """The tracker could take a frame now."""
        if self.in_step:
            self.in_step = False
            if not self.warmed_up:
                self.warmed_up = True
                return
            self.step_times_s.append(now_s - self.taken_s)
            if not self.timed_a_window:
                if len(self.step_times_s) > 1:  # one may have waited for the decoder's first masks, for a second
                    self._choose()
            else:
                self._shorten()

    def early(self, now_s: float) -> bool:
        """True while even asking for a frame would be too soon."""
        return self.last_id is not None and now_s - self.taken_s < (1 - 1.5 / self.stride) * self.stride_s

    def wants(self, frame_id: int, captured_ns: int) -> bool:
        """True if the stride ends with this frame, or ended before it. A count that begins again is always taken."""
        if self.last_id is None or not self.last_id < frame_id < self.last_id + self.stride:
            return True
        return captured_ns - self.last_ns > OVERDUE * self.stride_s * 1e9

    def take(self, frame_id: int, captured_ns: int, now_s: float) -> None:
        """That frame is tracked now."""
        self.period.add(frame_id, captured_ns)
        self.last_id, self.last_ns, self.taken_s, self.in_step = frame_id, captured_ns, now_s, True

    def masks_asked_for(self, frame_id: int, now_s: float) -> None:
        """A window ends on that frame, and the decoder is asked for its masks."""
        self.awaited_masks = (frame_id, now_s)

    def masks_came(self, frame_id: int, now_s: float) -> None:
        """The masks of that frame have come."""
        if self.awaited_masks is not None and self.awaited_masks[0] == frame_id:
            self.masks_s = now_s - self.awaited_masks[1]
            self.awaited_masks = None

    def end_window(self) -> None:
        """A window ends: choose the stride of the next."""
        if self.step_times_s:
            self._choose()
            self.timed_a_window, self.earlier_times_s = True, self.step_times_s
        self.step_times_s = []

    def _shorten(self) -> None:
        """Give up a stride that the last steps did not need by far, in the middle of a window.

        One slow step, such as the first masks of many objects, would else cost two windows of 8 frames at seconds each.
        """
        lately = self.step_times_s[-QUICK_STEPS:]
        if self.stride > 1 and len(lately) == QUICK_STEPS and MARGIN * max(lately) < self.stride_s / MUCH_TOO_LONG:
            self.step_times_s, self.earlier_times_s = lately, lately
            self._choose()

    def _choose(self) -> None:
        """Every frame, while most steps are quick enough; else by the slowest of this window and the one before.

        A few outliers are left out: where one step in seven takes eight times as long as the others, a stride for it
        would pass seven frames of eight over for good, and one for the others leaves a gap of eight once a window.
        """
        if not (period_s := self.period.s):
            return
        step_s = median_low(self.step_times_s)
        if MARGIN * step_s > period_s:  # a frame that is missed breaks the spacing; one that waits costs little
            times_s = [*self.step_times_s, *self.earlier_times_s]
            usual_s = [t for t in times_s if t <= OUTLIER * step_s]
            step_s = max(usual_s if len(times_s) - len(usual_s) <= FEW * len(times_s) else times_s)
        step_s = max(step_s, self.masks_s / self.steps)
        self.stride = max(1, math.ceil(MARGIN * step_s / period_s))
        self.stride_s = self.stride * period_s
