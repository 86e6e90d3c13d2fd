"""Frames and prompts for tests of the tracker."""

from __future__ import annotations

import numpy as np

from stream.messages import Frame, Prompt, Stamp

SIZE = (60, 80)


def frame(i: int, size=SIZE, epoch: int = 0, session: int = 0) -> Frame:
    stamp = Stamp(camera="c", session=session, frame_id=i, captured_ns=i, captured_unix_ns=i, epoch=epoch)
    return Frame(stamp=stamp, rgb=np.full((*size, 3), i % 256, np.uint8))


def points(object_id: int = 1, xy=((20, 20), (24, 30)), kind: str = "add") -> Prompt:
    labels = np.ones(len(xy), np.uint8)
    return Prompt(object_id=object_id, kind=kind, xy=np.array(xy, np.float32), labels=labels)
