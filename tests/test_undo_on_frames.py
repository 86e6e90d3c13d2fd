"""Points that spoil a mask are taken back, through tracker and decoder, and the object is where it is by then."""

from __future__ import annotations

import numpy as np
import pytest
from builders import point_prompt, texture
from decoder.disc_sam import DiscSam
from msgspec.structs import replace
from online_graph import OnlineGraph, live_config
from running import until

from nodes.capture.scene import DemoScene
from nodes.decoder.sam.sam_pt import SamPt
from stream.commands import GivePrompt, UndoPoint
from stream.messages import FrameRef, Prompt

PLANET, ROCK = 1, 3  # labels of the demo scene
BEGIN = 60  # the first of its frames that is shown


def give(graph: OnlineGraph, prompt: Prompt, *, seen: int | None) -> None:
    """A prompt comes: on a frame that was seen, or on the next one."""
    named = replace(prompt, frame=None if seen is None else FrameRef(session=0, frame_id=seen))
    assert not any(answer.error for answer in graph.command(GivePrompt(prompt=named, request=1)))


def undo(graph: OnlineGraph) -> str:
    """The code of the error; empty where it was done."""
    [answer] = graph.command(UndoPoint(object_id=1, request=2))
    return answer.code if answer.error else ""


@pytest.mark.parametrize("seen", [True, False])
def test_an_undo_brings_the_mask_back_that_clicks_have_spoilt(seen):
    graph, scene = OnlineGraph(), DemoScene()

    def show(count: int) -> float:
        """The IoU of the newest mask with the rock."""
        for _ in range(count):
            rgb, truth = scene.draw(BEGIN + graph.frames)
            graph.show(rgb)
        mask, rock = graph.mask(1), truth == ROCK
        return float((mask & rock).sum() / (mask | rock).sum())

    def at() -> tuple[int | None, np.ndarray]:
        frame_id = graph.frames - 2 if seen else graph.frames
        return (frame_id if seen else None), scene.draw(BEGIN + frame_id)[1]

    show(4)
    frame_id, truth = at()
    give(graph, Prompt(object_id=1, mask=(truth == ROCK).astype(np.uint8)), seen=frame_id)
    before = show(6)
    frame_id, truth = at()
    rows, columns = np.nonzero(truth == PLANET)
    clicks = [(columns.mean() + x, rows.mean() + y) for x, y in ((0, 0), (-30, 0), (30, 0), (0, -30), (0, 30))]
    give(graph, point_prompt(1, clicks, kind="refine"), seen=frame_id)
    spoilt = show(10)
    assert undo(graph) == ""
    after = show(4)
    assert spoilt < 0.5
    assert min(before, after) > 0.85
    assert undo(graph) == "bad_params"


@pytest.mark.parametrize("seen", [True, False])
def test_sam_gives_the_mask_of_the_points_that_are_left(seen):
    graph = OnlineGraph(live_config("sam_pt", tracker__backend="lucas_kanade"), SamPt(DiscSam()))
    still = texture(4, (120, 160))
    graph.show(*[still] * 6)

    def covered() -> set[str]:
        """Which sides of the picture the newest mask covers."""
        graph.show(still)
        found = np.nonzero(graph.mask(1))[1]
        sides = {"left": found < 80, "right": found > 100}
        return {side for side, there in sides.items() if there.any()}

    give(graph, point_prompt(1, [(50, 60)]), seen=graph.frames - 2 if seen else None)
    until(lambda: covered() == {"left"}, "the first mask")
    graph.show(*[still] * 10)
    give(graph, point_prompt(1, [(120, 60)], kind="refine"), seen=graph.frames - 2 if seen else None)
    until(lambda: covered() == {"left", "right"}, "the mask of both points")
    assert undo(graph) == ""
    until(lambda: covered() == {"left"}, "the first mask again")
