"""Whatever comes off the wire is a message or a MessageError, and costs little memory in either case."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from public_wire.ellipse_masks import STAMP, two_balls, two_balls_on_gray

from stream.errors import MessageError
from stream.public_wire.codecs import Codec
from stream.public_wire.headers import MAX_MESSAGE_BYTES
from stream.public_wire.messages import (
    MAX_DECODED,
    pack_frame,
    pack_masks,
    pack_scene,
    pack_status,
    unpack_frame,
    unpack_masks,
    unpack_scene,
    unpack_status,
)
from stream.transport.wire import MAX_HEADER_BYTES, MAX_PARTS

CODECS: tuple[Codec, ...] = ("packbits", "coco_rle", "png")
UNPACKERS: tuple[Callable[[list[bytes]], Any], ...] = (unpack_masks, unpack_frame, unpack_status, unpack_scene)


def a_scene(codec: Codec, size: tuple[int, int] = (48, 64)) -> list[bytes]:
    """The parts of `two_balls` with a gray picture."""
    return pack_scene(two_balls_on_gray(size), codec, 80, 1, 2, "a1")


def parts_with(change: Callable[[dict[str, Any]], object], codec: Codec = "packbits") -> list[bytes]:
    """The parts of `two_balls` after `change` had its way with the header."""
    topic, header, *payloads = pack_masks(two_balls(), codec, 1, 2, "a1")
    decoded = json.loads(header)
    change(decoded)
    return [topic, json.dumps(decoded).encode(), *payloads]


def put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change: the value at that path."""

    def change(header: Any) -> None:
        for key in path[:-1]:
            header = header[key]
        header[path[-1]] = value

    return change


WRONG = {
    "another schema": put("schema", value="sam-pt-live/frames"),
    "no schema": lambda h: h.pop("schema"),
    "a newer version": put("version", value=2),
    "no version": lambda h: h.pop("version"),
    "a version in words": put("version", value="1"),
    "another camera": put("camera", value="garden"),
    "a camera with a line break": put("camera", value="door\n"),
    "a negative frame": put("frame_id", value=-1),
    "a huge frame id": put("frame_id", value=1 << 70),
    "half a frame": put("frame_id", value=1.5),
    "nothing captured": lambda h: h.pop("captured_ns"),
    "not a number": put("pts", value=float("nan")),
    "an infinite time": put("pts", value=float("inf")),
    "no width": put("width", value=0),
    "a huge side": put("width", value=1 << 40),
    "a gigapixel frame": lambda h: h.update(width=65_000, height=65_000),
    "no publisher": put("publisher", value=""),
    "objects that are none": put("objects", value=7),
    "an object too few": lambda h: h["objects"].pop(),
    "an object too many": lambda h: h["objects"].append(h["objects"][0]),
    "the same id twice": put("objects", 1, "id", value=1),
    "the id of the background": put("objects", 0, "id", value=0),
    "an id beyond label images": put("objects", 0, "id", value=65_536),
    "an unknown state": put("objects", 0, "state", value="asleep"),
    "an unknown origin": put("objects", 0, "origin", value="guessed"),
    "a score above 1": put("objects", 0, "score", value=1.5),
    "a score of null": put("objects", 0, "score", value=None),
    "a box beyond the frame": put("objects", 0, "bbox", value=[60, 10, 22, 29]),
    "a box of three": put("objects", 0, "bbox", value=[9, 10, 22]),
    "a box that begins before the frame": put("objects", 0, "bbox", value=[-1, 10, 22, 29]),
    "another box": put("objects", 0, "bbox", value=[9, 10, 21, 29]),
    "another area": put("objects", 0, "area", value=3),
    "a point far away": put("objects", 0, "points", 0, 0, value=1e39),
    "a point of three": put("objects", 0, "points", 0, value=[1, 2, 1]),
    "an unknown label": put("objects", 0, "points", 0, 2, value=2),
    "a visibility above 1": put("objects", 0, "points", 0, 3, value=1.1),
    "endless points": put("objects", 0, "points", value=[[0, 0, 1, 1]] * 5000),
    "an unknown codec": put("objects", 0, "codec", value="pickle"),
    "another codec": put("objects", 0, "codec", value="png"),
    "a payload that is not there": put("objects", 0, "payload", value=3),
    "a negative payload": put("objects", 0, "payload", value=-1),
    "a payload used twice": put("objects", 0, "payload", value=1),
    "another shape": put("objects", 0, "shape", value=[22, 29]),
    "a huge shape": put("objects", 0, "shape", value=[60_000, 60_000]),
    "an endless label": put("objects", 0, "label", value="x" * 65),
    "a label that is no text": put("objects", 0, "label", value=7),
    "an endless reason": put("objects", 0, "reason", value="x" * 201),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_header_that_is_wrong_in_one_place_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(MessageError):
        unpack_masks(parts_with(change))


WRONG_SCENE = {
    "no picture": lambda h: h.pop("picture"),
    "a picture that is not the last payload": put("picture", "payload", value=0),
    "a picture that is not there": put("picture", "payload", value=9),
    "a picture of an unknown codec": put("picture", "codec", value="webp"),
    "a picture of another size": put("picture", "width", value=63),
    "a picture without a size": lambda h: h["picture"].pop("height"),
    "an object that has the picture": put("objects", 0, "payload", value=3),
    "another schema": put("schema", value="sam-pt-live/masks"),
}


@pytest.mark.parametrize("change", WRONG_SCENE.values(), ids=WRONG_SCENE.keys())
def test_a_scene_that_is_wrong_in_one_place_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    topic, header, *payloads = a_scene("packbits")
    unpack_scene([topic, header, *payloads])
    decoded = json.loads(header)
    change(decoded)
    with pytest.raises(MessageError):
        unpack_scene([topic, json.dumps(decoded).encode(), *payloads])


def test_a_scene_without_its_picture_or_with_half_of_it_is_refused() -> None:
    topic, header, *payloads, jpeg = a_scene("packbits")
    for parts in ([topic, header], [topic, header, *payloads], [topic, header, *payloads, jpeg[:-2]]):
        with pytest.raises(MessageError):
            unpack_scene(parts)


GOOD = pack_masks(two_balls(), "packbits", 1, 2, "a1")


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b""],
        [b"", b""],
        GOOD[:1],
        GOOD[:-1],
        [*GOOD, b""],
        GOOD[1:],
        [b"masks/garden", *GOOD[1:]],
        [b"masks/", *GOOD[1:]],
        [GOOD[0], b"null"],
        [GOOD[0], b"[]"],
        [GOOD[0], b"[" * 100_000],
        [GOOD[0], b'{"a":' * 100_000],
        [GOOD[0], GOOD[1][:-1] + b',"later":' + b"[" * 100_000 + b"]" * 100_000 + b"}", *GOOD[2:]],
        [GOOD[0], b'{"schema":"\xff"}'],
        [GOOD[0], b'{"schema":"\\ud800"}'],
        [GOOD[0], GOOD[1].replace(b"1.68", b"1e999"), *GOOD[2:]],
        [GOOD[0], GOOD[1].replace(b"1.68", b"9" * 5000), *GOOD[2:]],
        [GOOD[0], b" " * (MAX_HEADER_BYTES + 1)],
        [*GOOD, *[b""] * MAX_PARTS],
        [*GOOD, bytes(MAX_MESSAGE_BYTES)],
    ],
    ids=range(21),
)
def test_parts_that_are_no_message_are_refused(parts: list[bytes]) -> None:
    for unpack in UNPACKERS:
        with pytest.raises(MessageError):
            unpack(parts)


def test_frames_and_status_messages_have_no_other_parts() -> None:
    status, frame = pack_status("door", {}), pack_frame(STAMP, np.zeros((8, 8, 3), np.uint8), 80)
    for unpack, parts in (
        (unpack_status, [*status, b""]),
        (unpack_status, frame),
        (unpack_frame, [*frame, b""]),
        (unpack_frame, frame[:2]),
        (unpack_frame, status),
        (unpack_masks, frame),
    ):
        with pytest.raises(MessageError):
            unpack(parts)


def peak_bytes(parts: list[bytes]) -> int:
    """Memory that unpacking asks for before it refuses."""
    tracemalloc.start()
    try:
        with pytest.raises(MessageError):
            unpack_masks(parts)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", CODECS)
def test_a_small_message_can_not_ask_for_much_memory(codec: Codec) -> None:
    side = 8192  # 8192 ** 2 is the largest square frame
    payload = {"packbits": b"", "coco_rle": b"0PPPo?0", "png": b""}[codec]
    shape = [side, side]

    def change(header: dict[str, Any]) -> None:
        header.update(width=side, height=side)
        entry = {**header["objects"][0], "bbox": [0, 0, side, side], "shape": shape, "area": 1}
        header["objects"] = [{**entry, "id": i + 1, "payload": i} for i in range(100)]

    topic, header, *_ = parts_with(change, codec)
    assert 100 * side * side > MAX_DECODED
    assert peak_bytes([topic, header, *[payload] * 100]) < 2_000_000


def mutated(rng: random.Random, parts: list[bytes]) -> list[bytes]:
    """The parts with a few bytes, parts or numbers changed."""
    changed = list(parts)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed)) if changed else 0
        how = rng.randrange(7)
        if how == 0 or not changed:
            changed.insert(at, rng.randbytes(rng.randrange(40)))
        elif how == 1:
            del changed[at]
        elif how == 2:
            changed[at] = changed[at][: rng.randrange(len(changed[at]) + 1)]
        elif how == 3:
            i, j = rng.randrange(len(changed)), rng.randrange(len(changed))
            changed[i], changed[j] = changed[j], changed[i]
        elif changed[at]:
            spot = rng.randrange(len(changed[at]))
            piece = rng.choice([rng.randbytes(1), rng.choice(b'0123456789-,:[]{}".eE').to_bytes(), b"9999999999", b""])
            changed[at] = changed[at][:spot] + piece + changed[at][spot + 1 :]
    return changed


def outcome(unpack: Callable[[list[bytes]], Any], parts: list[bytes]) -> bool:
    """Whether it was a message; anything raised but MessageError goes through."""
    try:
        unpack(parts)
    except MessageError:
        return False
    return True


def test_thousands_of_damaged_messages_raise_nothing_but_message_errors() -> None:
    rng = random.Random(5)
    seeds = [pack_masks(two_balls((12, 16)), codec, 1, 2, "a1") for codec in CODECS]
    seeds += [pack_status("door", {"frames": {"captured": 7}}), a_scene("packbits", (12, 16))]
    good = [outcome(unpack, mutated(rng, rng.choice(seeds))) for _ in range(4000) for unpack in UNPACKERS]
    assert 0 < sum(good) < len(good)  # some changes hurt nothing, such as another digit in a time


def test_thousands_of_random_messages_raise_nothing_but_message_errors() -> None:
    rng = random.Random(6)
    for _ in range(2000):
        parts = [rng.randbytes(rng.randrange(60)) for _ in range(rng.randrange(5))]
        assert not any(outcome(unpack, parts) for unpack in UNPACKERS)


@pytest.mark.parametrize("codec", CODECS)
def test_damaged_payloads_never_pass_for_another_mask_of_another_size(codec: Codec) -> None:
    rng = random.Random(7)
    topic, header, *payloads = pack_masks(two_balls((24, 32)), codec, 1, 2, "a1")
    areas = [o.area for o in two_balls((24, 32)).objects]
    for _ in range(2000):
        damaged = [bytes(rng.randbytes(1)[0] if rng.random() < 0.05 else b for b in p) for p in payloads]
        try:
            received = unpack_masks([topic, header, *damaged])
        except MessageError:
            continue
        assert [o.mask.sum() for o in received.masks.objects] == areas
