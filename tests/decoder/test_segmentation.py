"""From points to exclusive masks and seeds, with a mask model whose answers are written here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from decoder.scripted_model import SIZE, ScriptedModel, box, frame, tracks

from nodes.decoder.combining import exclusive
from nodes.decoder.mask_model import Logits, ScoreLimits
from nodes.decoder.segmentation import Segmenter
from stream.crops import uncrop_mask
from stream.errors import ModelError
from stream.messages import ObjectTrack, Prompt, Tracks
from stream.settings.options import SegmenterOptions


def test_each_object_gets_its_mask_with_the_points_of_its_track():
    masks, seeds = Segmenter(ScriptedModel()).step(tracks(0, 1))
    (o,) = masks.objects
    assert (o.bbox, o.area, o.state, o.origin) == ((10, 10, 20, 20), 400, "tracked", "decoded")
    assert o.xy.shape == (4, 2)
    assert seeds is None


def test_masks_never_overlap_and_the_larger_logit_wins():
    model = ScriptedModel({1: (0, 0, 30, 30), 2: (20, 20, 30, 30), 3: (25, 0, 10, 60)})
    masks, _ = Segmenter(model).step(tracks(0, 1, 2, 3))
    total = sum(uncrop_mask(o.bbox, o.mask, SIZE).astype(int) for o in masks.objects)
    assert total.max() == 1
    label = masks.label_image()
    assert (label[22, 22], label[25, 27], label[5, 5]) == (2, 3, 1)


def test_a_pixel_without_a_positive_logit_belongs_to_nobody():
    answers = [Logits((0, 0, 4, 4), np.full((4, 4), -1, np.float32), 1.0)]
    assert not exclusive((4, 4), answers)[0].any()


def test_seeds_answer_boundaries_with_all_objects_and_prompts_with_the_prompted_ones():
    model = ScriptedModel({1: (0, 0, 20, 20), 2: (40, 20, 20, 20)})
    segmenter = Segmenter(model)
    ids = []
    for t in (
        tracks(0, 1, prompts=[box(1)]),
        tracks(1, 1, 2, prompts=[box(2)]),
        tracks(2, 1, 2),
        tracks(3, 1, 2, boundary=True),
    ):
        seeds = segmenter.step(t)[1]
        ids.append(None if seeds is None else (seeds.frame_id, [s.object_id for s in seeds.objects]))
    assert ids == [(0, [1]), (1, [2]), None, (3, [1, 2])]


def test_a_bad_boundary_mask_gives_no_seed():
    model = ScriptedModel({1: (10, 10, 10, 10)})
    segmenter = Segmenter(model)

    def seeded(i: int, bbox) -> bool:
        model.boxes[1] = bbox
        seeds = segmenter.step(tracks(i, 1, boundary=True))[1]
        assert seeds is not None  # it answers, so that nobody waits
        return bool(seeds.objects)

    assert seeded(0, (10, 10, 10, 10))
    assert not seeded(1, (0, 0, 0, 0))
    assert not seeded(2, (10, 10, 4, 4))  # below 25 px
    assert not seeded(3, (10, 10, 20, 16))  # more than three times the last good one
    assert not seeded(4, (0, 0, 80, 60))  # the whole frame
    assert seeded(5, (10, 10, 16, 16))
    assert seeded(6, (10, 10, 20, 30))  # measured against the new good one


def test_an_object_that_comes_out_from_behind_another_is_seeded_again():
    model = ScriptedModel({1: (10, 10, 20, 20)})
    segmenter = Segmenter(model)
    segmenter.step(tracks(0, 1, prompts=[box()]))
    model.boxes = {1: (10, 10, 6, 6)}  # nearly hidden
    assert segmenter.step(tracks(7, 1, boundary=True))[1].objects
    model.boxes = {1: (10, 10, 20, 20)}  # eleven times as large, and no larger than it was
    assert segmenter.step(tracks(14, 1, boundary=True))[1].objects


def test_the_users_word_sets_a_new_measure_of_growth():
    model = ScriptedModel({1: (10, 10, 10, 10)})
    segmenter = Segmenter(model)
    segmenter.step(tracks(0, 1, boundary=True))
    model.boxes[1] = (10, 10, 40, 40)
    assert segmenter.step(tracks(1, 1, prompts=[box(kind="refine")]))[1].objects
    assert segmenter.step(tracks(2, 1, boundary=True))[1].objects


def test_a_lost_object_publishes_an_empty_mask_even_when_the_model_answers():
    model = ScriptedModel(score=0.1)
    segmenter = Segmenter(model, SegmenterOptions(lost_after_frames=3))
    seen = [segmenter.step(tracks(i, 1))[0].objects[0] for i in range(4)]
    model.score = 0.9
    seen += [segmenter.step(tracks(i, 1))[0].objects[0] for i in range(4, 7)]
    assert [o.state for o in seen] == ["uncertain"] * 2 + ["lost"] * 3 + ["reacquired"] * 2
    assert [o.area for o in seen] == [0] * 5 + [400] * 2
    assert seen[0].bbox == (0, 0, 0, 0)


def test_a_part_of_a_lost_object_is_published_with_its_doubt_and_neither_learnt_nor_seeded_from():
    model = ScriptedModel({1: (0, 0, 0, 0)})
    segmenter = Segmenter(model, SegmenterOptions(lost_after_frames=3))
    for i in range(3):
        segmenter.step(tracks(i, 1))
    model.boxes, model.part = {1: (10, 10, 10, 10)}, True
    answers = [segmenter.step(tracks(i, 1, boundary=True)) for i in range(3, 6)]
    assert [masks.objects[0].state for masks, _ in answers] == ["lost", "uncertain", "uncertain"]
    assert [masks.objects[0].area for masks, _ in answers] == [0, 100, 100]
    assert answers[1][0].objects[0].reason == "only a part"
    assert not any(seeds.objects for _, seeds in answers)
    assert not any(model.verdicts[i][1].trusted for i in (-1, -2, -3))
    assert all(query.lost for query in model.queries)  # it is still searched as a whole
    model.part = False
    found = [segmenter.step(tracks(i, 1, boundary=True)) for i in (6, 7)]
    assert [masks.objects[0].state for masks, _ in found] == ["uncertain", "reacquired"]
    assert found[0][0].objects[0].reason == "seen again only just now"
    assert found[1][1].objects


def test_the_model_learns_only_what_is_clear_and_only_what_was_won():
    model = ScriptedModel({1: (0, 0, 30, 30), 2: (20, 0, 30, 30)})
    segmenter = Segmenter(model)
    segmenter.step(tracks(0, 1, 2))
    assert model.verdicts[-1][1].trusted
    assert model.verdicts[-1][1].mask.sum() == 600
    segmenter.step(tracks(1, 1, 2, visible=0.0))
    assert not model.verdicts[-1][1].trusted


def test_an_object_that_is_no_longer_tracked_is_forgotten():
    segmenter = Segmenter(ScriptedModel({1: (0, 0, 9, 9), 2: (20, 20, 9, 9)}))
    segmenter.step(tracks(0, 1, 2))
    masks, _ = segmenter.step(tracks(1, 2))
    assert [o.object_id for o in masks.objects] == [2]
    assert segmenter.model.forgotten == [1]


def test_a_restored_object_that_has_a_mask_keeps_its_own_state_and_is_answered_with_a_seed():
    model = ScriptedModel()
    segmenter = Segmenter(model)
    mask = np.zeros(SIZE, np.uint8)
    mask[:9, :9] = 1
    restore = Prompt(object_id=1, kind="restore", mask=mask)
    segmenter.step(tracks(0, 1, prompts=[restore]))
    assert model.queries[0].prompt is restore  # the object is new: the given mask is all there is
    seeds = segmenter.step(tracks(1, 1, prompts=[restore]))[1]
    assert model.queries[0].prompt is None
    assert [s.bbox for s in seeds.objects] == [(10, 10, 20, 20)]


def test_a_restored_object_whose_mask_was_never_seen_takes_the_mask_that_comes_with_it():
    segmenter = Segmenter(ScriptedModel({1: (0, 0, 0, 0)}))
    segmenter.step(tracks(0, 1))  # a decoder that was restarted: the frames that waited come before the prompts
    restore = Prompt(object_id=1, kind="restore", mask=np.ones(SIZE, np.uint8))
    segmenter.step(tracks(1, 1, prompts=[restore]))
    assert segmenter.model.queries[0].prompt is restore


def test_frames_passed_over_are_counted_anew_in_each_session():
    segmenter = Segmenter(ScriptedModel())
    gaps = [
        segmenter.step(tracks(i, 1, session=s))[0].passed_over for i, s in ((4, 0), (5, 0), (9, 0), (30, 1), (32, 1))
    ]
    assert gaps == [0, 0, 3, 0, 1]


def test_the_model_learns_of_a_new_frame_size_and_areas_follow():
    model = ScriptedModel({1: (10, 10, 10, 10)})
    segmenter = Segmenter(model)
    segmenter.step(tracks(0, 1, boundary=True))
    model.boxes[1] = (20, 20, 20, 20)
    seeds = segmenter.step(tracks(1, 1, boundary=True, size=(120, 160)))[1]
    assert model.resized == [((60, 80), (120, 160))]
    assert seeds.size == (120, 160)
    assert seeds.objects


def test_without_objects_there_are_no_masks_and_the_model_still_sees_the_frame():
    masks, seeds = Segmenter(ScriptedModel()).step(tracks(0))
    assert masks.objects == ()
    assert seeds is None


def test_a_mask_that_its_points_contradict_is_doubted_and_seeds_nothing():
    model = ScriptedModel({1: (0, 0, 80, 50)}, points_contradict=True)  # it has leaked over the negative point
    segmenter = Segmenter(model)
    track = ObjectTrack(
        object_id=1,
        xy=np.array([[20, 20], [70, 40]], np.float32),
        visibility=np.ones(2, np.float32),
        labels=np.array([1, 0], np.uint8),
    )
    masks, seeds = segmenter.step(Tracks(frame=frame(0), objects=(track,), boundary=True, seeds_for=(1,)))
    assert masks.objects[0].state == "uncertain"
    assert seeds.objects == ()


def test_a_prompt_whose_mask_is_the_whole_frame_is_not_tracked():
    masks, _ = Segmenter(ScriptedModel({1: (0, 0, 80, 60)})).step(tracks(0, 1, prompts=[box()]))
    assert masks.objects[0].state != "tracked"
    assert masks.objects[0].area == 0


def test_variant_c_seeds_the_frame_whose_area_is_most_like_the_first():
    model = ScriptedModel()
    segmenter = Segmenter(model, SegmenterOptions(reinit_variant="C", horizon=8))
    for i, width in enumerate((20, 30, 28, 26, 21, 35, 38, 40)):
        model.boxes = {1: (10, 10, width, 20)}
        seeds = segmenter.step(tracks(i, 1, boundary=i == 7))[1]
    assert [(s.frame_id, s.bbox[2]) for s in seeds.objects] == [(4, 21)]
    assert seeds.frame_id == 7


def test_without_objects_a_model_that_learns_nothing_is_not_asked():
    model = ScriptedModel(every_frame=False)
    model.encode = lambda rgb: pytest.fail("encoded for nobody")
    masks, _ = Segmenter(model).step(tracks(0))
    assert masks.objects == ()


def test_a_prompt_that_the_model_had_no_answer_for_is_obeyed_and_answered_on_the_next_frame():
    model = ScriptedModel()
    segmenter = Segmenter(model)

    def no_answer(rgb):
        raise ModelError("out of memory")

    encode, model.encode = model.encode, no_answer
    masks, seeds = segmenter.step(tracks(0, 1, prompts=[box()]))
    assert (masks, seeds.objects, segmenter.failed) == (None, (), 1)
    model.encode = encode
    masks, seeds = segmenter.step(tracks(1, 1))
    assert model.queries[0].prompt is not None
    assert [s.object_id for s in seeds.objects] == [1]


def test_each_object_of_variant_c_goes_back_by_itself_and_a_prompted_one_does_not():
    model = ScriptedModel({1: (10, 10, 20, 20), 2: (40, 30, 20, 20)})
    segmenter = Segmenter(model, SegmenterOptions(reinit_variant="C", horizon=8))
    for i, width in enumerate((20, 30, 28, 26, 21, 35, 38, 36)):
        model.boxes = {1: (10, 10, width, 10), 2: (40, 30, width, 10)}
        prompts = [box(2, kind="refine")] if i == 7 else []
        seeds = segmenter.step(tracks(i, 1, 2, boundary=i == 7, prompts=prompts))[1]
    assert [(s.object_id, s.frame_id) for s in seeds.objects] == [(1, 4), (2, 7)]


@pytest.mark.parametrize(("score", "state"), [(0.8, "uncertain"), (0.95, "tracked")])
def test_a_sure_mask_needs_no_visible_point_but_is_not_learnt_from(score, state):
    model = ScriptedModel(score=score)
    model.traits = replace(model.traits, limits=ScoreLimits(sure=0.9))
    segmenter = Segmenter(model)
    segmenter.step(tracks(0, 1))
    masks, _ = segmenter.step(tracks(1, 1, visible=0.0))
    assert masks.objects[0].state == state
    assert not model.verdicts[-1][1].trusted


def test_the_reason_of_a_doubt_is_told_until_it_is_over():
    model = ScriptedModel({1: (10, 10, 20, 20)})
    segmenter = Segmenter(model, SegmenterOptions(lost_after_frames=2))

    def told(i: int, score: float = 0.9, **more) -> tuple[str, str]:
        model.score = score
        (o,) = segmenter.step(tracks(i, 1, **more))[0].objects
        return o.state, o.reason

    assert told(0, prompts=[box()]) == ("tracked", "")
    assert told(1, 0.4) == ("uncertain", "low score")
    assert told(2, 0.6, visible=0.1) == ("uncertain", "few points visible")
    model.boxes = {1: (10, 10, 2, 2)}
    assert told(3) == ("uncertain", "mask too small")
    assert told(4) == ("lost", "mask too small")
    model.boxes = {1: (10, 10, 20, 20)}
    assert told(5) == ("lost", "seen again only just now")
    assert told(6) == ("reacquired", "")


def test_an_object_that_was_restored_says_that_nobody_has_seen_it_since():
    segmenter = Segmenter(ScriptedModel())
    (o,) = segmenter.step(tracks(0, 1, prompts=[box(kind="restore")]))[0].objects
    assert (o.state, o.reason) == ("uncertain", "not confirmed since a restart")


def test_what_the_points_say_against_a_mask_is_told():
    model = ScriptedModel({1: (10, 10, 20, 20)}, points_contradict=True)
    segmenter = Segmenter(model)
    segmenter.step(tracks(0, 1, prompts=[box()]))
    model.boxes = {1: (40, 40, 20, 18)}  # its points are at (20, 20)
    (o,) = segmenter.step(tracks(1, 1))[0].objects
    assert (o.state, o.reason) == ("uncertain", "points contradict the mask")
    model.boxes = {1: (5, 5, 60, 50)}
    (o,) = segmenter.step(tracks(2, 1))[0].objects
    assert (o.state, o.reason) == ("uncertain", "sudden growth")
