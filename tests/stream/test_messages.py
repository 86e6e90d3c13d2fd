from __future__ import annotations

import random

import numpy as np
import pytest
from stream_examples import frame, masks, object_mask, tracks

from stream.errors import MessageError
from stream.messages import REPORTS, Found, Frame, Masks, Proposal, Tracks, crop_mask, uncrop_mask
from stream.wire import MAX_MESSAGE_BYTES, from_json, from_parts, to_parts


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


def test_arrays_arrive_read_only():
    came = from_parts(wire(frame()), Frame)
    with pytest.raises(ValueError, match="read-only"):
        came.rgb[0, 0, 0] = 1


def test_an_empty_mask_travels():
    empty = object_mask(bbox=(0, 0, 0, 0))
    came = from_parts(wire(masks(3, empty)), Masks)
    assert came.objects[0].mask.shape == (0, 0)


def proposal(bbox=(1, 2, 3, 3), **values):
    size = (bbox[2] * bbox[3] + 7) // 8
    return Proposal(**{"bbox": bbox, "bits": np.full(size, 255, np.uint8), "score": 0.9, "inside": (2, 3), **values})


def test_what_was_found_comes_back_as_it_went():
    sent = Found(node="decoder", pid=3, frame_id=7, survey=True, size=(8, 6), objects=(proposal(),))
    came = from_parts(wire(sent), *REPORTS)
    assert (type(came), came.frame_id, came.survey, came.objects[0].inside) == (Found, 7, True, (2, 3))
    mask = came.objects[0].whole(came.size)
    assert mask.shape == (8, 6)
    assert mask.sum() == mask[2:5, 1:4].sum() == 9


@pytest.mark.parametrize(
    ("bbox", "values", "words"),
    [
        ((1, 2, 3, 3), {"bits": np.zeros(1, np.uint8)}, "proposal.bits"),
        ((-1, 2, 3, 3), {}, "0 or more"),
        ((4, 2, 3, 3), {}, "outside the frame"),
    ],
)
def test_a_proposal_that_is_no_mask_of_its_frame_is_refused(bbox, values, words):
    with pytest.raises(ValueError, match=words):
        Found(node="decoder", pid=3, frame_id=7, size=(8, 6), objects=(proposal(bbox, **values),))


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
        lambda p: [p[0], b"\0" * (MAX_MESSAGE_BYTES + 1)],
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


def test_a_mask_outside_its_frame_is_refused():
    with pytest.raises(ValueError, match="outside the frame"):
        masks(0, object_mask(bbox=(5, 1, 2, 2)))


def test_cropping_and_uncropping_are_inverse():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = (rng.random((9, 13)) > 0.9).astype(np.uint8)
        bbox, crop = crop_mask(mask)
        assert np.array_equal(uncrop_mask(bbox, crop, mask.shape), mask)


def test_label_images_hold_ids_and_grow_wide_with_them():
    few = masks(0, object_mask(3, (0, 0, 2, 2)), object_mask(7, (3, 1, 2, 2))).label_image()
    assert few.dtype == np.uint8
    assert sorted(np.unique(few)) == [0, 3, 7]
    assert masks(0, object_mask(300)).label_image().dtype == np.uint16


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 200_000, b"\xff\xfe", b"nan" * 3])
def test_json_that_is_none_is_a_message_error(data):
    with pytest.raises(MessageError):
        from_json(data)
