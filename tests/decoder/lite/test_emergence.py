"""The first pixels of an object that comes out where it went in: shown soon, doubted, and not learnt from."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.lite.textured_square import BACKGROUND, SIDE, SIZE, draw, iou, texture, tracks

from nodes.decoder.lite import emergence, returns
from nodes.decoder.lite.backend import Lite
from nodes.decoder.lite.emergence import Rivals
from nodes.decoder.lite.lost_objects import PARTS, find_parts
from nodes.decoder.lite.object_memory import ObjectMemory
from nodes.decoder.mask_model import NO_MASK
from nodes.decoder.segmentation import Segmenter
from stream.crops import uncrop_mask
from stream.messages import Prompt

SPRITE = texture(1, SIDE, SIDE, (110, -30, -60))  # of colours that its surroundings hardly have
WALL = texture(5, SIZE[0], 60, (-20, 60, -60))  # it hides the whole square
WALL_X = 80
WALL_FRAMES = 60  # there and back; a third of them hidden
STEP_PX = 3
AWAY = 28  # the frame on which it turns round, half of them after it has left


def picture(x: int, *, wall: bool = True, sprite: np.ndarray = SPRITE) -> tuple[np.ndarray, np.ndarray]:
    """A frame with the square at x, behind the wall where there is one; truth: 1 the square, 2 the wall."""
    rgb, truth = BACKGROUND.copy(), np.zeros(SIZE, np.uint8)
    left, right = max(x, 0), min(x + SIDE, SIZE[1])
    if left < right:
        rgb[50 : 50 + SIDE, left:right] = sprite[:, left - x : right - x]
        truth[50 : 50 + SIDE, left:right] = 1
    if wall:
        rgb[:, WALL_X : WALL_X + 60], truth[:, WALL_X : WALL_X + 60] = WALL, 2
    return rgb, truth


def behind_the_wall(i: int) -> tuple[np.ndarray, np.ndarray]:
    return picture(20 + STEP_PX * min(i, WALL_FRAMES - i, 22))


def out_of_the_frame(i: int) -> tuple[np.ndarray, np.ndarray]:
    return picture(-STEP_PX * min(i, 2 * AWAY - i), wall=False)


def follow(clip, frames: int):
    """Per frame: the square's object on it, and its true mask; each thing of the first frame is followed."""
    segmenter, out = Segmenter(Lite()), []
    ids = [o for o in (1, 2) if (clip(0)[1] == o).any()]
    for i in range(frames):
        rgb, truth = clip(i)
        prompts = [Prompt(object_id=o, mask=(truth == o).astype(np.uint8)) for o in ids if i == 0]
        objects = segmenter.step(tracks(i, rgb, *prompts, ids=ids))[0].objects
        out.append((objects[0], (truth == 1).astype(np.uint8)))
    return out


@pytest.mark.parametrize(("clip", "count"), [(behind_the_wall, WALL_FRAMES), (out_of_the_frame, 2 * AWAY)])
def test_a_part_is_shown_two_frames_after_it_comes_out_with_its_doubt(clip, count):
    frames = follow(clip, count)
    hidden = [i for i, (o, _) in enumerate(frames) if o.state == "lost"]
    assert hidden, "it was never lost"
    out = next(i for i in range(hidden[0], len(frames)) if frames[i][1].any())
    shown = next(i for i in range(out, len(frames)) if frames[i][0].area)
    assert shown - out <= 2
    part, truth = frames[shown]
    assert (part.state, part.reason) == ("uncertain", returns.PARTLY_SEEN)
    assert truth.sum() < 0.2 * SIDE * SIDE
    whole = next(i for i in range(shown, len(frames)) if frames[i][0].state == "reacquired")
    assert {o.state for o, _ in frames[shown:whole]} == {"uncertain"}
    assert {o.reason for o, _ in frames[shown:whole]} <= {
        returns.PARTLY_SEEN,
        "seen again only just now",
        returns.NOT_ALIKE_ENOUGH,
    }
    parts = [(o, truth) for o, truth in frames[shown:whole] if o.reason == returns.PARTLY_SEEN]
    assert np.mean([iou(uncrop_mask(o.bbox, o.mask, truth.shape), truth) for o, truth in parts]) > 0.6


def test_nothing_is_learnt_from_a_part_and_its_pose_is_left_alone():
    segmenter = Segmenter(Lite())
    for i in range(WALL_FRAMES):
        rgb, truth = behind_the_wall(i)
        prompts = [Prompt(object_id=o, mask=(truth == o).astype(np.uint8)) for o in (1, 2) if i == 0]
        before = segmenter.model.memories.get(1)
        additions = before.overall_colours.additions if before else 0
        objects = segmenter.step(tracks(i, rgb, *prompts, ids=(1, 2)))[0].objects
        if objects[0].reason == returns.PARTLY_SEEN:
            memory = segmenter.model.memories[1]
            assert memory.absent_frames > 0
            assert memory.overall_colours.additions == additions
            return
    pytest.fail("no part was shown")


def test_what_was_there_already_does_not_come_out():
    """A second square of the same look rests at the edge over which the first one left."""

    def clip(i: int):
        rgb, truth = out_of_the_frame(min(i, AWAY))  # it stays away
        rgb[100:130, :30] = SPRITE[:30, :30]
        return rgb, truth

    frames = follow(clip, 2 * AWAY)
    assert all(o.area == 0 for o, _ in frames[AWAY:])


def test_another_thing_that_comes_in_is_shown_no_longer_than_until_most_of_it_is_in_sight():
    """Of the same colours, but of another pattern: the search for the whole never finds it."""
    other = np.ascontiguousarray(np.rot90(SPRITE.reshape(5, 10, 5, 10, 3).transpose(2, 1, 0, 3, 4).reshape(50, 50, 3)))

    def clip(i: int):
        return picture(-STEP_PX * min(i, 2 * AWAY - i), wall=False, sprite=SPRITE if i < AWAY else other)

    frames = follow(clip, 2 * AWAY)
    assert frames[-1][0].state in ("lost", "uncertain")
    assert not any(o.state == "reacquired" for o, _ in frames)
    assert all(o.area <= emergence.WHOLE * SIDE * SIDE + SIDE for o, _ in frames[AWAY:])


@pytest.mark.parametrize("seed", [77, 78])
def test_a_followed_object_of_like_colours_keeps_its_pixels_also_when_its_mask_is_lost_for_a_while(seed):
    other, segmenter = texture(seed, 30, 30, (110, -30, -60)), Segmenter(Lite())
    for i in range(60):
        rgb, truth = picture(-4 * min(i, 20), wall=False)
        x = max(120 - 4 * i, 2)  # to the edge over which the square has left, where it rests
        rgb[105:135, x : x + 30], truth[105:135, x : x + 30] = other, 2
        prompts = [Prompt(object_id=o, mask=(truth == o).astype(np.uint8)) for o in (1, 2) if i == 0]
        left, followed = segmenter.step(tracks(i, rgb, *prompts, ids=(1, 2)))[0].objects
        assert i < 20 or left.area == 0
        assert followed.area in (0, *range(800, 1000))


def test_an_object_that_is_carried_covers_what_is_behind_it():
    memory = ObjectMemory.from_mask(*draw(60))
    assert iou(memory.draw_mask(SIZE), draw(60)[1]) > 0.95
    memory.carry_to(np.array([[1, 0, 20], [0, 1, 5]], float))
    assert iou(memory.draw_mask(SIZE), draw(80, 55)[1]) > 0.95


def test_of_many_lost_objects_some_are_looked_at_on_each_frame_and_all_in_turn(monkeypatch):
    rgb, mask = draw(3)
    memories = {i: ObjectMemory.from_mask(rgb, mask) for i in range(2 * PARTS)}
    for memory in memories.values():
        memory.count_absent()
        memory.begin_frame()
    looked = []
    monkeypatch.setattr(emergence, "find_part", lambda _rgb, _rivals, memory, _region: looked.append(id(memory)))
    for frame in (1, 1, 2):  # a frame may be asked about twice
        assert find_parts(rgb, memories, [], frame) == {}
    assert len(looked) == len(set(looked)) == 2 * PARTS


def test_nothing_is_kept_of_a_part_of_an_object_that_left_long_ago():
    memory = ObjectMemory.from_mask(*draw(3))
    memory.age, memory.absent_frames = 200, returns.LONG_ABSENCE + 1
    memory.emergence.answer = NO_MASK
    assert find_parts(draw(3)[0], {1: memory}, [], 1) == {}
    assert memory.emergence.answer is None


def test_one_that_vanished_in_the_open_is_not_looked_for_at_borders():
    rivals = Rivals(np.zeros(SIZE, np.uint8), ())
    assert not emergence._went_behind(rivals, (60, 50, 50, 50))
    assert emergence._went_behind(rivals, (5, 50, 50, 50))
    rivals.sure[60:70, 115:] = 1
    assert emergence._went_behind(rivals, (60, 50, 50, 50))
