"""Masks of a recording, in place of a mask model: frames in, the masks that were written beside their video out."""

from __future__ import annotations

import logging
from pathlib import Path

from stream.errors import MessageError
from stream.messages import DiscoverObjects, Frame, Masks, Message, PromptOnFrame, ReinitRequest, Scene, Tracks
from stream.node import NodeContext, Stage
from stream.recordings.mask_lines import LineOfTime, read_lines
from stream.reports import Found, Progress

log = logging.getLogger(__name__)


class ReplayStage(Stage):
    """The decoder of a run with `--replay-masks`: nothing is tracked, so prompts have no effect."""

    def __init__(self, path: str, node: NodeContext) -> None:
        """ConfigError where the file holds no masks."""
        self._node = node
        self._lines = LineOfTime(read_lines(Path(path)))
        self._frame_id = -1
        self._replayed = 0  # frames with masks of the file
        self._failed = 0  # frames without

    def step(self, message: Message) -> bool:
        """Answer a frame with its recorded masks; with none where the file has no line for it."""
        match message:
            case Tracks():
                self._answer(message.frame)
                return True
            case DiscoverObjects():
                self._node.report(Found(frame_id=message.frame.stamp.frame_id, requested=True, size=message.frame.size))
            case ReinitRequest() | PromptOnFrame():
                log.warning("prompts have no effect while masks are replayed", extra={"once_key": "prompt in replay"})
        return False

    def progress(self) -> Progress:
        """Frames that the file has masks for, and others."""
        counters: dict[str, float] = {"decoded": self._replayed, "failed": self._failed, "propagated": 0}
        return Progress(frame_id=self._frame_id, counters=counters)

    def _answer(self, frame: Frame) -> None:
        stamp = frame.stamp
        line = None if stamp.pts_s is None else self._lines.at(stamp.pts_s)
        masks = Masks(stamp=stamp, size=frame.size)
        if line is not None and (line.height, line.width) == frame.size:
            try:
                masks = line.masks(stamp)
            except MessageError as error:
                log.warning("a line of masks can't be read: %s", error, extra={"once_key": "replayed line"})
        self._replayed += line is not None
        self._failed += line is None
        self._node.send(masks)
        self._node.send(Scene(frame=frame, masks=masks))
        self._frame_id = stamp.frame_id
