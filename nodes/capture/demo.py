"""The drawn scene as a source."""

from __future__ import annotations

from nodes.capture.scene import DemoScene
from nodes.capture.source import Picture, SourceInfo


class DemoSource:
    """Frame after frame of the scene, with the true masks; it ends after `scene.frames`."""

    live = False

    def __init__(self, scene: DemoScene) -> None:
        self._scene = scene
        self._index = 0

    def open(self) -> SourceInfo:
        return SourceInfo(self._scene.size, self._scene.fps, self._scene.frames)

    def skip(self, count: int) -> None:
        self._index += count

    def read(self) -> Picture | None:
        if self._index >= self._scene.frames:
            return None
        rgb, truth = self._scene.draw(self._index)
        self._index += 1
        return Picture(rgb, (self._index - 1) / self._scene.fps, truth)

    def close(self) -> None:
        pass
