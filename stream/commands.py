"""What the supervisor asks of a node: one struct for each kind of command; a stage tells them apart by `match`."""

from __future__ import annotations

from typing import ClassVar

from stream.messages import FrameRef, Message, Prompt
from stream.settings.zones import Zones


class Command(Message, frozen=True, kw_only=True):
    """Base of every command."""


class Start(Command, frozen=True, kw_only=True):
    """Begin to take messages: the decoder, the renderer, the publisher."""

    schema: ClassVar[str] = "start/1"
    restarts: int = 0  # how often the node was restarted before


class StartCapture(Command, frozen=True, kw_only=True):
    """Open the source, and go on from where an earlier life of capture has got to."""

    schema: ClassVar[str] = "start_capture/1"
    frame_id: int = 0  # of the next frame
    session: int = 0
    epoch: int = 0  # the geometry epoch
    elapsed_s: float = 0.0  # since the first frame, for --duration
    opened_before: bool = False  # the source has been open, so it is never given up


class StartTracker(Command, frozen=True, kw_only=True):
    """Begin to take frames."""

    schema: ClassVar[str] = "start_tracker/1"
    newest_frame_id: int = -1  # that an earlier life has tracked; -1: none
    fps: float | None = None  # of the feed, as its source states it
    discover: bool = False  # let the decoder look for objects on the first frame (--auto)


class GivePrompt(Command, frozen=True, kw_only=True):
    """Follow an object, correct it, or take it back after a restart (tracker)."""

    schema: ClassVar[str] = "give_prompt/1"
    prompt: Prompt
    request: int = 0  # that an Answer is to name: the prompt is accepted, or its frame is gone; 0: nobody waits


class ChooseCandidate(Command, frozen=True, kw_only=True):
    """Take another of the masks that an object's newest prompt may mean (tracker); the decoder answers the request."""

    schema: ClassVar[str] = "choose_candidate/1"
    object_id: int
    step: int  # so many masks larger, or (below 0) smaller
    request: int


class HoldFrame(Command, frozen=True, kw_only=True):
    """Keep a frame for a prompt that is still being given (tracker); the Answer names the request."""

    schema: ClassVar[str] = "hold_frame/1"
    frame: FrameRef
    request: int


class ReleaseFrame(Command, frozen=True, kw_only=True):
    """Keep a frame no longer (tracker)."""

    schema: ClassVar[str] = "release_frame/1"
    frame: FrameRef


class RemoveObject(Command, frozen=True, kw_only=True):
    """Follow an object no longer (tracker)."""

    schema: ClassVar[str] = "remove_object/1"
    object_id: int


class DecoderRestarted(Command, frozen=True, kw_only=True):
    """The decoder has forgotten every object: tell it of them with the next frame (tracker)."""

    schema: ClassVar[str] = "decoder_restarted/1"


class DiscoveryDone(Command, frozen=True, kw_only=True):
    """What was found on the first frame has been given as prompts; go on (tracker)."""

    schema: ClassVar[str] = "discovery_done/1"


class FindObjects(Command, frozen=True, kw_only=True):
    """Have the decoder look for objects that nobody asked for on the next frame (tracker)."""

    schema: ClassVar[str] = "find_objects/1"
    count: int  # new ones at most


class UndoPoint(Command, frozen=True, kw_only=True):
    """Bring an object back to what it was before its newest points (tracker); the Answer names the request."""

    schema: ClassVar[str] = "undo_point/1"
    object_id: int
    request: int


class Pause(Command, frozen=True, kw_only=True):
    """Hold the feed (capture)."""

    schema: ClassVar[str] = "pause/1"


class Resume(Command, frozen=True, kw_only=True):
    """Let the feed go on (capture)."""

    schema: ClassVar[str] = "resume/1"


class RepeatPicture(Command, frozen=True, kw_only=True):
    """Give the picture of a paused live feed again for a while: something was asked for that shows there (capture)."""

    schema: ClassVar[str] = "repeat_picture/1"


class TakeSnapshot(Command, frozen=True, kw_only=True):
    """Write the newest frame with its masks (renderer); the Answer names the request."""

    schema: ClassVar[str] = "take_snapshot/1"
    request: int


class Record(Command, frozen=True, kw_only=True):
    """Record from now on, or no longer (renderer); the Answer names the request."""

    schema: ClassVar[str] = "record/1"
    on: bool
    request: int


class SetLabels(Command, frozen=True, kw_only=True):
    """What the user calls the objects, by id: those without a label are left out (renderer, publisher)."""

    schema: ClassVar[str] = "set_labels/1"
    labels: dict[int, str]


class SetZones(Command, frozen=True, kw_only=True):
    """Tell what happens in these zones, in place of those of the config (publisher)."""

    schema: ClassVar[str] = "set_zones/1"
    zones: Zones


class PublishStatus(Command, frozen=True, kw_only=True):
    """Tell the world how the graph is (publisher)."""

    schema: ClassVar[str] = "publish_status/1"
    status: str  # JSON
    camera: str = ""  # whose it is, where that is not the node's own (proxy)


class SetCameras(Command, frozen=True, kw_only=True):
    """Which cameras there are from now on (proxy, web)."""

    schema: ClassVar[str] = "set_cameras/1"
    endpoints: dict[str, str]  # by name: where the camera's publisher is bound, within this run


class Stop(Command, frozen=True, kw_only=True):
    """End."""

    schema: ClassVar[str] = "stop/1"


STARTS: tuple[type[Command], ...] = (Start, StartCapture, StartTracker)
COMMANDS: tuple[type[Command], ...] = (
    *STARTS,
    GivePrompt,
    ChooseCandidate,
    HoldFrame,
    ReleaseFrame,
    RemoveObject,
    DecoderRestarted,
    DiscoveryDone,
    FindObjects,
    UndoPoint,
    Pause,
    Resume,
    RepeatPicture,
    TakeSnapshot,
    Record,
    SetLabels,
    SetZones,
    PublishStatus,
    SetCameras,
    Stop,
)
