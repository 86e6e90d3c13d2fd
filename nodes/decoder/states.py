"""The honest state of an object, from the evidence of each frame (`evidence.py`): clear, weak or missing.

    tracked     on clear evidence
    uncertain   on weak evidence, and on missing evidence until it has been missing for lost_after_frames in a row
    lost        after that. The published mask is empty, whatever the model says, until the object is found again:
                FOUND_FRAMES clear frames in a row (a single one may be a look-alike)
    reacquired  for REACQUIRED_FRAMES frames from then on, while the evidence is not missing; then as above

An object that was restored after a restart may be elsewhere by now: it is uncertain until FOUND_FRAMES clear frames in
a row have shown it, or lost as above.

A prompt is the user's word: it makes any state `tracked`.

With `decoder.check_masks` off only an empty mask is missing: what speaks against another makes it weak, it is published
all the same, and it brings a lost object back at once.
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
    reacquired_left: int = 0
    found: bool = True  # False: restored, and not seen clearly since

    def step(self, evidence: Evidence, *, prompted: bool = False) -> State:
        """Take one frame's evidence; answer with the state that is published for it."""
        self.missing = self.missing + 1 if evidence == "missing" else 0
        if prompted:
            self.state, self.clear, self.reacquired_left, self.found = "tracked", 0, 0, True
        elif not self.found and self.missing < self.lost_after_frames:
            self.clear = self.clear + 1 if evidence == "clear" else 0
            self.found = self.clear >= FOUND_FRAMES
            self.state = "tracked" if self.found else "uncertain"
        elif self.state == "lost":
            self.clear = self.clear + 1 if evidence == "clear" else 0
            if self.clear >= FOUND_FRAMES or (evidence != "missing" and not self.strict):
                self.state, self.clear, self.reacquired_left = "reacquired", 0, REACQUIRED_FRAMES - 1
        elif self.missing >= self.lost_after_frames:
            self.state, self.clear, self.reacquired_left, self.found = "lost", 0, 0, True
        elif self.reacquired_left > 0 and evidence != "missing":
            self.state, self.reacquired_left = "reacquired", self.reacquired_left - 1
        else:
            self.state = "tracked" if evidence == "clear" else "uncertain"
        return self.state
