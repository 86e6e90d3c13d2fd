"""What is seen on the picture: tints, outlines, points, labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from msgspec.structs import replace
from renderer.box_masks import box_object, gray, hud, masks_of

from stream.arrays import Array
from stream.drawing.ink import PALETTE, cap_height, colour_of, letters
from stream.drawing.painter import Painter
from stream.messages import Masks, ObjectMask

LOST = box_object(7, (0, 0, 0, 0), "lost")


def drawn(masks: Masks, written: bool = False) -> Array:
    return Painter(trail=12).draw(gray(masks.size), masks, hud() if written else None)


def test_a_mask_tints_the_pixels_inside_and_leaves_the_others():
    rgb = gray()
    picture = Painter(trail=12).draw(rgb, masks_of(box_object()), None)
    assert picture.shape == rgb.shape
    assert picture.dtype == np.uint8
    inside = picture[90:110, 110:150].astype(int)
    assert (inside[..., 2] > inside[..., 0]).all(), "object 1 is blue"
    changed = (picture != rgb).any(axis=2)
    changed[80 - 4 : 120 + 4, 100 - 4 : 160 + 4] = False  # the outline's own width
    assert not changed.any()


def test_the_frame_itself_stays_as_it_came():
    rgb = gray()
    rgb.flags.writeable = False
    Painter(trail=12).draw(rgb, masks_of(box_object(points=[[120, 90, 1, 1]])), hud())
    assert (rgb == 100).all()


def test_a_frame_without_objects_and_writing_is_copied_unchanged():
    assert (drawn(masks_of()) == 100).all()


def test_an_objects_colour_depends_on_its_id_alone_and_the_palette_goes_round():
    assert colour_of(1) != colour_of(2)
    assert colour_of(len(PALETTE) + 1) == colour_of(1)
    assert len({colour_of(i) for i in range(1, len(PALETTE) + 1)}) == len(PALETTE)
    alone = drawn(masks_of(box_object(3)))
    among = drawn(masks_of(box_object(1, (5, 100, 40, 40)), box_object(3)))
    assert np.array_equal(alone[85:115, 105:155], among[85:115, 105:155])


def test_hidden_points_look_different_from_seen_ones_and_negative_from_positive():
    kinds = [(1, 1.0), (1, 0.1), (0, 1.0), (0, 0.1)]
    looks = [drawn(masks_of(box_object(points=[[130, 100, label, seen]]))) for label, seen in kinds]
    for one, other in itertools.combinations(looks, 2):
        assert (one[92:109, 122:139] != other[92:109, 122:139]).any(axis=2).sum() >= 8


def test_a_seen_point_is_filled_and_a_hidden_one_hollow():
    without = drawn(masks_of(box_object()))
    seen = drawn(masks_of(box_object(points=[[130, 100, 1, 1.0]])))
    hidden = drawn(masks_of(box_object(points=[[130, 100, 1, 0.0]])))
    assert (seen[100, 130] != without[100, 130]).any()
    assert np.array_equal(hidden[100, 130], without[100, 130])
    assert (hidden != without).any()


def test_every_state_has_a_shape_of_its_own():
    states = ("tracked", "uncertain", "reacquired")
    gray_pictures = [drawn(masks_of(box_object(state=s))).mean(axis=2) for s in states]  # colours taken away
    for one, other in itertools.combinations(gray_pictures, 2):
        assert (np.abs(one - other)[76:84, 96:164] > 20).sum() > 40, "the outlines differ"


def test_a_lost_object_is_listed_under_the_line_although_it_has_no_mask():
    without, listed = drawn(masks_of(), written=True), drawn(masks_of(LOST), written=True)
    changed = np.argwhere((without != listed).any(axis=2))
    assert len(changed) > 100
    assert changed.max(axis=0)[0] < 60, "near the top"
    assert changed.max(axis=0)[1] < 100, "at the left"


def test_a_long_list_of_lost_objects_ends_within_the_picture():
    lost = [box_object(i, (0, 0, 0, 0), "lost") for i in range(1, 60)]
    picture = drawn(masks_of(*lost), written=True)
    assert (picture[-6:] == 100).all()


def test_labels_do_not_lie_on_each_other():
    def label_alone(i: int) -> Array:
        written, bare = drawn(masks_of(objects[i]), written=True), drawn(masks_of(objects[i]))
        return (written != bare).any(axis=2)

    objects = [box_object(1, (100, 80, 60, 40)), box_object(2, (100, 122, 60, 40))]
    both = (drawn(masks_of(*objects), written=True) != drawn(masks_of(*objects))).any(axis=2)
    line = (drawn(masks_of(), written=True) != 100).any(axis=2)
    apart = sum(int((label_alone(i) & ~line).sum()) for i in (0, 1))
    assert int((both & ~line).sum()) == pytest.approx(apart, rel=0.03)


@pytest.mark.parametrize("value", [0, 255])
def test_writing_is_readable_on_black_and_on_white(value: int):
    picture = Painter(trail=0).draw(gray(value=value), masks_of(), hud())
    plate = picture[10:20, 10:100].astype(int)
    assert plate.max() - plate.min() > 120


@pytest.mark.parametrize("size", [(64, 64), (180, 320), (361, 641), (640, 360), (1080, 1920)])
def test_every_frame_size_is_drawn(size: tuple[int, int]):
    height, width = size
    objects = (
        box_object(1, (0, 0, width, height // 2), points=[[1, 1, 1, 1], [-9, 1e9, 1, 1], [width, height, 0, 0.2]]),
        box_object(300, (width - 1, height - 1, 1, 1), "uncertain"),
        LOST,
    )
    painter = Painter(trail=4)
    for i in range(3):
        picture = painter.draw(
            gray(size), masks_of(*objects, frame_id=i, size=size), hud(camera="a" * 64, note="pausé")
        )
        assert picture.shape == (height, width, 3)


def test_points_that_are_no_numbers_are_left_out():
    nan = float("nan")
    painter = Painter(trail=4)
    for i in range(3):
        picture = painter.draw(
            gray(), masks_of(box_object(points=[[nan, 5, 1, 1], [3, float("inf"), 0, 1]]), frame_id=i), None
        )
    assert np.array_equal(picture, drawn(masks_of(box_object())))


def test_a_size_that_changes_in_mid_stream_begins_anew():
    painter = Painter(trail=12)
    moving = [box_object(points=[[110 + 6 * i, 90, 1, 1.0]]) for i in range(3)]
    for i, o in enumerate(moving):
        painter.draw(gray(), masks_of(o, frame_id=i), None)
    larger = (200, 400)
    picture = painter.draw(gray(larger), masks_of(moving[2], frame_id=3, size=larger), None)
    assert np.array_equal(picture, drawn(masks_of(moving[2], size=larger)))


def test_a_mask_of_hundreds_of_crumbs_is_drawn():
    crumbs = np.indices((100, 100)).sum(axis=0) % 7 == 0
    o = box_object(1, (10, 10, 100, 100))
    masks = masks_of(ObjectMask(**{**fields(o), "mask": crumbs.astype(np.uint8), "area": int(crumbs.sum())}))
    assert (drawn(masks) != 100).any()


def fields(o: ObjectMask) -> dict[str, object]:
    return {name: getattr(o, name) for name in o.__struct_fields__}


def test_the_line_leaves_out_the_less_urgent_parts_where_the_picture_is_narrow():
    def line_end(width: int) -> int:
        size = (120, width)
        picture = Painter(0).draw(
            gray(size), masks_of(size=size), hud(passed_over=12345, note="paused", camera="garden")
        )
        return int(np.argwhere((picture != 100).any(axis=2))[:, 1].max())

    assert line_end(140) < 140 - 3
    assert line_end(600) > 300


def test_letters_grow_with_the_picture_and_unknown_ones_become_question_marks():
    heights = [cap_height(s) for s in ((180, 320), (360, 640), (720, 1280), (1080, 1920))]
    assert heights == sorted(heights)
    assert heights[0] >= 7
    assert heights[-1] > 2 * heights[1]
    assert np.array_equal(letters("é", 9), letters("?", 9))
    assert letters("", 9).shape[1] == 0


def test_a_trail_follows_a_moving_point():
    painter = Painter(trail=12)
    for i in range(6):
        o = box_object(bbox=(0, 0, 0, 0), points=[[50 + 8 * i, 90, 1, 1.0]])
        picture = painter.draw(gray(), masks_of(o, frame_id=i), None)
    strength = np.abs(picture[90, 52:80].astype(int) - 100).sum(axis=1)
    assert (strength > 0).all(), "a line back to where it was"
    assert strength[-4:].mean() > strength[:4].mean(), "fading with age"


def test_the_caption_of_an_object_bears_its_label():
    plain, named, long, longer = (
        drawn(masks_of(replace(box_object(), label=label)), written=True)
        for label in ("", "cat", "x" * 25, "x" * 21 + "yyyy")
    )
    assert (plain != named).any()
    assert np.array_equal(long, longer), "a long label is cut"
    lost = [drawn(masks_of(replace(LOST, label=label)), written=True) for label in ("", "cat")]
    assert (lost[0] != lost[1]).any()
