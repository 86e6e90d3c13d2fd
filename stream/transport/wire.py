"""Messages to the wire and back, and plain JSON.

A message is a head and the raw bytes of its large arrays. The head is the length of its JSON, the JSON, and all small
arrays (a part of its own costs more than a copy). An array is described by [part, offset, dtype, lengths]; in the head,
which is part 0, offsets count from the end of the JSON:

    [ 012a tracks/1 {..., "rgb": [1, 0, "uint8", 480, 854, 3], "xy": [0, 64, "float32", 9, 2]} small ones, large one ]

Arrays arrive read-only and are never copied on the way in. Whatever does not fit the declared type, dtype, shape or
size is a `MessageError`; nothing is ever unpickled.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

from stream.arrays import DTYPES, Array
from stream.errors import MessageError
from stream.geometry import MAX_PIXELS
from stream.messages import Message

MAX_ARRAY_BYTES = 3 * MAX_PIXELS  # the picture of the largest frame
MAX_MESSAGE_BYTES = 5 * MAX_ARRAY_BYTES  # between nodes: such a picture, its truth, and the masks of its objects
MAX_HEADER_BYTES = 4 * 1024 * 1024
MAX_PARTS = 4096
_NAMES = {dtype: name for name, dtype in DTYPES.items()}  # numpy's own dtype.name is slow

M = TypeVar("M", bound=Message)

SMALL_BYTES = 1 << 16  # arrays below travel in the head
ALIGN = 8  # bytes; where each of them begins
_LENGTH = struct.Struct(">I")


def to_parts(message: Message) -> list[Any]:
    """The wire form: the head (length, schema, a space, JSON, small arrays), then each large array's own buffer.

    MessageError where a reader would refuse it for its size.
    """
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
    head = b"".join([_LENGTH.pack(len(text)), text, *small])
    if (total := len(head) + sum(array.nbytes for array in large)) > MAX_MESSAGE_BYTES:
        raise MessageError(
            f"a message of {message.schema} has {total} bytes; at most {MAX_MESSAGE_BYTES} can be carried: "
            "scale the pictures down, or follow fewer objects"
        )
    return [head, *large]


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
