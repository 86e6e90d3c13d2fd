"""The honest state of an object, from the evidence of each frame (`evidence.py`): clear, weak or missing.

    tracked     on clear evidence
    uncertain   on weak evidence, and on missing evidence until it has been missing for lost_after_frames in a row
    lost        after that. The published mask is empty, whatever the model says, until the object is found again:
                FOUND_FRAMES clear frames in a row (a single one may be a look-alike)
                Where a part of it comes out where it went in, it is uncertain from the second such frame on, until it
                is found as a whole, or neither a part nor clear evidence has come for lost_after_frames in a row
    reacquired  for REACQUIRED_FRAMES frames from then on, while the evidence is not missing; then as above

An object that was restored after a restart may be elsewhere by now: it is uncertain until FOUND_FRAMES clear frames in
a row have shown it, or lost as above.

A prompt is the user's word: it makes any state `tracked`.

With `decoder.check_masks` off only an empty mask is missing: what speaks against another makes it weak, it is published
all the same, and it brings a lost object back at once, if it is no mere part.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.decoder.evidence import Evidence
from stream.messages import State

FOUND_FRAMES = 2
REACQUIRED_FRAMES = 12  # half a second at 25 frames/s: long enough to be seen on screen


@dataclass
class ObjectState:
    """The state of one object over time."""

    lost_after_frames: int
    strict: bool = True  # False: any mask at all brings a lost object back
    state: State = "tracked"
    missing: int = 0  # frames in a row without evidence
    clear: int = 0  # frames in a row with clear evidence, while lost or not found yet
    parts: int = 0  # frames in a row with that or with a part, while lost,
    unseen: int = 0  # and without either
    coming_out: bool = False  # it was lost, and a part of it is in sight
    reacquired_left: int = 0
    found: bool = True  # False: restored, and not seen clearly since

    @property
    def absent(self) -> bool:
        """Whether it is lost, or has not been found as a whole since."""
        return self.state == "lost" or self.coming_out

    def step(self, evidence: Evidence, *, part: bool = False, prompted: bool = False) -> State:
        """Take one frame's evidence, of a part that comes out or of all that is seen; answer with the state for it."""
        self.missing = self.missing + 1 if evidence == "missing" else 0
        if prompted:
            self.state, self.clear, self.reacquired_left, self.found = "tracked", 0, 0, True
            self.parts, self.coming_out = 0, False
        elif not self.found and self.missing < self.lost_after_frames:
            self.clear = self.clear + 1 if evidence == "clear" else 0
            self.found = self.clear >= FOUND_FRAMES
            self.state = "tracked" if self.found else "uncertain"
        elif self.absent:
            self.clear = self.clear + 1 if evidence == "clear" else 0
            seen = evidence != "missing" and (part or evidence == "clear")
            self.parts, self.unseen = (self.parts + 1, 0) if seen else (0, self.unseen + 1)
            found = self.clear >= FOUND_FRAMES or (evidence != "missing" and not self.strict and not part)
            stays = self.coming_out and self.unseen < self.lost_after_frames
            self.coming_out = not found and (stays or self.parts >= FOUND_FRAMES)
            self.state = "reacquired" if found else "uncertain" if self.coming_out else "lost"
            if found:
                self.clear, self.parts, self.reacquired_left = 0, 0, REACQUIRED_FRAMES - 1
        elif self.missing >= self.lost_after_frames:
            self.state, self.clear, self.reacquired_left, self.found = "lost", 0, 0, True
        elif self.reacquired_left > 0 and evidence != "missing":
            self.state, self.reacquired_left = "reacquired", self.reacquired_left - 1
        else:
            self.state = "tracked" if evidence == "clear" else "uncertain"
        return self.state
