"""When to look for objects that nobody asked for, and what becomes of them: frames with their masks in, reports out.

The tracker asks for the first frame of a run without objects (`DiscoverObjects`), and for any frame when somebody asks
for objects; with `again`, each boundary is searched as well, for what no object covers. A search takes many passes, so
it is done in slices: between frames on a live feed (`live_segmentation.py`), at once on a lossless one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np

from stream.arrays import Array
from stream.errors import ModelError
from stream.messages import DiscoverObjects, Frame, Masks, Tracks
from stream.reports import Found, Proposal
from stream.scheduling.worker import SlicedTask
from stream.settings.options import DiscoveryOptions

log = logging.getLogger(__name__)


class ObjectSearch(Protocol):
    """A search on one frame (`sam/automatic_masks.py`)."""

    def step(self) -> bool:
        """Do a slice; True when it was the last. ModelError when the model has no answer."""

    def found(self) -> tuple[Proposal, ...]:
        """What was found so far, best first."""


BeginSearch = Callable[[Frame, Array | None, int], ObjectSearch]  # a frame, (H, W) bool where objects are, how many


class ObjectDiscovery:
    """Decides on which frames to search, one search at a time."""

    def __init__(self, begin: BeginSearch, report: Callable[[Found], None], options: DiscoveryOptions) -> None:
        self.begin = begin
        self.report = report  # called on the thread of the loop
        self.options = options
        self.frames_since_search = 0
        self._searching = False
        self._newest: Masks | None = None  # of the last frame

    def requested(self, request: DiscoverObjects) -> SlicedTask | None:
        """The search that the tracker asks for; None where there are objects enough, or a search is under way."""
        masks = self._newest
        covered = None if masks is None or masks.stamp != request.frame.stamp else masks
        if request.count:
            return self._search(request.frame, covered, request.count, count=request.count)
        return self._search(request.frame, covered, self.options.max_objects - request.following, requested=True)

    def consider(self, tracks: Tracks, masks: Masks) -> SlicedTask | None:
        """A search on this frame beside its masks; None where it is not time for one."""
        self._newest = masks
        self.frames_since_search += 1
        # What was found last takes a moment to come back as objects; without objects there are no boundaries.
        rested = self.frames_since_search >= self.options.horizon
        if self.options.again and rested and (tracks.boundary or not tracks.objects):
            return self._search(tracks.frame, masks, self.options.max_objects - len(tracks.objects))
        return None

    def _search(
        self, frame: Frame, masks: Masks | None, room: int, *, requested: bool = False, count: int = 0
    ) -> SlicedTask | None:
        if room <= 0 or self._searching:
            return None
        self._searching = True
        covered = None if masks is None else np.asarray(masks.label_image() != 0)
        search = self.begin(frame, covered, room)
        return DiscoveryTask(search, frame.stamp.frame_id, partial(self._finished, frame, requested, count))

    def _finished(self, frame: Frame, requested: bool, count: int, objects: tuple[Proposal, ...]) -> None:
        """Report what a search has found."""
        self._searching, self.frames_since_search = False, 0
        frame_id, size = frame.stamp.frame_id, frame.size
        self.report(Found(frame_id=frame_id, requested=requested, count=count, size=size, objects=objects))


class DiscoveryTask:
    """A search under way, as a `SlicedTask`."""

    def __init__(self, search: ObjectSearch, frame_id: int, on_finish: Callable[[tuple[Proposal, ...]], None]) -> None:
        self.search = search
        self.frame_id = frame_id
        self.on_finish = on_finish

    def step(self) -> bool:
        """Do a slice; True when it was the last. A model without an answer ends the search with what was found."""
        try:
            return self.search.step()
        except ModelError as error:
            log.warning("the search on frame %d ends early: %s", self.frame_id, error)
            return True

    def finish(self) -> None:
        """Pass on what was found."""
        self.on_finish(self.search.found())
