"""What nodes tell the supervisor, beside the feed: frozen messages (units as in `stream/messages.py`)."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
import numpy as np

from stream.arrays import Array, expect
from stream.crops import uncrop_mask
from stream.messages import Message, Prompt


class Report(Message, frozen=True, kw_only=True):
    """Base of every report: who speaks; the node's runtime fills it in."""

    node: str = ""
    pid: int = 0


class Hello(Report, frozen=True, kw_only=True):
    """A node is loaded and waits for its start command."""

    schema: ClassVar[str] = "hello/2"
    incarnation: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]  # as in its requests for commands


class SinkState(msgspec.Struct, frozen=True, kw_only=True):
    """What became of something that the renderer writes, in this life of its node."""

    path: str = ""  # of the newest file, or of the folder; empty while there is none
    files: int = 0  # recordings so far, each a file of its own
    error: str = ""  # why it writes no more


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage has done so far in this life of its node."""

    phase: str = "running"
    frame_id: int = -1  # the newest that it handled
    counters: dict[str, float] = {}  # that only grow: summed over all lives of the node
    gauges: dict[str, float] = {}  # as they are now
    sinks: dict[str, SinkState] = {}  # by the key of their config; the counter KEY_written holds how many pictures


class Health(Report, frozen=True, kw_only=True):
    """The heartbeat of a node, once a second and once more at its end: what its runtime measures, and the progress."""

    schema: ClassVar[str] = "health/2"
    progress: Progress = Progress()
    steps: int = 0  # messages of the feed handled
    rate_hz: float = 0.0  # since the last heartbeat
    busy: float = 0.0  # share of the time spent inside steps, since the last heartbeat
    step_ms: float = 0.0  # mean, since the last heartbeat
    in_step_s: float = 0.0  # age of the step under way
    in_steps_s: float = 0.0  # spent inside steps, in all
    active_s: float = 0.0  # from the first step to the end of the last
    rss_mb: float = 0.0
    peak_rss_mb: float = 0.0
    malformed: int = 0
    refused_keys: int = 0  # by the sockets of its process, as far as no other node in it has told them
    refused_connections: int = 0
    dropped: int = 0  # messages that gave way in a queue of this node, or were lost on their way to it
    transport_ms: float = 0.0  # spent packing, sending, receiving and unpacking, in all


class Opened(Report, frozen=True, kw_only=True):
    """Capture has a picture: its size, and what the source says of itself."""

    schema: ClassVar[str] = "opened/1"
    size: tuple[int, int]  # (height, width), px
    fps: float | None = None
    frames: int | None = None  # expected in all
    session: int = 0
    epoch: int = 0
    prompts: tuple[Prompt, ...] = ()  # the demo scene suggests its own


class Bound(Report, frozen=True, kw_only=True):
    """The node has opened a socket that others have to be told of."""

    schema: ClassVar[str] = "bound/2"
    endpoint: str  # as bound: where port 0 was asked for, the system has chosen one
    topic: str = "publish"  # what is sent there: to programs outside, or to the proxy; else for a reader elsewhere


class Done(Report, frozen=True, kw_only=True):
    """The node has passed on the end of the feed."""

    schema: ClassVar[str] = "done/1"


class Failure(Report, frozen=True, kw_only=True):
    """The node gives up for a reason that a restart would not mend."""

    schema: ClassVar[str] = "failure/1"
    message: str
    exit_code: int


class Answer(Report, frozen=True, kw_only=True):
    """The node's answer to a command that carried a request."""

    schema: ClassVar[str] = "answer/1"
    request: int
    result: dict[str, bool | int | float | str] = {}
    error: str = ""
    code: str = "internal"  # of the error, as the client gets it (docs/protocol.md)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A mask that may be an object; nobody asked for it, so that it has no id yet."""

    bbox: tuple[int, int, int, int]  # x, y, width, height, px
    bits: Array  # (ceil(width * height / 8),) uint8: the crop of bbox, packed: there may be a hundred of them
    score: float  # 0..1, predicted IoU
    inside: tuple[float, float]  # x, y, frame px: a point well inside

    def __post_init__(self) -> None:
        x, y, width, height = self.bbox
        if min(x, y) < 0 or min(width, height) < 1:
            raise ValueError(f"proposal.bbox is {self.bbox}; needs x, y of 0 or more and a size of 1 or more")
        expect(self.bits, "proposal.bits", "uint8", ((width * height + 7) // 8,))

    def whole(self, size: tuple[int, int]) -> Array:
        """(H, W) uint8 mask of 0 and 1."""
        _, _, width, height = self.bbox
        return uncrop_mask(self.bbox, np.unpackbits(self.bits, count=width * height).reshape(height, width), size)


class Found(Report, frozen=True, kw_only=True):
    """The decoder has looked for objects that no prompt named: the best first, perhaps none."""

    schema: ClassVar[str] = "found/1"
    frame_id: int
    requested: bool = False  # on the first frame, as the tracker asked for; else at a boundary, or by request
    count: int = 0  # new objects at most, where somebody asked for so many; 0: as the config says
    size: tuple[int, int]  # (height, width) of that frame, px
    objects: tuple[Proposal, ...] = ()

    def __post_init__(self) -> None:
        for o in self.objects:
            x, y, width, height = o.bbox
            if x + width > self.size[1] or y + height > self.size[0]:
                raise ValueError(f"proposal.bbox {o.bbox} lies outside the frame of {self.size[1]}x{self.size[0]}")


REPORTS: tuple[type[Report], ...] = (Hello, Health, Opened, Bound, Done, Failure, Answer, Found)
