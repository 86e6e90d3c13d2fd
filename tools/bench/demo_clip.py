"""The clip that is measured with: the demo scene at a given size, encoded once, with its first mask as the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nodes.capture.scene import DemoScene
from nodes.renderer.sinks import label_png
from nodes.renderer.video_file import VideoFile
from stream.public_wire.messages import Received
from stream.settings.config import parse_size
from tools.evaluation.measures import region_similarity

OBJECT = 1  # the planet: always in sight


@dataclass(frozen=True)
class DemoClip:
    """A video file, and what is true about it."""

    video: Path
    prompt: Path  # label image of OBJECT in the first frame
    scene: DemoScene

    def mean_iou(self, messages: list[Received]) -> float:
        """Of OBJECT's mask with the truth, over these messages: a speed is worth nothing where the mask is lost."""
        return float(np.mean([self._iou(m) for m in messages])) if messages else 0.0

    def _iou(self, message: Received) -> float:
        mask = message.label_image() == OBJECT
        truth = self.scene.draw(message.masks.stamp.frame_id)[1] == OBJECT
        return region_similarity(truth, mask)


def draw_demo_clip(folder: Path, size: str, fps: float, frames: int) -> DemoClip:
    """Draw and encode `frames` frames of `size` ("854x480") into `folder`."""
    scene = DemoScene(parse_size(size), fps, frames)
    clip = DemoClip(folder / "clip.mp4", folder / "prompt.png", scene)
    video = VideoFile(clip.video, fps)
    for i in range(frames):
        rgb, truth = scene.draw(i)
        if i == 0:
            clip.prompt.write_bytes(label_png(np.where(truth == OBJECT, truth, 0)))
        video.write(rgb, round(i * 1e9 / fps))
    video.close()
    return clip
