"""What the nodes say to each other: frozen messages, and their way to the wire and back.

A message is a head and the raw bytes of its large arrays. The head is the length of its JSON, the JSON, and all small
arrays (a part of its own costs more than a copy). An array is described by [part, offset, dtype, lengths]; in the head,
which is part 0, offsets count from the end of the JSON:

    [ 012a tracks/1 {..., "rgb": [1, 0, "uint8", 480, 854, 3], "xy": [0, 64, "float32", 9, 2]} small ones, large one ]

Arrays arrive read-only and are never copied on the way in. Whatever does not fit the declared type, dtype, shape or
size is a `MessageError`; nothing is ever unpickled. Space and units: points are (x, y) in frame px with pixel centres
on whole numbers, boxes of masks are (x, y, width, height) in whole px, images are RGB uint8 (H, W, 3), times are ns.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeVar

import msgspec
import numpy as np

from stream.errors import MessageError

Array = np.ndarray[Any, Any]
State = Literal["tracked", "uncertain", "lost", "reacquired"]
Origin = Literal["decoded", "propagated"]

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 4 * 1024 * 1024
MAX_PARTS = 4096
MAX_OBJECT_ID = 65_535  # of a label image of 16 bits
DTYPES = {name: np.dtype(name) for name in ("uint8", "float32", "int32")}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}  # numpy's own dtype.name is slow


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

    def __post_init__(self) -> None:
        expect(self.xy, "track.xy", "float32", (None, 2))
        expect(self.visibility, "track.visibility", "float32", (self.xy.shape[0],))
        expect(self.labels, "track.labels", "uint8", (self.xy.shape[0],))


class Tracks(Message, frozen=True, kw_only=True):
    """The tracked points of every object in one frame, the frame itself, and the prompts that begin on it."""

    schema: ClassVar[str] = "tracks/1"
    frame: Frame
    objects: tuple[ObjectTrack, ...] = ()  # every object alive, also those without a visible point
    prompts: tuple[Prompt, ...] = ()
    boundary: bool = False  # the decoder answers this frame with Seeds


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

    def __post_init__(self) -> None:
        expect(self.mask, "seed.mask", "uint8", (self.bbox[3], self.bbox[2]))


class Seeds(Message, frozen=True, kw_only=True):
    """The decoder's answer to a boundary frame or a prompt: the masks to draw new points from.

    An object whose mask was bad is absent: its old points stay.
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
    kind: Literal["start", "prompt", "remove", "revive", "pause", "resume", "snapshot", "status", "stop"]
    prompt: Prompt | None = None  # prompt
    object_id: int = 0  # remove
    request: int = 0  # snapshot: named in the Answer
    frame_id: int = 0  # start: of capture, the id to go on from; of the tracker, the newest that it has had
    session: int = 0  # start: of capture, the session to go on with; of others, how often they were restarted
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
    dropped: int = 0  # messages that gave way in a queue of this node
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


REPORTS: tuple[type[Report], ...] = (Hello, Health, Opened, Done, Failure, Answer)


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


# --- to the wire and back -------------------------------------------------------------------------------------------

M = TypeVar("M", bound=Message)

SMALL_BYTES = 1 << 16  # arrays below travel in the head
ALIGN = 8  # bytes; where each of them begins
_LENGTH = struct.Struct(">I")


def to_parts(message: Message) -> list[Any]:
    """The wire form: the head (length, schema, a space, JSON, small arrays), then each large array's own buffer."""
    small: list[bytes] = []
    large: list[memoryview] = []
    filled = 0

    def place(value: Any) -> Any:
        nonlocal filled
        if not isinstance(value, np.ndarray):
            if isinstance(value, np.generic):
                return value.item()
            raise NotImplementedError(f"a {type(value).__name__} can't travel in a message")
        name = _NAMES[value.dtype]
        if value.nbytes >= SMALL_BYTES:
            large.append(memoryview(np.ascontiguousarray(value).data).cast("B"))
            return (len(large), 0, name, *value.shape)
        at, data = filled, value.tobytes()
        small.append(data)
        filled += len(data)
        if odd := filled % ALIGN:
            small.append(bytes(ALIGN - odd))
            filled += ALIGN - odd
        return (0, at, name, *value.shape)

    text = message.schema.encode() + b" " + msgspec.json.encode(message, enc_hook=place)
    return [b"".join([_LENGTH.pack(len(text)), text, *small]), *large]


def from_parts(parts: Sequence[Any], *kinds: type[M]) -> M:
    """The message of one of the `kinds` in the parts (bytes or buffers); MessageError says why there is none."""
    if not 1 <= len(parts) <= MAX_PARTS:
        raise MessageError(f"{len(parts)} parts came; a message has 1 to {MAX_PARTS}")
    buffers = [memoryview(p) for p in parts]
    head, total = buffers[0], sum([b.nbytes for b in buffers])
    if total > MAX_MESSAGE_BYTES:
        raise MessageError(f"{total} bytes came; a message has at most {MAX_MESSAGE_BYTES}")
    length = _LENGTH.unpack_from(head)[0] if head.nbytes >= _LENGTH.size else MAX_HEADER_BYTES
    end = _LENGTH.size + length
    if end > min(head.nbytes, MAX_HEADER_BYTES):
        raise MessageError(f"a head of {head.nbytes} bytes came that does not hold its JSON")
    schema, _, body = bytes(head[_LENGTH.size : end]).partition(b" ")
    buffers[0] = head[end:]
    for kind in kinds:
        if kind.schema.encode() == schema:
            break
    else:
        raise MessageError(f"schema {schema[:40]!r} came; this reader speaks {', '.join(k.schema for k in kinds)}")
    used = {0}

    def fetch(_wanted: type, value: Any) -> Any:  # arrays are the only fields that msgspec does not know
        return _array(value, buffers, used)

    try:
        message = msgspec.json.decode(body, type=kind, dec_hook=fetch)
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise MessageError(f"no message of {kind.schema}: {str(error)[:200]}") from None
    if len(used) != len(parts):
        raise MessageError(f"{len(parts) - 1} large arrays came; the head uses {len(used) - 1}")
    return message


def _array(place: Any, buffers: Sequence[memoryview], used: set[int]) -> Array:
    """The read-only array that [part, offset, dtype, *shape] describes; ValueError where it can't be."""
    if not isinstance(place, list) or not 3 <= len(place) <= 7:
        raise ValueError("an array is described by part, offset, dtype and at most 4 lengths")
    part, offset, name, *shape = place
    if type(part) is not int or not 0 <= part < len(buffers) or not isinstance(name, str) or name not in DTYPES:
        raise ValueError(f"array part {str(part)[:20]!r} of dtype {str(name)[:20]!r} is not there")
    count = 1
    for length in shape:
        if type(length) is not int or not 0 <= length <= 1 << 20:
            raise ValueError("an array's lengths are whole numbers up to 2^20")
        count *= length
    dtype, buffer = DTYPES[name], buffers[part]
    if type(offset) is not int or offset < 0 or offset % ALIGN or offset + count * dtype.itemsize > buffer.nbytes:
        raise ValueError(f"array of {shape} {name} at {str(offset)[:20]} lies outside its part")
    used.add(part)
    array: Array = np.frombuffer(buffer, dtype, count, offset) if count else np.zeros(0, dtype)
    array = array.reshape(shape)
    array.flags.writeable = False
    return array


def to_json(value: Any) -> bytes:
    """Compact JSON of plain values and structs (without arrays)."""
    return msgspec.json.encode(value)


def from_json(data: Any, limit: int = MAX_HEADER_BYTES) -> Any:
    """Plain values from JSON bytes; MessageError where it is none, is too long or too deep."""
    if len(data) > limit:
        raise MessageError(f"{len(data)} bytes of JSON came; at most {limit} are read")
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MessageError(f"no JSON: {str(error)[:200]}") from None
