"""Messages to the PUB socket's parts and back."""

from __future__ import annotations

import json
import timeit

import msgspec
import numpy as np
import pytest
from public_wire.ellipse_masks import STAMP, ellipse, one_object, two_balls, two_balls_on_gray

from stream.errors import MessageError
from stream.messages import Masks
from stream.public_wire.codecs import Codec
from stream.public_wire.messages import (
    pack_frame,
    pack_masks,
    pack_scene,
    pack_status,
    unpack_frame,
    unpack_masks,
    unpack_scene,
    unpack_status,
)

CODECS: tuple[Codec, ...] = ("packbits", "coco_rle", "png")


@pytest.mark.parametrize("codec", CODECS)
def test_a_consumer_gets_the_masks_that_were_published(codec: Codec) -> None:
    masks = two_balls()
    received = unpack_masks(pack_masks(masks, codec, published_ns=5_040_000_000, sequence=17, publisher="a1"))
    assert (received.published_ns, received.sequence, received.publisher) == (5_040_000_000, 17, "a1")
    assert received.masks.stamp == masks.stamp
    assert (received.masks.size, received.masks.passed_over) == (masks.size, 3)
    assert np.array_equal(received.label_image(), masks.label_image())
    for read, sent in zip(received.masks.objects, masks.objects, strict=True):
        names = ("object_id", "state", "origin", "score", "bbox", "area")
        assert [getattr(read, n) for n in names] == [getattr(sent, n) for n in names]
        assert np.array_equal(read.mask, sent.mask)
        assert np.array_equal(read.labels, sent.labels)
        assert np.allclose(read.xy, sent.xy, atol=0.005)
        assert np.allclose(read.visibility, sent.visibility, atol=0.0005)


def test_parts_may_come_as_memoryviews() -> None:
    parts = [memoryview(p) for p in pack_masks(two_balls(), "packbits", 1, 2, "a1")]
    assert np.array_equal(unpack_masks(parts).label_image(), two_balls().label_image())


def test_a_frame_without_objects_is_a_message_of_two_parts() -> None:
    parts = pack_masks(Masks(stamp=STAMP, size=(48, 64)), "packbits", 1, 2, "a1")
    assert len(parts) == 2
    assert not unpack_masks(parts).label_image().any()


def test_the_header_holds_all_that_the_contract_names() -> None:
    topic, header, *payloads = pack_masks(two_balls(), "packbits", 5_040_000_000, 17, "a1")
    assert topic == b"masks/door"
    assert len(payloads) == 3
    decoded = json.loads(header)
    ball = decoded.pop("objects")[0]
    assert decoded == {
        "schema": "sam-pt-live/masks",
        "version": 1,
        "camera": "door",
        "session": 1,
        "frame_id": 42,
        "captured_ns": 5_000_000_000,
        "captured_unix_ns": 1_700_000_000_000_000_000,
        "pts": 1.68,
        "epoch": 0,
        "width": 64,
        "height": 48,
        "published_ns": 5_040_000_000,
        "publisher": "a1",
        "sequence": 17,
        "passed_over": 3,
    }
    assert ball == {
        "id": 1,
        "state": "tracked",
        "origin": "decoded",
        "score": 0.93,
        "bbox": [9, 10, 22, 29],
        "area": int(two_balls().objects[0].mask.sum()),
        "points": [[19.25, 24.5, 1, 0.98], [3.0, 4.0, 0, 0.5]],
        "codec": "packbits",
        "payload": 0,
        "shape": [29, 22],
        "label": "",
        "reason": "",
    }


def test_labels_and_reasons_reach_the_consumer() -> None:
    masks = two_balls().with_labels({1: "größter Ball", 9: "nobody"})
    objects = [msgspec.structs.replace(o, reason="" if o.object_id == 1 else "low score") for o in masks.objects]
    masks = msgspec.structs.replace(masks, objects=tuple(objects))
    read = unpack_masks(pack_masks(masks, "packbits", 1, 2, "a1")).masks.objects
    assert [o.label for o in read] == ["größter Ball", "", ""]
    assert [o.reason for o in read] == ["", "low score", "low score"]


def test_points_that_later_frames_revise_are_marked_and_others_are_not() -> None:
    masks = two_balls()
    objects = [msgspec.structs.replace(o, points_final=o.object_id != 1) for o in masks.objects]
    parts = pack_masks(msgspec.structs.replace(masks, objects=tuple(objects)), "packbits", 1, 2, "a1")
    assert [o.get("points_final") for o in json.loads(parts[1])["objects"]] == [False, None, None]
    assert [o.points_final for o in unpack_masks(parts).masks.objects] == [False, True, True]


def test_an_older_publisher_knows_no_labels_and_no_reasons() -> None:
    topic, header, *payloads = pack_masks(two_balls(), "packbits", 1, 2, "a1")
    decoded = json.loads(header)
    for o in decoded["objects"]:
        del o["label"], o["reason"]
    read = unpack_masks([topic, json.dumps(decoded).encode(), *payloads]).masks.objects
    assert [(o.label, o.reason) for o in read] == [("", "")] * 3


@pytest.mark.parametrize("codec", CODECS)
def test_a_scene_is_the_masks_message_with_the_picture_as_its_last_payload(codec: Codec) -> None:
    scene = two_balls_on_gray()
    topic, header, *payloads, jpeg = pack_scene(scene, codec, 90, 5_040_000_000, 17, "a1")
    of_masks = pack_masks(scene.masks, codec, 5_040_000_000, 17, "a1")
    assert topic == b"scenes/door"
    assert payloads == of_masks[2:]
    decoded = json.loads(header)
    assert decoded.pop("picture") == {"payload": 3, "codec": "jpeg", "width": 64, "height": 48}
    assert decoded == {**json.loads(of_masks[1]), "schema": "sam-pt-live/scenes"}
    received = unpack_scene([topic, header, *payloads, jpeg])
    assert (received.sequence, received.publisher) == (17, "a1")
    assert np.array_equal(received.label_image(), scene.masks.label_image())
    assert np.abs(received.picture().astype(int) - scene.frame.rgb).max() < 8


def test_a_picture_larger_than_jpeg_can_hold_is_one_readable_error() -> None:
    with pytest.raises(MessageError, match="JPEG can't hold 65501x8"):
        pack_frame(STAMP, np.zeros((8, 65_501, 3), np.uint8), 80)


def test_what_json_can_not_hold_is_told_as_best_it_can() -> None:
    points = [[float("nan"), 1.0, 1, 0.5], [1e30, -1e30, 0, 7.0], [2.0, 3.0, 1, float("nan")]]
    mask = ellipse((48, 64), (20, 20), (9, 9))
    objects = tuple(one_object(i, mask, points, score=score) for i, score in ((1, float("nan")), (2, 1.02), (3, -0.5)))
    received = unpack_masks(pack_masks(Masks(stamp=STAMP, size=(48, 64), objects=objects), "packbits", 1, 2, "a1"))
    assert [o.score for o in received.masks.objects] == [0.0, 1.0, 0.0]
    read = received.masks.objects[0]
    assert read.xy.tolist() == [[1e6, -1e6], [2.0, 3.0]]
    assert read.visibility.tolist() == [1.0, 0.0]
    assert read.labels.tolist() == [0, 1]


def test_a_wrong_area_upstream_does_not_reach_consumers() -> None:
    ball = msgspec.structs.replace(two_balls().objects[0], area=1)
    masks = Masks(stamp=STAMP, size=(48, 64), objects=(ball,))
    assert unpack_masks(pack_masks(masks, "packbits", 1, 2, "a1")).masks.objects[0].area == ball.mask.sum()


def test_a_source_without_times_has_a_null_pts() -> None:
    masks = Masks(stamp=msgspec.structs.replace(STAMP, pts_s=None), size=(48, 64))
    parts = pack_masks(masks, "packbits", 1, 2, "a1")
    assert json.loads(parts[1])["pts"] is None
    assert unpack_masks(parts).masks.stamp.pts_s is None


def test_keys_of_a_newer_publisher_are_passed_over() -> None:
    parts = pack_masks(two_balls(), "packbits", 1, 2, "a1")
    header = json.loads(parts[1])
    header["exposure_ms"] = {"nested": [1, 2, {"deeper": None}]}
    header["objects"][0]["velocity"] = [1.5, 2.5]
    parts[1] = json.dumps(header).encode()
    assert np.array_equal(unpack_masks(parts).label_image(), two_balls().label_image())


def test_a_frame_comes_back_as_jpeg_left_it() -> None:
    rgb = np.full((24, 40, 3), (200, 90, 20), np.uint8)
    parts = pack_frame(STAMP, rgb, quality=95)
    assert parts[0] == b"frames/door"
    frame = unpack_frame(parts)
    assert frame.stamp == STAMP
    assert np.abs(frame.rgb.astype(int) - rgb).max() < 8


def test_a_status_comes_back_with_nan_as_null() -> None:
    parts = pack_status("door", {"frames": {"captured": 7}, "latency_ms": float("nan")})
    assert parts[0] == b"status/door"
    status = unpack_status(parts)
    assert (status.camera, status.status) == ("door", {"frames": {"captured": 7}, "latency_ms": None})


def test_packing_a_large_mask_takes_no_time_that_a_live_feed_would_notice() -> None:
    mask = ellipse((480, 854), (420, 240), (150, 127))
    points = [[400.0 + i, 200.0, 1, 0.9] for i in range(9)]
    masks = Masks(stamp=STAMP, size=(480, 854), objects=(one_object(1, mask, points),))
    seconds = min(timeit.repeat(lambda: pack_masks(masks, "packbits", 1, 2, "a1"), number=10, repeat=20)) / 10
    assert seconds < 0.3e-3  # 0.07 ms on one quiet core
