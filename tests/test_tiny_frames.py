"""Frames of a few px go the whole way: followed, drawn, recorded, written and published."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from builders import box_prompt, mask_prompt, point_prompt
from msgspec.structs import replace

from nodes.publisher.node import make_stage as make_publisher
from nodes.renderer.node import make_stage as make_renderer
from stream.commands import Start
from stream.in_memory import InMemoryNode
from stream.messages import Prompt, Scene
from stream.public_wire.messages import unpack_masks
from stream.settings.config import Config, Publisher, Renderer
from tools.evaluation.in_process import InProcessGraph, lossless, stamped

FRAMES = 10


def first_prompts(height: int, width: int) -> list[Prompt]:
    corner, everything = np.zeros((height, width), np.uint8), np.ones((height, width), np.uint8)
    corner[0, 0] = 1
    return [
        point_prompt(1, [(width - 1, height - 1)]),
        point_prompt(1, [(width - 1, height - 1), (0, 0)], labels=[1, 0]),
        box_prompt(1, (0, 0, width, height)),
        box_prompt(1, (-0.4, -0.4, 0.2, 0.2)),
        mask_prompt(1, corner),
        mask_prompt(1, everything),
    ]


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (2, 2), (1, 8), (8, 1), (2, 7), (5, 3), (8, 8)])
def test_a_frame_may_be_as_small_as_one_pixel(tmp_path: Path, size: tuple[int, int]):
    height, width = size
    rng = np.random.default_rng(0)
    for prompt in first_prompts(height, width):
        node, graph = InMemoryNode(), InProcessGraph(lossless("lite"))
        sinks = Renderer(record=str(tmp_path / "a.mp4"), save_masks=str(tmp_path), picture=str(tmp_path / "a.png"))
        renderer = make_renderer(Config(renderer=sinks), node)
        publisher = make_publisher(Config(publisher=Publisher(codec="coco_rle", frames=True)), node)
        for stage in (renderer, publisher):
            node.start(stage, Start())
        refine = replace(point_prompt(1, [(width - 1, 0), (0, height - 1)], labels=[1, 0]), kind="refine")
        for i in range(FRAMES):
            rgb = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
            (masks,) = graph.step(rgb, {0: (prompt,), FRAMES // 2: (refine,)}.get(i, ()))
            node.give(renderer, Scene(frame=stamped(rgb, i), masks=masks))
            node.give(publisher, masks)
            assert unpack_masks(node.broadcast.sent[-1]).masks.size == size
        renderer.finish()
        assert cv2.imread(str(tmp_path / "a.png")).shape == (height, width, 3)
        with av.open(str(tmp_path / "a.mp4")) as video:
            assert len(list(video.decode(video=0))) == FRAMES
        (tmp_path / "a.mp4").unlink()
    assert len(list(tmp_path.glob("0*.png"))) == FRAMES
