"""What travels along the graph: frozen messages (their way to the wire and back is `stream/transport/wire.py`).

Space and units: points are (x, y) in frame px with pixel centres on whole numbers, boxes of masks are (x, y, width,
height) in whole px, images are RGB uint8 (H, W, 3), times are ns. What nodes tell the supervisor is in
`stream/reports.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec
import numpy as np
from msgspec.structs import replace

from stream.arrays import Array, expect

State = Literal["tracked", "uncertain", "lost", "reacquired"]
Origin = Literal["decoded", "propagated"]

MAX_OBJECT_ID = 65_535  # of a label image of 16 bits
VISIBLE = 0.5  # a tracked point counts as visible above this probability (SAM-PT, TAP-Vid)


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


class FrameRef(msgspec.Struct, frozen=True, kw_only=True):
    """Names a frame of a camera."""

    session: int
    frame_id: int
    epoch: int = 0

    @classmethod
    def of(cls, stamp: Stamp) -> FrameRef:
        """The name of the frame with that stamp."""
        return cls(session=stamp.session, frame_id=stamp.frame_id, epoch=stamp.epoch)


class Frame(Message, frozen=True, kw_only=True):
    """One picture of the feed."""

    schema: ClassVar[str] = "frame/1"
    stamp: Stamp
    rgb: Array  # (H, W, 3) uint8
    truth: Array | None = None  # (H, W) uint8 label image; the demo scene alone knows it
    name: bytes = b""  # of the picture's file, without its ending; file names need not be UTF-8; empty: it has none
    pixel_aspect: tuple[int, int] = (1, 1)  # width to height of a pixel, as it is to be shown

    def __post_init__(self) -> None:
        expect(self.rgb, "frame.rgb", "uint8", (None, None, 3))
        if b"/" in self.name or b"\0" in self.name:
            raise ValueError(f"frame.name is {self.name[:40]!r}; needs the name of a file, not a path")
        if not all(0 < part < 1 << 16 for part in self.pixel_aspect):
            raise ValueError(f"frame.pixel_aspect is {self.pixel_aspect}; needs two whole numbers from 1 to 65535")
        if self.truth is not None:
            expect(self.truth, "frame.truth", "uint8", self.rgb.shape[:2])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in px."""
        return self.rgb.shape[0], self.rgb.shape[1]


class Upload(Message, frozen=True, kw_only=True):
    """A picture of a page's own camera, or the word that this page sends no more."""

    schema: ClassVar[str] = "upload/1"
    page: int  # counts the pages, or times, that a camera was turned on
    jpeg: Array  # (bytes,) uint8; empty: no more
    reason: str = ""  # why it sends no more
    arrived_ns: int  # monotonic clock of the host that the page sends to
    arrived_unix_ns: int

    def __post_init__(self) -> None:
        expect(self.jpeg, "upload.jpeg", "uint8", (None,))


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """An object as it was last seen well: what it is looked for by, once it may be elsewhere."""

    size: tuple[int, int]  # (height, width) of that frame, px
    window: tuple[int, int, int, int]  # x, y, width, height, px: the part of the frame that is here
    rgb: Array  # (height / reduction, width / reduction, 3) uint8, rounded up
    mask: Array  # the same without colours, 0 or 1
    reduction: int = 1  # px of the frame that a px here stands for, in each direction: large pictures are shrunk

    def __post_init__(self) -> None:
        x, y, width, height = self.window
        if min(x, y) < 0 or x + width > self.size[1] or y + height > self.size[0]:
            raise ValueError(f"sighting.window {self.window} lies outside the frame of {self.size[1]}x{self.size[0]}")
        if self.reduction < 1:
            raise ValueError(f"sighting.reduction is {self.reduction}; needs a whole number of 1 or more")
        h, w = -(-height // self.reduction), -(-width // self.reduction)
        expect(self.rgb, "sighting.rgb", "uint8", (h, w, 3))
        expect(self.mask, "sighting.mask", "uint8", (h, w))


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says of an object: points, a box, a mask, or several of them."""

    object_id: int
    kind: Literal["add", "refine", "restore"] = "add"
    xy: Array | None = None  # (N, 2) float32, frame px
    labels: Array | None = None  # (N,) uint8, 1 positive, 0 negative
    box: tuple[float, float, float, float] | None = None  # x1, y1, x2, y2, frame px
    mask: Array | None = None  # (H, W) uint8, 0 or 1, of the whole frame
    seen_unix_ns: int = 0  # restore: when the object was last seen well; 0: unknown
    sighting: Sighting | None = None  # restore: how it looked then, where the tracker has the picture
    frame: FrameRef | None = None  # that somebody saw when they gave it; None: the next frame
    candidate: int | None = None  # of the masks that it may mean, by area from 0, the smallest; None: the default
    step: int = 0  # so many masks larger than the one that was chosen last
    corrections: int = 0  # so many of the last points were given to correct the mask that the others make

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
    points_final: bool = True  # False: later frames of their window would place them otherwise on this one

    def __post_init__(self) -> None:
        if self.drawn_xy is not None:
            expect(self.drawn_xy, "track.drawn_xy", "float32", self.xy.shape)
        expect(self.xy, "track.xy", "float32", (None, 2))
        expect(self.visibility, "track.visibility", "float32", (self.xy.shape[0],))
        expect(self.labels, "track.labels", "uint8", (self.xy.shape[0],))


class Tracks(Message, frozen=True, kw_only=True):
    """The tracked points of every object in one frame, the frame itself, and the prompts that begin on it."""

    schema: ClassVar[str] = "tracks/2"
    frame: Frame
    objects: tuple[ObjectTrack, ...] = ()  # every object alive, also those without a visible point
    prompts: tuple[Prompt, ...] = ()
    boundary: bool = False  # a window ends on this frame
    seeds_for: tuple[int, ...] = ()  # objects whose Seeds the decoder sends: prompted, or at a boundary


class ReinitRequest(Message, frozen=True, kw_only=True):
    """A boundary frame whose masks only give the Seeds: its Tracks follow, with the points drawn from them.

    So does the paper with a finished clip (variant A): points from the boundary's mask, then the boundary's mask anew
    from these points.
    """

    schema: ClassVar[str] = "reinit_request/1"
    frame: Frame
    objects: tuple[ObjectTrack, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    seeds_for: tuple[int, ...] = ()


class TrackedFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A frame that was answered with Tracks, and the objects that these held."""

    frame: Frame
    objects: tuple[ObjectTrack, ...] = ()


class PromptOnFrame(Message, frozen=True, kw_only=True):
    """A prompt on a frame that was answered before: the decoder makes its mask there, and brings it to the newest.

    The Tracks that follow hold the object, from the frame after the last of `since` on.
    """

    schema: ClassVar[str] = "prompt_on_frame/1"
    prompt: Prompt
    on: TrackedFrame
    since: tuple[Frame, ...] = ()  # answered since, thinned, the newest last; empty where the mask model needs none
    request: int = 0  # that an Answer is to name, with the candidate that was chosen; 0: nobody waits


class DiscoverObjects(Message, frozen=True, kw_only=True):
    """The decoder is to look for objects on this frame that nobody asked for, and to report them (Found)."""

    schema: ClassVar[str] = "discover_objects/1"
    frame: Frame
    following: int = 0  # objects alive
    count: int = 0  # new ones at most; 0: as the config says (--auto)


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
    reason: str = ""  # why it is uncertain or lost, in a few words
    label: str = ""  # what the user calls it; only sinks know it
    points_final: bool = True  # False: the tracker would place the points otherwise, had it seen later frames

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

    def with_labels(self, labels: Mapping[int, str]) -> Masks:
        """The same masks; each object with the label of its id, where there is one."""
        if not labels:
            return self
        objects = tuple(replace(o, label=labels.get(o.object_id, "")) for o in self.objects)
        return replace(self, objects=objects)

    @property
    def in_sight(self) -> bool:
        """Whether a mask of an object is there that is not lost."""
        return any(o.area > 0 and o.state != "lost" for o in self.objects)

    def label_image(self) -> Array:
        """(H, W), each pixel the id of the object there, 0 background; uint8, or uint16 once an id is above 255."""
        wide = any(o.object_id > 255 for o in self.objects)
        labels = np.zeros(self.size, np.uint16 if wide else np.uint8)
        for o in self.objects:
            x, y, width, height = o.bbox
            labels[y : y + height, x : x + width][o.mask != 0] = o.object_id
        return labels


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
