"""A live feed for a tracker's stage whose frames take longer than they come, and what it made of it."""

from __future__ import annotations

import numpy as np
from running import until
from tracker.small_pips import textured

from nodes.tracker.node import make_stage
from stream.commands import GivePrompt, RemoveObject, StartTracker
from stream.in_memory import InMemoryNode
from stream.messages import Frame, Prompt, Seed, Seeds, Stamp, Tracks
from stream.settings.presets import load

SIZE = (128, 160)
PERIOD_S, STEP_S = 0.04, 0.1
MASK = (30, 40, 60, 50)  # x, y, width, height


class LiveFeed:
    """A tracker's stage on a feed of 25 frames a second, of which each step takes as long as two and a half.

    A decoder that answers at once gives the same mask whenever one is asked for.
    """

    def __init__(self, keys: dict[str, object]) -> None:
        self.node = InMemoryNode()
        self.stage = make_stage(load("lite", {"capture.realtime": True, "tracker.horizon": 4, **keys}), self.node)
        self.node.start(self.stage, StartTracker(fps=1 / PERIOD_S))
        self.pictures = textured(8, SIZE)
        self.frame_id = -1
        self.tracks: list[Tracks] = []  # the newest few
        self.ages: list[float] = []  # s, from a frame's capture until it was answered

    def run(self, frames: int) -> None:
        """So many frames more."""
        last = self.frame_id + frames
        while self.frame_id < last:
            newest = int(self.node.time_s / PERIOD_S)
            if newest <= self.frame_id:
                newest = self.frame_id + 1
                self.node.time_s = newest * PERIOD_S
            self.frame_id = newest
            if self.stage.wants("frames"):
                self._give(newest)
            else:
                self.node.time_s += PERIOD_S / 4
                self.stage.on_idle()

    def add(self, object_id: int, *, click: bool = False) -> None:
        """An object, by its mask or by a click on it."""
        x, y, width, height = MASK
        if click:
            given = {"xy": np.array([[x + 20, y + 20]], np.float32), "labels": np.ones(1, np.uint8)}
        else:
            mask = np.zeros(SIZE, np.uint8)
            mask[y : y + height, x : x + width] = 1
            given = {"mask": mask}
        self.node.start(self.stage, GivePrompt(prompt=Prompt(object_id=object_id, **given)))

    def refine(self, object_id: int) -> None:
        """One more click on an object."""
        xy = np.array([[MASK[0] + 10, MASK[1] + 10]], np.float32)
        prompt = Prompt(object_id=object_id, kind="refine", xy=xy, labels=np.ones(1, np.uint8))
        self.node.start(self.stage, GivePrompt(prompt=prompt))

    def remove(self, object_id: int) -> None:
        """End an object."""
        self.node.start(self.stage, RemoveObject(object_id=object_id))

    def _give(self, frame_id: int) -> None:
        captured_ns = round(1e9 * frame_id * PERIOD_S)
        stamp = Stamp(camera="c", session=0, frame_id=frame_id, captured_ns=captured_ns, captured_unix_ns=captured_ns)
        stepped = self.node.give(self.stage, Frame(stamp=stamp, rgb=self.pictures[frame_id % len(self.pictures)]))
        self.node.time_s += STEP_S if stepped else 0
        for tracks in self.node.take(Tracks):
            self.tracks = [*self.tracks, tracks][-8:]
            self.ages.append(self.node.time_s - tracks.frame.stamp.captured_ns / 1e9)
            self._answer(tracks)
        self.node.reports.clear()

    def _answer(self, tracks: Tracks) -> None:
        if tracks.seeds_for:
            mask = np.ones(MASK[:1:-1], np.uint8)
            objects = tuple(Seed(object_id=i, bbox=MASK, mask=mask) for i in tracks.seeds_for)
            stamp = tracks.frame.stamp
            self.node.give(self.stage, Seeds(frame_id=stamp.frame_id, epoch=stamp.epoch, size=SIZE, objects=objects))
            until(self._drawn, "the points of these seeds")

    def _drawn(self) -> bool:
        """Let the tracker have the points that are drawn beside the feed, if they are."""
        self.stage.on_idle()
        return not self.stage.background.busy
