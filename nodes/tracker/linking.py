"""Where points start their next windows: three rules, each with its way to run the windows up to a frame.

    BoundaryLinking            all points of an object on the boundary frame
    VisibleLinking             each point where the model saw it clearly last, and all of an object on the boundary
    EndlessVisibleLinking      each point where the model saw it clearly last: there is no re-initialisation

The second and third follow PIPS' own rule (docs/sam_pt.md, b.5).
"""

from __future__ import annotations

from collections.abc import Sequence

from nodes.tracker import windows
from nodes.tracker.frame_buffer import BufferedFrame, FrameBuffer
from nodes.tracker.point_model import PointModel
from nodes.tracker.point_set import PointSet
from stream.settings.options import TrackerOptions


class BoundaryLinking:
    """All points of an object on the boundary frame: what a live feed with re-initialisation does."""

    def __init__(self, model: PointModel, buffer: FrameBuffer, horizon: int) -> None:
        self.model = model
        self.buffer = buffer
        self.horizon = horizon

    def settle(self, point_sets: Sequence[PointSet], newest: int) -> int | None:
        """End every window that is full; the last frame, up to `newest`, that no later window will revise.

        None: windows end at boundaries alone.
        """
        return None

    def reach(self, point_sets: Sequence[PointSet], frame_id: int) -> None:
        """Let points reach the last frame of their window."""
        windows.advance(self.model, self.buffer, point_sets, until=frame_id)

    def link(self, point_sets: Sequence[PointSet], boundary: BufferedFrame) -> list[PointSet]:
        """The points of an object at the start of the window that follows a boundary, which they have reached."""
        return windows.link_all(self.model, point_sets, boundary.frame_id, boundary.features)

    def catch_up(self, drawn: PointSet, window_ends: Sequence[int]) -> PointSet:
        """Freshly drawn points, taken over the windows that have ended since as if they had been drawn in time."""
        if not len(drawn):
            return drawn
        for end in [i for i in window_ends if i > drawn.anchors[0]]:
            boundary = self.buffer.find(end)
            assert boundary is not None, f"frame {end} is in the buffer: older ends of windows are forgotten"
            self.reach([drawn], end)
            [drawn] = self.link([drawn], boundary)
        return drawn


class VisibleLinking(BoundaryLinking):
    """Each point where the model saw it clearly last; at the boundary all of an object, as their masks are due."""

    def reach(self, point_sets: Sequence[PointSet], frame_id: int) -> None:
        """Let points reach the last frame of their window, on as many windows of their own as that takes."""
        windows.settle(self.model, self.buffer, point_sets, self.horizon, until=frame_id)


class EndlessVisibleLinking(VisibleLinking):
    """Each point where the model saw it clearly last; points live as long as their object."""

    def settle(self, point_sets: Sequence[PointSet], newest: int) -> int | None:
        """End every window that is full; no window will revise what lies before every anchor, or where no point is."""
        windows.settle(self.model, self.buffer, point_sets, self.horizon)
        oldest = windows.oldest_anchor(point_sets)
        return newest if oldest is None else oldest

    def link(self, point_sets: Sequence[PointSet], boundary: BufferedFrame) -> list[PointSet]:
        """The same points: a boundary asks for masks, and leaves them alone."""
        return list(point_sets)

    def catch_up(self, drawn: PointSet, window_ends: Sequence[int]) -> PointSet:
        """Freshly drawn points, their full windows ended."""
        if len(drawn):
            windows.settle(self.model, self.buffer, [drawn], self.horizon)
        return drawn


def make_linking(model: PointModel, buffer: FrameBuffer, options: TrackerOptions) -> BoundaryLinking:
    """The rule that the options ask for."""
    if options.link == "boundary":
        return BoundaryLinking(model, buffer, options.horizon)
    rule = VisibleLinking if options.reinit else EndlessVisibleLinking
    return rule(model, buffer, options.horizon)
