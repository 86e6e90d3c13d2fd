"""A match of an object's template in, whether the object is back out: certain, doubted with a reason, or not at all.

An object that left may be followed by another that looks like it. Looks decide only where

    the match is close, and closer still where the object has been away for long: anything may have come since;
    most of the template is in sight: a part of one thing looks like a part of many;
    (neither is asked of what comes out, after a short absence, where it went in, as from behind another object)
    nothing that was in sight together with the object looks nearly as much like it.

And what looks now as it did while the object was in sight elsewhere is not the object: it was there all along.

Drawn clips, after 6 to 30 frames; a search had found the object at 74 places and something else at 275. By the limit of
the mismatch alone (template.MAX_MISMATCH) 43 % of the former and 11 % of the latter passed; by these, 23 % and none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from nodes.decoder.lite import template
from nodes.decoder.lite.template import Template, TemplateMatch
from stream import geometry
from stream.arrays import Array

SURE_MISMATCH, SURE_MISMATCH_LATER = 0.2, 0.12  # at most, of a certain return; after a long absence
LONG_ABSENCE = 75  # frames; 3 s at 25 frames/s
EXPECTED_SHARE = 0.5  # of the template's longer side, from where the object should be by now
SURE_VISIBLE = 0.5  # of the template, at least; where it is less, the match has to be as close as
SURE_MISMATCH_PARTLY = 0.05
RIVAL_SHARE = 0.5  # of the mismatch of what looked most like the object beside it: a certain return is below
LEAST_MISMATCH = 0.02  # two pictures of one thing are no closer, so that a rival as close as this says nothing
BESIDE_PX = 4  # around the object: not a rival
UNCHANGED = 0.1  # mean squared difference against the template's variance: below it, a place looks as it did
MOSTLY = 0.5  # of the place, at least, was not the object's own
STORED_PX = 1_500_000  # of a sighting's picture at most: a larger one is thinned, so that its memory is bounded

DOUBTFUL_SCORE = 0.4  # at most, of what may be another thing: not clear
LOOKALIKE = "something else looks like it"
PARTLY_SEEN = "only a part of it is in sight"
NOT_ALIKE_ENOUGH = "it may be another that looks like it"


@dataclass(frozen=True)
class Sighting:
    """The picture on which all of an object was last seen."""

    rgb: Array  # (h, w, 3) uint8
    mask: Array  # (h, w) uint8, the object's

    @classmethod
    def of_frame(cls, rgb: Array, mask: Array) -> Sighting:
        """The sighting of a frame (H, W, 3) and a mask (H, W) that nobody changes."""
        step = int(np.ceil(np.sqrt(mask.size / STORED_PX)))
        return cls(rgb, mask) if step == 1 else cls(rgb[::step, ::step].copy(), mask[::step, ::step].copy())

    @cached_property
    def rival_mismatch(self) -> float:
        """How well the object's template matches best elsewhere in that picture; infinite where nothing is like it."""
        if not self.mask.any():
            return np.inf
        size = (self.mask.shape[0], self.mask.shape[1])
        own = template.cut_template(self.rgb, self.mask, geometry.IDENTITY)
        elsewhere = 1 - cv2.dilate(self.mask, np.ones((2 * BESIDE_PX + 1,) * 2, np.uint8))
        match = template.search(self.rgb, elsewhere, own, 0.0, (0, 0, size[1], size[0]), at_most=np.inf)
        return np.inf if match is None else max(match.mismatch, LEAST_MISMATCH)

    def shows_already(self, rgb: Array, place: Array, variance: float) -> bool:
        """Whether a place, (H, W) uint8 in a frame, looks as in that picture, where it was not the object's own."""
        height, width = self.mask.shape
        if self.mask.shape != place.shape:
            place = cv2.resize(place, (width, height), interpolation=cv2.INTER_NEAREST)
            rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_NEAREST)
        beside = (place != 0) & (self.mask == 0)
        if np.count_nonzero(beside) <= MOSTLY * np.count_nonzero(place):
            return False
        difference = rgb[beside].astype(np.float32) - self.rgb[beside]
        return float((difference**2).sum(axis=1).mean()) < UNCHANGED * variance


def is_expected(distance_px: float, own: Template, absent_frames: int) -> bool:
    """Whether an object comes out where it went in: a match lies near the place where it should be by now."""
    return absent_frames <= LONG_ABSENCE and distance_px <= EXPECTED_SHARE * own.side


def doubt_of(match: TemplateMatch, sighting: Sighting, absent_frames: int, expected: bool = False) -> str:
    """What speaks against a match being the object, in a few words; empty: nothing does.

    `expected`: it comes out where it went in, so that a part of it is enough.
    """
    if match.mismatch > RIVAL_SHARE * sighting.rival_mismatch:
        return LOOKALIKE
    if match.visible < SURE_VISIBLE and match.mismatch > SURE_MISMATCH_PARTLY and not expected:
        return PARTLY_SEEN
    close = SURE_MISMATCH if absent_frames <= LONG_ABSENCE else SURE_MISMATCH_LATER
    if expected:
        close = template.MAX_MISMATCH  # no more than a search asks for
    return "" if match.mismatch < close else NOT_ALIKE_ENOUGH


def is_other_thing(match: TemplateMatch, sighting: Sighting, rgb: Array, place: Array, own: Template) -> bool:
    """Whether a match at a place, (H, W) uint8, is surely not the object: a part like many, or there all along."""
    like_many = match.visible < SURE_VISIBLE and match.mismatch > RIVAL_SHARE * sighting.rival_mismatch
    return like_many or sighting.shows_already(rgb, place, own.variance)
