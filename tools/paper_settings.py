"""What SAM-PT's evaluation runs with (paper, section 4.2): the defaults of the configuration, for tools without one."""

from __future__ import annotations

from stream.geometry import Size
from stream.settings.config import Tracker

_TRACKER = Tracker()
SEED = _TRACKER.seed
POSITIVES, NEGATIVES = _TRACKER.positive_points, _TRACKER.negative_points  # of each object
_height, _width = _TRACKER.size.split("x")
TRACKER_SIZE: Size = (int(_height), int(_width))  # that frames are fitted into
