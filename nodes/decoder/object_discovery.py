"""When to look for objects that nobody asked for, and what becomes of them: Tracks in, what to report out.

The tracker marks the first frame of a run without objects (`Tracks.survey`); with `again`, each boundary is looked at
as well, for what no object covers. A search takes many passes, so it is done in slices: between frames on a live feed
(`live.py`), at once on a lossless one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import numpy as np

from stream.arrays import Array
from stream.errors import ModelError
from stream.messages import Frame, Masks, Tracks
from stream.reports import Proposal

log = logging.getLogger(__name__)


class Search(Protocol):
    """A search on one frame (`automatic.Survey`)."""

    def step(self) -> bool:
        """Do a slice; True when it was the last. ModelError when the model has no answer."""

    def found(self) -> tuple[Proposal, ...]:
        """What was found so far, best first."""


Begin = Callable[[Frame, Array | None, int], Search]  # a frame, (H, W) bool where known objects are, how many to find
Tell = Callable[[Tracks, tuple[Proposal, ...]], None]  # what was asked about, and what is there


class ObjectDiscovery:
    """Decides on which frames to search, one search at a time."""

    def __init__(self, begin: Begin, tell: Tell, most: int, again: bool, horizon: int) -> None:
        self.begin = begin
        self.tell = tell  # called on the thread of `finish`
        self.most = most  # objects alive, known ones included
        self.again = again
        self.horizon = horizon
        self.searching = False
        self.since = 0  # frames since the last search

    def look(self, tracks: Tracks, masks: Masks | None) -> SlicedTask | None:
        """A search on this frame, with the masks known there; None where there is no reason for one."""
        self.since += 1
        room = self.most - len(tracks.objects)
        # What was found last takes a moment to come back as objects; without objects there are no boundaries.
        due = self.again and self.since >= self.horizon and (tracks.boundary or not tracks.objects)
        if room <= 0 or self.searching or not (tracks.survey or due):
            return None
        self.searching = True
        covered = None if masks is None else np.asarray(masks.label_image() != 0)
        return SlicedTask(self, tracks, self.begin(tracks.frame, covered, room))


class SlicedTask:
    """A search under way."""

    def __init__(self, discovery: ObjectDiscovery, tracks: Tracks, search: Search) -> None:
        self.discovery = discovery
        self.tracks = tracks
        self.search = search

    def step(self) -> bool:
        """Do a slice; True when it was the last. A model without an answer ends the search with what was found."""
        try:
            return self.search.step()
        except ModelError as error:
            log.warning("the search on frame %d ends early: %s", self.tracks.frame.stamp.frame_id, error)
            return True

    def finish(self) -> None:
        """Tell what was found."""
        self.discovery.searching, self.discovery.since = False, 0
        self.discovery.tell(self.tracks, self.search.found())
