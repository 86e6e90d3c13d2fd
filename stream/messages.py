"""What the nodes say to each other: frozen messages (their way to the wire and back is `stream/wire.py`).

Space and units: points are (x, y) in frame px with pixel centres
on whole numbers, boxes of masks are (x, y, width, height) in whole px, images are RGB uint8 (H, W, 3), times are ns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np

Array = np.ndarray[Any, Any]
State = Literal["tracked", "uncertain", "lost", "reacquired"]
Origin = Literal["decoded", "propagated"]

MAX_OBJECT_ID = 65_535  # of a label image of 16 bits
DTYPES = {name: np.dtype(name) for name in ("uint8", "float32", "int32")}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what travels between nodes; `schema` is the name and version in the header."""

    schema: ClassVar[str] = ""


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when a frame was captured; given once by capture, unchanged to the screen."""

    camera: str
    session: int  # +1 on each reconnect
    frame_id: int  # a count; gaps are frames passed over
    captured_ns: int  # monotonic clock of the capturing host
    captured_unix_ns: int
    pts_s: float | None = None  # the source's own presentation time, seconds
    epoch: int = 0  # geometry epoch: +1 when the frame size changes


class Frame(Message, frozen=True, kw_only=True):
    """One picture of the feed."""

    schema: ClassVar[str] = "frame/1"
    stamp: Stamp
    rgb: Array  # (H, W, 3) uint8
    truth: Array | None = None  # (H, W) uint8 label image; the demo scene alone knows it

    def __post_init__(self) -> None:
        expect(self.rgb, "frame.rgb", "uint8", (None, None, 3))
        if self.truth is not None:
            expect(self.truth, "frame.truth", "uint8", self.rgb.shape[:2])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in px."""
        return self.rgb.shape[0], self.rgb.shape[1]


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says of an object: points, a box, a mask, or several of them."""

    object_id: int
    kind: Literal["add", "refine", "restore"] = "add"
    xy: Array | None = None  # (N, 2) float32, frame px
    labels: Array | None = None  # (N,) uint8, 1 positive, 0 negative
    box: tuple[float, float, float, float] | None = None  # x1, y1, x2, y2, frame px
    mask: Array | None = None  # (H, W) uint8, 0 or 1, of the whole frame

    def __post_init__(self) -> None:
        if self.xy is not None:
            expect(self.xy, "prompt.xy", "float32", (None, 2))
            n = self.xy.shape[0]
            if self.labels is None or self.labels.shape != (n,):
                raise ValueError("prompt.labels must hold one label a point")
        if self.labels is not None:
            expect(self.labels, "prompt.labels", "uint8", (None,))
        if self.mask is not None:
            expect(self.mask, "prompt.mask", "uint8", (None, None))


class ObjectTrack(msgspec.Struct, frozen=True, kw_only=True):
    """One object's tracked points in one frame."""

    object_id: int
    xy: Array  # (N, 2) float32, frame px; may lie outside the frame
    visibility: Array  # (N,) float32, probability
    labels: Array  # (N,) uint8, 1 positive, 0 negative
    points_id: int = -1  # the same number (and labels): the same points in the same order
    drawn_id: int = -1  # frame_id that all of them were drawn on; -1: on several
    drawn_xy: Array | None = None  # (N, 2) float32, frame px: where they were then

    def __post_init__(self) -> None:
        if self.drawn_xy is not None:
            expect(self.drawn_xy, "track.drawn_xy", "float32", self.xy.shape)
        expect(self.xy, "track.xy", "float32", (None, 2))
        expect(self.visibility, "track.visibility", "float32", (self.xy.shape[0],))
        expect(self.labels, "track.labels", "uint8", (self.xy.shape[0],))


class Tracks(Message, frozen=True, kw_only=True):
    """The tracked points of every object in one frame, the frame itself, and the prompts that begin on it."""

    schema: ClassVar[str] = "tracks/1"
    frame: Frame
    objects: tuple[ObjectTrack, ...] = ()  # every object alive, also those without a visible point
    prompts: tuple[Prompt, ...] = ()
    due: tuple[int, ...] = ()  # the objects whose window ends on this frame; the decoder answers with Seeds for them
    # the decoder is to look for objects here and to report them (Found); a lossless frame comes once more, with them
    survey: bool = False

    @property
    def boundary(self) -> bool:
        """True where a window ends."""
        return bool(self.due)


class ObjectMask(msgspec.Struct, frozen=True, kw_only=True):
    """One object's mask in one frame: the crop of its bounding box."""

    object_id: int
    state: State
    origin: Origin
    score: float  # 0..1, the decoder's own quality guess
    bbox: tuple[int, int, int, int]  # x, y, width, height of the mask; width 0 when it is empty
    area: int  # px
    mask: Array  # (height, width) uint8, 0 or 1
    xy: Array  # (N, 2) float32, frame px
    visibility: Array  # (N,) float32
    labels: Array  # (N,) uint8

    def __post_init__(self) -> None:
        x, y, width, height = self.bbox
        if min(x, y, width, height) < 0:
            raise ValueError(f"mask.bbox is {self.bbox}; needs numbers of 0 or more")
        expect(self.mask, "mask.mask", "uint8", (height, width))
        expect(self.xy, "mask.xy", "float32", (None, 2))
        expect(self.visibility, "mask.visibility", "float32", (self.xy.shape[0],))
        expect(self.labels, "mask.labels", "uint8", (self.xy.shape[0],))


class Masks(Message, frozen=True, kw_only=True):
    """Every object's mask in one frame. The masks of a frame never overlap."""

    schema: ClassVar[str] = "masks/1"
    stamp: Stamp
    size: tuple[int, int]  # (height, width) of the frame, px
    objects: tuple[ObjectMask, ...] = ()
    passed_over: int = 0  # frames captured since the last message that were not decoded
    boundary: bool = False

    def __post_init__(self) -> None:
        height, width = self.size
        for o in self.objects:
            if o.bbox[0] + o.bbox[2] > width or o.bbox[1] + o.bbox[3] > height:
                raise ValueError(f"mask.bbox {o.bbox} lies outside the frame of {width}x{height}")

    def label_image(self) -> Array:
        """(H, W), each pixel the id of the object there, 0 background; uint8, or uint16 once an id is above 255."""
        return label_image(self.size, self.objects)


class Scene(Message, frozen=True, kw_only=True):
    """A frame with its masks: what the renderer draws."""

    schema: ClassVar[str] = "scene/1"
    frame: Frame
    masks: Masks


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """A mask that new query points are drawn from."""

    object_id: int
    bbox: tuple[int, int, int, int]
    mask: Array  # (height, width) uint8, the crop of bbox
    frame_id: int = -1  # of the mask's frame, where it is not the one that was asked about (variants B to D)

    def __post_init__(self) -> None:
        expect(self.mask, "seed.mask", "uint8", (self.bbox[3], self.bbox[2]))


class Seeds(Message, frozen=True, kw_only=True):
    """The decoder's answer to a boundary frame or a prompt: the masks to draw new points from.

    An object whose mask was bad is absent: its old points stay. The variants B to D may choose an earlier frame of its
    window than the last: then the object goes back there.
    """

    schema: ClassVar[str] = "seeds/1"
    frame_id: int
    epoch: int
    size: tuple[int, int]
    objects: tuple[Seed, ...] = ()

    def __post_init__(self) -> None:
        for o in self.objects:
            x, y, width, height = o.bbox
            if min(o.bbox) < 0 or x + width > self.size[1] or y + height > self.size[0]:
                raise ValueError(f"seed.bbox {o.bbox} lies outside the frame of {self.size[1]}x{self.size[0]}")


class End(Message, frozen=True, kw_only=True):
    """The last message of every topic: the feed has ended, or the user's limit was reached."""

    schema: ClassVar[str] = "end/1"


class Command(Message, frozen=True, kw_only=True):
    """What the supervisor asks of a node."""

    schema: ClassVar[str] = "command/1"
    kind: Literal["start", "prompt", "remove", "revive", "found", "pause", "resume", "snapshot", "status", "stop"]
    prompt: Prompt | None = None  # prompt
    object_id: int = 0  # remove
    request: int = 0  # snapshot: named in the Answer
    frame_id: int = 0  # start: of capture, the id to go on from; of the tracker, the newest that it has had
    session: int = 0  # start: of capture, the session to go on with; of others, how often they were restarted
    epoch: int = 0  # start of capture: the geometry epoch to go on with
    elapsed_s: float = 0.0  # start of capture: since the first frame, for --duration
    again: bool = False  # start of capture: the source has been open before, so it is never given up
    survey: bool = False  # start of the tracker: let the decoder look for objects on the first frame (--auto)
    status: str = ""  # status: the JSON that the publisher gives to the world


class Report(Message, frozen=True, kw_only=True):
    """Base of what nodes tell the supervisor."""

    node: str
    pid: int


class Hello(Report, frozen=True, kw_only=True):
    """A node is loaded and waits for its start command."""

    schema: ClassVar[str] = "hello/1"


class Health(Report, frozen=True, kw_only=True):
    """The beat of a node, once a second and once more at its end."""

    schema: ClassVar[str] = "health/1"
    phase: str = "running"
    frame_id: int = -1  # the newest that it handled
    steps: int = 0  # messages handled
    rate_hz: float = 0.0
    busy: float = 0.0  # share of the time spent inside steps, since the last beat
    step_ms: float = 0.0  # mean, since the last beat
    in_step_s: float = 0.0  # age of the step under way
    rss_mb: float = 0.0
    peak_rss_mb: float = 0.0
    malformed: int = 0
    dropped: int = 0  # messages that gave way in a queue of this node, or were lost on their way to it
    transport_ms: float = 0.0  # time spent packing, sending, receiving and unpacking, in all
    numbers: dict[str, float] = {}  # what only this kind of node has to tell


class Opened(Report, frozen=True, kw_only=True):
    """Capture has a picture: its size, and what the source says of itself."""

    schema: ClassVar[str] = "opened/1"
    size: tuple[int, int]  # (height, width), px
    fps: float | None = None
    frames: int | None = None  # expected in all
    session: int = 0
    epoch: int = 0
    prompts: tuple[Prompt, ...] = ()  # the demo scene suggests its own


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
    result: dict[str, str] = {}
    error: str = ""


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
    """The decoder has looked for objects that nobody asked for (--auto): the best first, perhaps none."""

    schema: ClassVar[str] = "found/1"
    frame_id: int
    survey: bool = False  # on the first frame, as the tracker asked for; else at a boundary
    size: tuple[int, int]  # (height, width) of that frame, px
    objects: tuple[Proposal, ...] = ()

    def __post_init__(self) -> None:
        for o in self.objects:
            x, y, width, height = o.bbox
            if x + width > self.size[1] or y + height > self.size[0]:
                raise ValueError(f"proposal.bbox {o.bbox} lies outside the frame of {self.size[1]}x{self.size[0]}")


REPORTS: tuple[type[Report], ...] = (Hello, Health, Opened, Done, Failure, Answer, Found)


def expect(array: Array, name: str, dtype: str, shape: Sequence[int | None]) -> None:
    """Check an array's dtype and shape (None: any length); ValueError says what came and what is needed."""
    fits = array.dtype is DTYPES[dtype] or array.dtype == DTYPES[dtype]
    if fits and len(array.shape) == len(shape):
        for have, want in zip(array.shape, shape, strict=True):
            if want is not None and want != have:
                break
        else:
            return
    wanted = "(" + ", ".join("any" if s is None else str(s) for s in shape) + ")"
    raise ValueError(f"{name} is {array.dtype} {array.shape}; needs {dtype} {wanted}")


def crop_mask(mask: Array) -> tuple[tuple[int, int, int, int], Array]:
    """The bounding box (x, y, width, height) of a (H, W) mask and its crop as uint8 0/1; (0, 0, 0, 0) when empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return (0, 0, 0, 0), np.zeros((0, 0), np.uint8)
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    y, x, height, width = rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    crop = np.ascontiguousarray(mask[y : y + height, x : x + width] != 0).view(np.uint8)
    return (int(x), int(y), int(width), int(height)), crop


def uncrop_mask(bbox: tuple[int, int, int, int], crop: Array, size: tuple[int, int]) -> Array:
    """The inverse of `crop_mask`: a (H, W) uint8 mask of 0 and 1."""
    mask = np.zeros(size, np.uint8)
    x, y, width, height = bbox
    mask[y : y + height, x : x + width] = crop
    return mask


def label_image(size: tuple[int, int], objects: Sequence[ObjectMask | Seed]) -> Array:
    """(H, W) label image: each pixel the id of the object there; uint8, or uint16 once an id is above 255."""
    wide = any(o.object_id > 255 for o in objects)
    labels = np.zeros(size, np.uint16 if wide else np.uint8)
    for o in objects:
        x, y, width, height = o.bbox
        labels[y : y + height, x : x + width][o.mask != 0] = o.object_id
    return labels
