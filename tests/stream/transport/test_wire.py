from __future__ import annotations

import random

import numpy as np
import pytest
from builders import frame, masks, object_mask
from builders import prompted_tracks as tracks
from msgspec.structs import replace

from stream.errors import MessageError
from stream.geometry import MAX_PIXELS
from stream.messages import Frame, Masks, Tracks
from stream.transport.wire import MAX_MESSAGE_BYTES, from_json, from_parts, to_parts


def wire(message):
    return [bytes(p) for p in to_parts(message)]


def head(text):
    return len(text).to_bytes(4, "big") + text


def headed(parts, old, new):
    """The head with another text in its JSON, and the right length."""
    return head(parts[0][4:].replace(old, new))


def test_a_message_comes_back_as_it_went():
    sent = tracks(7)
    came = from_parts(wire(sent), Tracks)
    assert came.frame.stamp == sent.frame.stamp
    assert came.boundary
    assert np.array_equal(came.frame.rgb, sent.frame.rgb)
    assert np.array_equal(came.objects[0].xy, sent.objects[0].xy)
    assert came.prompts[0].box == (0, 0, 2, 2)


def test_a_frames_name_travels_though_it_is_no_utf_8():
    came = from_parts(wire(replace(frame(), name=b"T\xfcr", pixel_aspect=(24, 11))), Frame)
    assert (came.name, came.pixel_aspect) == (b"T\xfcr", (24, 11))


def test_arrays_arrive_read_only():
    came = from_parts(wire(frame()), Frame)
    with pytest.raises(ValueError, match="read-only"):
        came.rgb[0, 0, 0] = 1


def test_an_empty_mask_travels():
    empty = object_mask(bbox=(0, 0, 0, 0))
    came = from_parts(wire(masks(3, empty)), Masks)
    assert came.objects[0].mask.shape == (0, 0)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda p: [],
        lambda p: p[:-1],
        lambda p: [*p, b"more"],
        lambda p: [b"", *p[1:]],
        lambda p: [b"\0\0", *p[1:]],
        lambda p: [b"\xff" * 4 + p[0][4:], *p[1:]],
        lambda p: [b"\0\0\0\x09" + p[0][4:], *p[1:]],
        lambda p: [p[0][:-1], *p[1:]],
        lambda p: [b"\0\0\0\x03\x80\x04]", *p[1:]],
        lambda p: [p[0].replace(b"frame/1", b"frame/2"), *p[1:]],
        lambda p: [p[0].replace(b"150,160,3", b"150,170,3"), *p[1:]],
        lambda p: [p[0].replace(b"150,160,3", b"-15,-16,3"), *p[1:]],
        lambda p: [p[0].replace(b"150,160,3", b"9999999,9"), *p[1:]],
        lambda p: [headed(p, b"150,160,3", b"1048576,1048576,3"), *p[1:]],
        lambda p: [headed(p, b"150,160,3", b"4611686018427387904,4,3"), *p[1:]],
        lambda p: [p[0].replace(b"[1,0,", b"[0,0,"), *p[1:]],
        lambda p: [p[0].replace(b"[1,0,", b"[9,0,"), *p[1:]],
        lambda p: [p[0].replace(b"[1,0,", b"[1,8,"), *p[1:]],
        lambda p: [headed(p, b"[1,0,", b"[1,-8,"), *p[1:]],
        lambda p: [headed(p, b"[1,0,", b"[1,true,"), *p[1:]],
        lambda p: [headed(p, b"[1,0,", b"[{},[],"), *p[1:]],
        lambda p: [headed(p, b"uint8", b"object"), *p[1:]],
        lambda p: [headed(p, b'"session":0', b'"session":"x"'), *p[1:]],
        lambda p: [head(b"frame/1 " + b"[" * 100_000), *p[1:]],
        lambda p: [head(b"frame/1 " + b'{"a":' * 100_000), *p[1:]],
        lambda p: [head(b"x" * 5_000_000), *p[1:]],
        lambda p: [p[0]] * 5000,
    ],
)
def test_whatever_does_not_fit_is_a_message_error(break_it):
    parts = wire(frame(size=(150, 160)))
    assert len(parts) == 2
    broken = break_it(parts)
    assert broken != parts, "the example has changed: this breaks nothing"
    with pytest.raises(MessageError):
        from_parts(broken, Frame)


def test_mutated_messages_are_read_or_refused_and_nothing_else():
    rng = random.Random(1)
    parts = wire(tracks(5))
    refused = 0
    for _ in range(3000):
        broken = [bytearray(p) for p in parts]
        for _ in range(rng.randint(1, 4)):
            part = rng.choice(broken)
            if part:
                part[rng.randrange(len(part))] = rng.randrange(256)
        try:
            from_parts(broken, Tracks)
        except MessageError:
            refused += 1
    assert refused > 500


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 200_000, b"\xff\xfe", b"nan" * 3])
def test_json_that_is_none_is_a_message_error(data):
    with pytest.raises(MessageError):
        from_json(data)


def test_the_largest_picture_travels_and_what_is_larger_than_its_reader_takes_is_refused_by_the_writer(monkeypatch):
    assert MAX_MESSAGE_BYTES > 2 * 3 * MAX_PIXELS
    monkeypatch.setattr("stream.transport.wire.MAX_MESSAGE_BYTES", 100_000)
    assert to_parts(frame(size=(150, 160)))
    with pytest.raises(MessageError, match=r"frame/1 has .* at most 100000 can be carried: scale"):
        to_parts(frame(size=(200, 200)))
    parts = wire(frame(size=(150, 160)))
    with pytest.raises(MessageError, match="at most"):
        from_parts([parts[0], b"\0" * 100_001], Frame)
