"""The decoder's part of a prompt on a past frame: its mask there, and an object handed over at the newest frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders import SIZE, box_mask, gray, mask_prompt, masks, object_mask, point_prompt
from builders import tracks as one_tracks
from decoder.disc_sam import DiscSam
from decoder.lite.textured_square import draw, iou
from decoder.live_feed import ManualWorker, SquareModel
from running import until

from nodes.decoder.candidates import rank_candidates
from nodes.decoder.lite.backend import Lite
from nodes.decoder.mask_model import Query
from nodes.decoder.node import DecoderStage
from nodes.decoder.past_prompts.catching_up import CatchingUp
from nodes.decoder.past_prompts.mask_history import MAX_FRAMES, MaskHistory
from nodes.decoder.sam.sam_pt import SamPt
from stream.commands import Start
from stream.crops import uncrop_mask
from stream.errors import ModelError
from stream.in_memory import InMemoryNode
from stream.messages import FrameRef, Masks, ObjectTrack, Prompt, PromptOnFrame, Seeds, TrackedFrame, Tracks
from stream.reports import Answer
from stream.settings.presets import load

CLIP = [draw(30 + 4 * i) for i in range(10)]  # pictures and true masks of a square that moves


def started(model, preset="lite", live=True):
    node = InMemoryNode()
    stage = DecoderStage(load(preset, {"capture.source": "demo", "capture.realtime": live}), node, model)
    node.start(stage, Start())
    return stage, node


def frame(i: int):
    return one_tracks(i, rgb=CLIP[i][0], size=CLIP[i][1].shape).frame


def no_points(object_id: int) -> ObjectTrack:
    return ObjectTrack(
        object_id=object_id,
        xy=np.zeros((0, 2), np.float32),
        visibility=np.zeros(0, np.float32),
        labels=np.zeros(0, np.uint8),
    )


def on(i: int, prompt: Prompt, since=(), request: int = 0, objects=()) -> PromptOnFrame:
    return PromptOnFrame(
        prompt=prompt,
        on=TrackedFrame(frame=frame(i), objects=objects),
        since=tuple(frame(j) for j in since),
        request=request,
    )


def done(stage) -> None:
    """Wait until what is followed beside the feed is handed over."""

    def handed_over() -> bool:
        stage.on_idle()
        return not stage.catching_up.busy

    until(handed_over, "the object on the newest frame")


def mask_at(seeds: Seeds) -> np.ndarray:
    [seed] = seeds.objects
    return uncrop_mask(seed.bbox, seed.mask, seeds.size)


# --- a model with memory ---


def test_seeds_go_out_of_the_prompts_frame_and_of_the_newest_and_the_next_frame_has_the_mask():
    stage, node = started(Lite())
    for i in range(6):
        node.give(stage, Tracks(frame=frame(i)))
    node.sent.clear()
    assert not node.give(stage, on(2, mask_prompt(1, CLIP[2][1]), since=(3, 4, 5)))  # no step of the feed
    done(stage)
    first, newest = node.take(Seeds)
    assert (first.frame_id, newest.frame_id) == (2, 5)
    assert np.array_equal(mask_at(first), CLIP[2][1])
    assert iou(mask_at(newest), CLIP[5][1]) > 0.9
    assert node.take(Masks) == []
    node.give(stage, Tracks(frame=frame(6), objects=(no_points(1),)))
    [published] = node.take(Masks)
    assert iou(published.label_image(), CLIP[6][1]) > 0.9
    assert published.objects[0].state == "tracked"


def test_frames_that_come_meanwhile_are_followed_as_well_and_the_feed_does_not_wait():
    stage, node = started(Lite())
    worker = ManualWorker()
    stage.catching_up = CatchingUp(worker)
    for i in range(4):
        node.give(stage, Tracks(frame=frame(i)))
    node.give(stage, on(1, mask_prompt(1, CLIP[1][1]), since=(2, 3)))
    for i in range(4, 8):  # the thread is at work
        assert node.give(stage, Tracks(frame=frame(i), objects=(no_points(1),)))
    assert [m.objects[0].area if m.objects else -1 for m in node.take(Masks)][-4:] == [0] * 4
    worker.finish()
    stage.on_idle()  # four frames are left: once more on the thread
    assert worker.busy
    node.give(stage, Tracks(frame=frame(8), objects=(no_points(1),)))
    worker.finish()
    stage.on_idle()  # one is left: at once
    assert [s.frame_id for s in node.take(Seeds)] == [1, 8]
    node.give(stage, Tracks(frame=frame(9), objects=(no_points(1),)))
    published = node.take(Masks)[-1]
    assert iou(published.label_image(), CLIP[9][1]) > 0.85
    assert published.objects[0].state == "tracked"


def test_an_object_is_not_lost_while_its_first_mask_is_being_made():
    stage, node = started(Lite())
    worker = ManualWorker()
    stage.catching_up = CatchingUp(worker)
    node.give(stage, Tracks(frame=frame(0)))
    node.give(stage, on(0, mask_prompt(1, CLIP[0][1])))
    for i in range(1, 20):  # more than an object may be missing for
        node.give(
            stage, Tracks(frame=one_tracks(i, rgb=CLIP[0][0], size=CLIP[0][1].shape).frame, objects=(no_points(1),))
        )
    shown = [m.objects[0] for m in node.take(Masks) if m.objects]
    assert {(o.state, o.reason) for o in shown} == {("uncertain", "its first mask is being made")}
    while stage.catching_up.busy:
        if worker.busy:
            worker.finish()
        stage.on_idle()
    node.give(stage, Tracks(frame=one_tracks(20, rgb=CLIP[0][0], size=CLIP[0][1].shape).frame, objects=(no_points(1),)))
    assert node.take(Masks)[-1].objects[0].state == "tracked"


def test_an_object_whose_first_mask_does_not_come_is_missing_as_any_other():
    class NoAnswer(Lite):
        def beside(self):
            raise ModelError("out of memory")

    stage, node = started(NoAnswer())
    node.give(stage, Tracks(frame=frame(0)))
    node.give(stage, on(0, mask_prompt(1, CLIP[0][1])))
    done(stage)
    for i in range(1, 10):
        node.give(stage, Tracks(frame=frame(i), objects=(no_points(1),)))
    assert node.take(Masks)[-1].objects[0].state == "lost"


def test_an_object_that_a_busy_machine_brings_from_long_ago_is_followed_over_frames_of_all_that_time():
    way = [draw(30 + 4 * i, turn=0.05 * i) for i in range(30)]
    pictures = [one_tracks(i, rgb=rgb, size=truth.shape).frame for i, (rgb, truth) in enumerate(way)]
    stage, node = started(Lite())
    worker = ManualWorker()
    stage.catching_up = CatchingUp(worker)
    node.give(stage, Tracks(frame=pictures[0]))
    on_first = TrackedFrame(frame=pictures[0], objects=())
    node.give(stage, PromptOnFrame(prompt=mask_prompt(1, way[0][1]), on=on_first, since=()))
    for i in range(1, 21):  # while the mask is made
        node.give(stage, Tracks(frame=pictures[i], objects=(no_points(1),)))
    while stage.catching_up.busy:
        worker.finish()
        stage.on_idle()
    node.give(stage, Tracks(frame=pictures[21], objects=(no_points(1),)))
    published = node.take(Masks)[-1]
    assert iou(published.label_image(), way[21][1]) > 0.9
    assert published.objects[0].state == "tracked"


@pytest.mark.parametrize(("next_id", "left", "wanted"), [(2, 0.75, 3), (2, 0.5, 3), (2, 2.0, 3), (1, 0.5, 1)])
def test_a_task_leaves_frames_out_that_does_not_catch_up_or_has_another_prompt_of_its_object_behind_it(
    next_id, left, wanted
):
    class Slow:
        def __init__(self, object_id):
            self.object_id, self.waiting, self.done = object_id, 16, False

        behind = property(lambda self: self.waiting)

        def follow(self, frame):
            self.waiting += 1

        def step(self):
            self.waiting = int(self.waiting * left)  # have come meanwhile
            return True

        def thin_out(self, most):
            self.waiting = min(self.waiting, most)

        def finish(self):
            self.done = True

    worker, slow, next_one = ManualWorker(), Slow(1), Slow(next_id)
    catching_up = CatchingUp(worker)
    catching_up.run(slow)
    catching_up.run(next_one)
    rounds = 0
    while not slow.done:
        rounds += 1
        worker.finish()
        catching_up.collect()
    assert rounds == wanted
    assert catching_up.tasks == [next_one]
    assert worker.busy  # with the next one


def test_prompts_of_objects_that_were_removed_hold_up_nobody():
    stage, node = started(Lite())
    worker = ManualWorker()
    stage.catching_up = CatchingUp(worker)
    for i in range(4):
        node.give(stage, Tracks(frame=frame(i)))
    for object_id in (1, 2, 3):
        node.give(stage, on(1, mask_prompt(object_id, CLIP[1][1]), since=(2, 3), request=object_id))
    node.take(Seeds)
    for i in range(4, 8):  # 1 and 2 are removed while the thread is at work on 1
        node.give(stage, Tracks(frame=frame(i), objects=(no_points(3),)))
    assert [(a.request, bool(a.error)) for a in node.take(Answer)] == [(2, True)]
    assert [s.objects for s in node.take(Seeds)] == [()], "the tracker waits for it no longer"
    worker.finish()
    stage.on_idle()  # 1 is over, though four frames have come
    assert [task.object_id for task in stage.catching_up.tasks] == [3]
    worker.finish()
    stage.on_idle()
    node.give(stage, Tracks(frame=frame(8), objects=(no_points(3),)))
    done_by = [worker.finish(), stage.on_idle()] if worker.busy else []
    assert not stage.catching_up.busy, done_by
    node.give(stage, Tracks(frame=frame(9), objects=(no_points(3),)))
    [published] = [m for m in node.take(Masks) if m.stamp.frame_id == 9]
    assert [o.object_id for o in published.objects] == [3]
    assert iou(published.label_image() == 3, CLIP[9][1]) > 0.85


def test_a_prompt_on_the_newest_frame_needs_no_frames_since():
    stage, node = started(Lite())
    for i in range(6):
        node.give(stage, Tracks(frame=frame(i)))
    node.give(stage, on(5, mask_prompt(1, CLIP[5][1])))
    done(stage)
    node.give(stage, Tracks(frame=frame(6), objects=(no_points(1),)))
    assert iou(node.take(Masks)[-1].label_image(), CLIP[6][1]) > 0.9


def test_points_that_lead_to_nothing_leave_an_object_as_it_was():
    stage, node = started(Lite())
    node.give(stage, Tracks(frame=frame(0), objects=(no_points(1),), prompts=(mask_prompt(1, CLIP[0][1]),)))
    for i in range(1, 6):
        node.give(stage, Tracks(frame=frame(i), objects=(no_points(1),)))
    node.sent.clear()
    far = FrameRef(session=0, frame_id=100)  # the history knows no mask there
    prompt = point_prompt(1, [(5, 5)], 0, kind="refine", frame=far)
    node.give(stage, on(4, prompt, since=(5,)))
    done(stage)
    node.give(stage, Tracks(frame=frame(6), objects=(no_points(1),)))
    assert iou(node.take(Masks)[-1].label_image(), CLIP[6][1]) > 0.85


def test_masks_are_remembered_by_frame_within_a_bound():
    history = MaskHistory(max_bytes=50)
    for i in range(100):
        history.record(masks(i, object_mask(1, (i % 30, 2, 10, 8))))  # 10 bytes each
    assert history.find(1, FrameRef(session=0, frame_id=90)) is None
    found = history.find(1, FrameRef(session=0, frame_id=98))
    assert np.flatnonzero(found.any(axis=0)).tolist() == list(range(98 % 30, 98 % 30 + 10))
    assert history.find(2, FrameRef(session=0, frame_id=98)) is None
    assert history.find(1, FrameRef(session=1, frame_id=98)) is None


def test_frames_without_a_mask_are_not_remembered_for_ever():
    history = MaskHistory()
    for i in range(2 * MAX_FRAMES):
        history.record(masks(i, object_mask(1, (0, 0, 0, 0), mask=np.zeros((0, 0), np.uint8))))
    history.record(masks(2 * MAX_FRAMES, object_mask(1, (1, 2, 10, 8))))
    assert len(history) == MAX_FRAMES
    assert history.find(1, FrameRef(session=0, frame_id=2 * MAX_FRAMES)) is not None


# --- a model without memory ---


def test_a_sam_makes_the_mask_of_the_old_frame_with_the_points_of_others_there_against_it():
    sam = DiscSam()
    stage, node = started(SamPt(sam), "sam_pt", live=False)
    other = ObjectTrack(
        object_id=2, xy=np.array([[50, 50]], np.float32), visibility=np.ones(1, np.float32), labels=np.ones(1, np.uint8)
    )
    node.give(stage, on(2, point_prompt(1, [(40, 60)]), objects=(other,)))
    [seeds] = node.take(Seeds)
    assert (seeds.frame_id, [o.object_id for o in seeds.objects]) == (2, [1])
    assert [50, 50] in sam.calls[0].xy[0].tolist()  # as a negative point
    assert sam.encoded == 1
    node.give(stage, on(2, point_prompt(1, [(40, 60)]), objects=(other,)))
    assert sam.encoded == 1  # the same frame is not encoded again


def test_a_model_without_an_answer_is_told_and_a_tracker_does_not_wait_for_it():
    class NoAnswer(SquareModel):
        def encode(self, rgb):
            raise ModelError("out of memory")

    stage, node = started(NoAnswer(), "sam_pt", live=False)
    node.give(stage, on(2, point_prompt(1, step=1), request=5))
    [seeds] = node.take(Seeds)
    assert (seeds.frame_id, seeds.objects) == (2, ())
    [answer] = node.take(Answer)
    assert answer.error


# --- candidates ---


def test_candidates_are_ranked_by_area_without_those_that_are_as_good_as_the_same():
    def square(side: int) -> np.ndarray:
        mask = np.zeros((60, 60), np.uint8)
        mask[:side, :side] = 1
        return mask

    ranked = rank_candidates(square(20), [square(40), square(10), square(0), square(41), square(20)])
    assert [int(m.sum()) for m in ranked.masks] == [100, 400, 1600]
    assert ranked.default == 1


def test_the_default_is_offered_even_where_it_is_empty():
    ranked = rank_candidates(np.zeros(SIZE, np.uint8), [box_mask((5, 5, 20, 20)), np.ones(SIZE, np.uint8)])
    assert (len(ranked.masks), ranked.default) == (2, 0)


def test_regions_round_a_click_grow_from_candidate_to_candidate():
    rgb, truth = CLIP[3]
    lite = Lite()
    rows, columns = np.nonzero(truth)
    centre = (float(columns.mean()), float(rows.mean()))
    offered = lite.candidates(lite.encode(rgb), Query(no_points(1), point_prompt(1, [centre])))
    areas = [int(m.sum()) for m in offered.masks]
    assert len(areas) >= 3
    assert areas == sorted(areas)
    assert all(m[int(centre[1]), int(centre[0])] for m in offered.masks)


@pytest.mark.parametrize("prompt", [mask_prompt(1, CLIP[3][1]), Prompt(object_id=1, box=(30, 40, 90, 110))])
def test_a_mask_or_a_box_means_one_thing_to_lite(prompt):
    lite = Lite()
    offered = lite.candidates(lite.encode(CLIP[3][0]), Query(no_points(1), prompt))
    assert (len(offered.masks), offered.default) == (1, 0)


def test_a_candidate_is_taken_by_its_number_and_the_answer_says_how_many_there_are():
    stage, node = started(Lite())
    for i in range(6):
        node.give(stage, Tracks(frame=frame(i)))
    rows, columns = np.nonzero(CLIP[2][1])
    click = point_prompt(1, [(columns.mean(), rows.mean())])
    areas = []
    for k in (0, 99):
        prompt = Prompt(object_id=1, xy=click.xy, labels=click.labels, candidate=k)
        node.give(stage, on(2, prompt, since=(3, 4, 5), request=7))
        done(stage)
        [answer] = node.take(Answer)
        areas.append(int(mask_at(node.take(Seeds)[0]).sum()))
        assert answer.result["candidate"] == (0 if k == 0 else answer.result["candidates"] - 1)
    assert areas[0] < areas[1]


def test_the_three_masks_of_a_sam_are_offered_beside_the_one_that_a_prompt_gives():
    class ThreeDiscs(DiscSam):
        def predict(self, embedding, prompts):
            if not prompts.multimask:
                return super().predict(embedding, prompts)
            parts = []
            for self.reach in (7.0, 9.5, 30.0):
                parts.append(super().predict(embedding, prompts))
            self.reach = 12.0
            return type(parts[0])(torch.cat([p.low_res for p in parts]), np.concatenate([p.iou for p in parts]))

    model = SamPt(ThreeDiscs())
    offered = model.candidates(model.encode(gray((120, 180))), Query(no_points(1), point_prompt(1, [(90, 60)])))
    areas = [int(m.sum()) for m in offered.masks]
    assert len(areas) == 4
    assert areas == sorted(areas)
    assert offered.default == 2  # 12 low-res px
