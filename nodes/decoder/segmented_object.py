"""One object's masks in, its state out, and which of its masks new points may be drawn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nodes.decoder.evidence import WHOLE_FRAME, Evidence, contradicted, judge
from nodes.decoder.mask_model import Logits, MaskModelTraits, Query
from nodes.decoder.states import ObjectState
from stream.arrays import Array
from stream.geometry import Size
from stream.messages import ObjectMask, State
from stream.settings.options import SegmenterOptions

AREA_DECAY = 0.98  # share kept, at each seed, of the area that growth is measured by


class SegmentedObject:
    """What the segmenter keeps of one object."""

    def __init__(
        self, options: SegmenterOptions, traits: MaskModelTraits, *, restored: bool = False, expected: bool = False
    ) -> None:
        self.options = options
        self.traits = traits
        self._expected = expected  # its first mask is being made beside the feed
        self._state = ObjectState(
            options.lost_after_frames,
            options.check_masks,
            state="uncertain" if restored else "tracked",
            found=not restored,
        )
        self.reason = ""  # why it is uncertain or lost, as of its last mask that counts; a few words
        self.good_area = 0  # px: the largest mask that seeded points, slowly forgotten; 0: none yet
        self.doubted = False  # the last mask was contradicted by its points, or had grown beyond reason
        self.window: list[tuple[int, ObjectMask]] = []  # frame_id and mask, since its points were drawn

    @property
    def state(self) -> State:
        """As of its last mask that counts."""
        return self._state.state

    @property
    def absent(self) -> bool:
        """Whether it is lost, or no more than a part of it has been seen since."""
        return self._state.absent

    def judge(
        self, query: Query, answer: Logits, mask: Array, size: Size, *, provisional: bool = False
    ) -> tuple[State, Evidence]:
        """What the model's mask, (height, width) in the answer's window, says; a provisional one leaves no trace."""
        if self._expected:
            self.reason = "its first mask is being made"
            return "uncertain", "missing"
        area, own = int(np.count_nonzero(mask)), self.options
        evidence, reason = judge(
            area,
            size[0] * size[1],
            answer.score,
            query.track,
            own.min_area_px,
            query.lost,
            self.traits.limits,
            answer.doubt,
        )
        may_doubt = self.traits.points_contradict and own.check_masks and not query.prompted
        grown = self._has_outgrown(area)
        self.doubted = may_doubt and (grown or contradicted(query.track, answer.window, mask))
        if self.doubted and evidence != "missing":
            reason = "sudden growth" if grown else "points contradict the mask"
        # what hides the points need not hide it
        sure = evidence == "weak" and not answer.doubt and answer.score >= self.traits.limits.sure
        if (self.doubted and evidence == "clear") or (evidence == "missing" and area and not own.check_masks):
            evidence = "weak"
        state = replace(self._state) if provisional else self._state
        shown: Evidence = (
            "clear" if sure and not self.doubted else evidence
        )  # it is published as clear, not learnt from
        published = state.step(shown, part=answer.part, prompted=query.prompted and evidence != "missing")
        if not provisional:
            self.reason = _reason(published, reason, state.absent)
        return published, evidence

    def expect_no_more(self) -> None:
        """No mask comes from beside the feed."""
        self._expected = False

    def accept_seed(self, o: ObjectMask, size: Size, *, prompted: bool) -> bool:
        """Whether new points may be drawn from a mask; if so, later ones are measured by its area."""
        if not self.options.check_masks:
            return o.area > 0  # of an empty mask no points can be drawn
        if o.area < max(self.options.min_area_px, 1) or o.area > WHOLE_FRAME * size[0] * size[1]:
            return False
        if not prompted and (self.doubted or self.absent or self._has_outgrown(o.area)):
            return False
        # Not the last one's area: an object that comes out from behind another grows without being suspect. The user's
        # word sets a new measure.
        self.good_area = o.area if prompted else max(o.area, round(AREA_DECAY * self.good_area))
        return True

    def remember(self, frame_id: int, mask: ObjectMask) -> None:
        """Keep a mask for the choice of a frame to draw points on, as long as a window is."""
        self.window.append((frame_id, mask))
        del self.window[: -self.options.horizon]

    def restart_window(self, frame_id: int) -> None:
        """Points are drawn anew on that frame: the masks before it do not matter any more."""
        self.window = [(i, mask) for i, mask in self.window if i >= frame_id]

    def rescale(self, scale: float) -> None:
        """Frames have so many times the area from now on."""
        self.good_area = round(self.good_area * scale)
        self.window.clear()

    def _has_outgrown(self, area: int) -> bool:
        """Whether a mask is larger than the object can have become."""
        return self.good_area > 0 and area > self.options.max_growth * self.good_area


def _reason(state: State, against: str, absent: bool) -> str:
    """Why an object is uncertain or lost; `against`: what speaks against the mask of this frame, if anything does.

    `absent`: it was lost, and has not been found as a whole since.
    """
    if state in ("tracked", "reacquired"):
        return ""
    return against or ("seen again only just now" if absent else "not confirmed since a restart")
