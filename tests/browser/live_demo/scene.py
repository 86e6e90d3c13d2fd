"""Where the objects of the demo scene are, and a person's hands that find them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest
from running import until

from browser.live_page import LivePage
from browser.live_run import LiveRun, live_run
from nodes.capture.scene import PERIOD, DemoScene
from stream.messages import Prompt
from tools.evaluation.in_process import InProcessGraph, lossless

FPS = 6  # so that a machine which does other things beside it passes over few frames
PLANET, STAR, ROCK = 1, 2, 3
SCENE = DemoScene()


@contextmanager
def playing(fps: int) -> Iterator[LiveRun]:
    """A run of the scene as a feed that does not end, with its frame numbers drawn; it publishes masks."""
    keys = {"demo_frames": 1_000_000, "demo_fps": fps, "demo_code": "true", "demo_objects": "false"}
    sets = [word for key, value in keys.items() for word in ("--set", f"capture.{key}={value}")]
    with live_run("--source", "demo", "--realtime", *sets) as started:
        started.newest()
        yield started


def truth(frame_id: int, label: int) -> np.ndarray:
    """(H, W) bool: where an object of the scene is seen."""
    return SCENE.draw(frame_id)[1] == label


def whole(frame_id: int, label: int) -> bool:
    """Whether nothing hides the object there."""
    return bool(truth(frame_id, label).sum() >= 0.85 * max(truth(i, label).sum() for i in range(0, PERIOD, 50)))


def centre(frame_id: int) -> tuple[float, float]:
    """Of the rock, frame px."""
    rows, columns = np.nonzero(truth(frame_id, ROCK))
    return float(columns.mean()), float(rows.mean())


def middle(mask: np.ndarray) -> tuple[int, int, float]:
    """(x, y, px to the edge) of the position deepest inside a mask."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x), int(y), float(depth.max())


def seen(page: LivePage, label: int, deep: float = 18.0) -> tuple[int, int, int]:
    """(frame_id, x, y): a position well inside an object of the scene, once it is in sight."""
    found: list[tuple[int, int, int]] = []

    def in_sight() -> bool:
        frame_id = page.state()["painted"]["frame_id"]
        x, y, depth = middle(truth(frame_id, label))
        found[:] = [(frame_id, x, y)]
        return depth >= deep

    until(in_sight, f"object {label} of the scene in sight")
    return found[0]


def held_on(page: LivePage, label: int, deep: float = 18.0) -> tuple[int, int, int]:
    """(frame_id, x, y): the button is down, and the picture held, on an object of the scene.

    The scene goes on between looking and pressing; where the object has left meanwhile, it is tried again.
    """
    found: list[tuple[int, int, int]] = []

    def pressed() -> bool:
        _, x, y = seen(page, label, deep)
        there = page.place(x, y)
        page.page.mouse.move(*there)
        page.page.mouse.down()
        state = page.state()
        frame_id = state["painted"]["frame_id"]
        found[:] = [(frame_id, x, y)]
        if state["frozen"] and page.place(x, y) == there and truth(frame_id, label)[y - 4 : y + 5, x - 4 : x + 5].all():
            return True
        page.press("Escape")
        page.page.mouse.up()
        page.wait_for(lambda s: not s["frozen"], "a picture that goes on")
        return False

    until(pressed, f"a press on object {label} of the scene")
    return found[0]


def clicked(page: LivePage, label: int) -> tuple[int, dict[str, Any]]:
    """(object id, the request) of a click on an object of the scene."""
    before = {o["id"] for o in page.state()["objects"]}
    frame_id, x, y = held_on(page, label)
    page.page.mouse.up()
    state = page.wait_for(lambda s: {o["id"] for o in s["objects"]} - before, "an object that was clicked")
    request = page.requests("add_object")[-1]
    assert request["frame"]["frame_id"] == frame_id, "the request names the frame that was seen"
    (point,) = request["points"]
    assert point == [pytest.approx(x, abs=0.6), pytest.approx(y, abs=0.6), 1], f"{point}, where {x}, {y} was clicked"
    (object_id,) = {o["id"] for o in state["objects"]} - before
    return object_id, request


def followed(page: LivePage, object_id: int) -> tuple[int, np.ndarray]:
    """(frame_id, mask) of an object as the page paints it, once it has one."""
    until(lambda: page.mask(object_id) is not None, f"a painted mask of object {object_id}")
    found = page.mask(object_id)
    assert found is not None
    return found


def replayed(run: LiveRun, prompt: Prompt, first: int, last: int) -> np.ndarray | None:
    """(H, W) bool on frame `last`: what the prompt gives in a lossless run of a clip that begins with frame `first`.

    None where the run, on a machine too busy, has passed frames over in between, and so shows nothing about the click.
    """
    ids = range(first, last + 1)
    if not all(frame_id in run.published for frame_id in ids):
        return None
    graph, scene = InProcessGraph(lossless("lite")), DemoScene(code=True)
    for frame_id in ids:
        (masks,) = graph.step(scene.draw(frame_id)[0], [prompt] if frame_id == first else [])
    return masks.label_image() == prompt.object_id
