"""Frames that have been tracked in, what the tracker answers about them out: Tracks, and requests for Seeds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from nodes.tracker.tracked_object import TrackedObject
from stream.messages import Frame, ObjectTrack, Prompt, PromptOnFrame, ReinitRequest, Tracks

Answer = Tracks | ReinitRequest | PromptOnFrame


@dataclass(frozen=True)
class PendingFrame:
    """A frame whose Tracks wait, and the objects whose window ended on it."""

    frame: Frame
    due: tuple[int, ...]

    @property
    def frame_id(self) -> int:
        """The count that capture gave it."""
        return self.frame.stamp.frame_id


class PendingFrames:
    """The frames that have not been answered, oldest first (emit: horizon answers a window at a time)."""

    def __init__(self) -> None:
        self._frames: list[PendingFrame] = []

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def newest_id(self) -> int:
        """The frame_id of the last one."""
        return self._frames[-1].frame_id

    def push(self, frame: Frame, due: tuple[int, ...]) -> None:
        """Let a frame wait, on which the windows of the objects `due` end."""
        self._frames.append(PendingFrame(frame, due))

    def clear(self) -> None:
        """Pass all of them over."""
        self._frames.clear()

    def take(
        self,
        until: int,
        objects: Mapping[int, TrackedObject],
        prompts: Sequence[Prompt],
        unsettled: Collection[int] = (),
    ) -> list[Tracks]:
        """The tracks of the frames up to id `until`, which wait no longer; the prompts belong to the newest frame.

        `unsettled`: objects with points that later frames may place otherwise, on frames after their anchor.
        """
        newest = self.newest_id
        taken = [p for p in self._frames if p.frame_id <= until]
        self._frames = self._frames[len(taken) :]
        return [_tracks(p, objects, prompts if p.frame_id == newest else (), unsettled) for p in taken]


def request_reinit(tracks: Tracks) -> ReinitRequest:
    """What asks for the Seeds of a boundary frame, and not for its masks."""
    return ReinitRequest(frame=tracks.frame, objects=tracks.objects, prompts=tracks.prompts, seeds_for=tracks.seeds_for)


def redone_tracks(request: ReinitRequest, objects: Sequence[ObjectTrack]) -> Tracks:
    """What asks for the masks of a boundary frame whose Seeds were asked for before."""
    return Tracks(frame=request.frame, objects=tuple(objects), prompts=request.prompts, boundary=True)


def _tracks(
    pending: PendingFrame,
    objects: Mapping[int, TrackedObject],
    prompts: Sequence[Prompt],
    unsettled: Collection[int],
) -> Tracks:
    return Tracks(
        frame=pending.frame,
        objects=tuple(o.track_at(pending.frame, i in unsettled) for i, o in objects.items()),
        prompts=tuple(prompts),
        boundary=bool(pending.due),
        seeds_for=tuple(dict.fromkeys([*pending.due, *(p.object_id for p in prompts)])),
    )
