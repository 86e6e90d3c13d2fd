"""The honest state of an object, from what each frame shows of it.

A frame is evidence of one of three kinds (`Evidence`):

    clear     a mask of min_area_px or more, the model's score at the clear limit or more, and at least CLEAR_SHARE of
              the positive points visible (no points yet: nothing said against it)
    weak      a mask, but the score or the points speak against it
    missing   no mask, or one too small, too large or with a score below the weak limit

and the state follows:

    tracked     on clear evidence
    uncertain   on weak evidence, and on missing evidence until it has been missing for lost_after_frames in a row
    lost        after that. The published mask is empty, whatever the model says, until the object is found again:
                FOUND_FRAMES clear frames in a row (a single one may be a look-alike)
    reacquired  for REACQUIRED_FRAMES frames from then on, while the evidence is not missing; then as above

A prompt is the user's word: it makes any state `tracked`.

With `decoder.check_masks` off only an empty mask is missing: what speaks against another makes it weak, it is published
all the same, and it brings a lost object back at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stream.messages import ObjectTrack, State

Evidence = Literal["clear", "weak", "missing"]

VISIBLE = 0.5  # a point counts as visible above this probability (SAM-PT)
CLEAR_SHARE = 0.2  # of the positive points: one of eight is chance, two agree
FOUND_FRAMES = 2
REACQUIRED_FRAMES = 12  # half a second at 25 frames/s: long enough to be seen on screen
WHOLE_FRAME = 0.9  # a mask of more of the frame than this is a leak


@dataclass(frozen=True)
class Limits:
    """What a model's score means: `lite` by default. For SAM they follow decoder.iou_threshold (`sam_limits`)."""

    clear: float = 0.5
    weak: float = 0.25


def sam_limits(iou_threshold: float) -> Limits:
    """A mask that SAM rates below the threshold is dropped (spec d.5); one just above it is not yet clear.

    Without a threshold (0) the predicted IoU says nothing at all, and the points alone decide.
    """
    return Limits(min(1.0, iou_threshold + 0.1) if iou_threshold > 0 else 0.0, min(0.25, iou_threshold))


def judge(
    area: int,
    frame_area: int,
    score: float,
    track: ObjectTrack,
    min_area_px: int,
    found: bool,
    limits: Limits = Limits(),
) -> Evidence:
    """What one frame's mask, score and points say; `found`: points that are still the old object's don't count."""
    if area < max(min_area_px, 1) or area > WHOLE_FRAME * frame_area or score < limits.weak:
        return "missing"
    positive = track.labels == 1
    visible = track.visibility[positive] > VISIBLE
    points_agree = found or visible.size == 0 or float(np.mean(visible)) >= CLEAR_SHARE
    return "clear" if score >= limits.clear and points_agree else "weak"


@dataclass
class ObjectState:
    """The state of one object over time."""

    lost_after_frames: int
    strict: bool = True  # False: any mask at all brings a lost object back
    state: State = "tracked"
    missing: int = 0  # frames in a row without evidence
    clear: int = 0  # frames in a row with clear evidence, while lost
    reacquired_left: int = 0

    def step(self, evidence: Evidence, *, prompted: bool = False) -> State:
        """Take one frame's evidence; answer with the state that is published for it."""
        self.missing = self.missing + 1 if evidence == "missing" else 0
        if prompted:
            self.state, self.clear, self.reacquired_left = "tracked", 0, 0
        elif self.state == "lost":
            self.clear = self.clear + 1 if evidence == "clear" else 0
            if self.clear >= FOUND_FRAMES or (evidence != "missing" and not self.strict):
                self.state, self.clear, self.reacquired_left = "reacquired", 0, REACQUIRED_FRAMES - 1
        elif self.missing >= self.lost_after_frames:
            self.state, self.reacquired_left = "lost", 0
        elif self.reacquired_left > 0 and evidence != "missing":
            self.state, self.reacquired_left = "reacquired", self.reacquired_left - 1
        else:
            self.state = "tracked" if evidence == "clear" else "uncertain"
        return self.state
