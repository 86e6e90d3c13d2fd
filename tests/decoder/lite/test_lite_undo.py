"""A tracker and a decoder of `lite` together: points that spoil a mask are taken back."""

from __future__ import annotations

import numpy as np
import pytest
from builders import frame

from nodes.capture.scene import DemoScene
from nodes.decoder.node import make_stage as make_decoder
from nodes.tracker.node import make_stage as make_tracker
from stream.commands import GivePrompt, Start, StartTracker, UndoPoint
from stream.crops import uncrop_mask
from stream.in_memory import InMemoryNode
from stream.messages import FrameRef, Masks, Prompt, Seeds
from stream.reports import Answer
from stream.settings.presets import load

PLANET, ROCK = 1, 3  # labels of the demo scene


class Graph:
    """Both stages on the demo scene; what the tracker sends reaches the decoder at once, and seeds go back."""

    def __init__(self) -> None:
        config = load("lite", {"capture.realtime": True})
        self.tracker_node, self.decoder_node = InMemoryNode(), InMemoryNode()
        self.tracker, self.decoder = make_tracker(config, self.tracker_node), make_decoder(config, self.decoder_node)
        self.tracker_node.start(self.tracker, StartTracker(fps=25.0))
        self.decoder_node.start(self.decoder, Start())
        self.scene = DemoScene()
        self.next_id = 60
        self.iou = 0.0  # of the newest mask with the rock

    def frames(self, count: int) -> None:
        for _ in range(count):
            rgb, truth = self.scene.draw(self.next_id)
            self.tracker_node.time_s = self.next_id / 25
            self.tracker_node.give(self.tracker, frame(self.next_id, rgb=rgb))
            self._pass_on()
            self.next_id += 1
            for masks in self.decoder_node.take(Masks):
                for o in masks.objects:
                    mask, rock = uncrop_mask(o.bbox, o.mask, masks.size) != 0, truth == ROCK
                    self.iou = float((mask & rock).sum() / (mask | rock).sum())

    def give(self, kind: str, *, seen: bool) -> None:
        """Begin with the rock's true mask, or refine by clicks on the planet: on a frame that was seen, or the next."""
        at = self.next_id - 2 if seen else self.next_id
        truth = self.scene.draw(at)[1]
        rows, columns = np.nonzero(truth == PLANET)
        ref = FrameRef(session=0, frame_id=at) if seen else None
        prompt = Prompt(object_id=1, mask=(truth == ROCK).astype(np.uint8), frame=ref)
        if kind == "refine":
            shifts = np.array([(0, 0), (-30, 0), (30, 0), (0, -30), (0, 30)], np.float32)
            xy, labels = np.array([columns.mean(), rows.mean()], np.float32) + shifts, np.ones(5, np.uint8)
            prompt = Prompt(object_id=1, kind="refine", xy=xy, labels=labels, frame=ref)
        self.command(GivePrompt(prompt=prompt, request=1))

    def command(self, command: GivePrompt | UndoPoint) -> None:
        self.tracker_node.start(self.tracker, command)
        self._pass_on()
        assert not any(answer.error for answer in self.tracker_node.take(Answer))

    def _pass_on(self) -> None:
        sent, self.tracker_node.sent = self.tracker_node.sent, []
        for message in sent:
            self.decoder_node.give(self.decoder, message)
        for seeds in self.decoder_node.take(Seeds):
            self.tracker_node.give(self.tracker, seeds)


@pytest.mark.parametrize("seen", [True, False])
def test_an_undo_brings_the_mask_back_that_clicks_have_spoilt(seen):
    graph = Graph()
    graph.frames(4)
    graph.give("add", seen=seen)
    graph.frames(6)
    before = graph.iou
    graph.give("refine", seen=seen)
    graph.frames(10)
    spoilt = graph.iou
    graph.command(UndoPoint(object_id=1, request=2))
    graph.frames(4)
    assert spoilt < 0.5
    assert min(before, graph.iou) > 0.85
