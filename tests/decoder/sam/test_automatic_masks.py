"""SAM's automatic mask generation: which masks of a grid of points are taken for objects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from decoder.disc_sam import DiscSam

from nodes.decoder.sam import prompting
from nodes.decoder.sam.automatic_masks import (
    Candidate,
    GeneratorRules,
    MaskGenerator,
    choose,
    deepest,
    grid,
    propose,
    suppress,
)
from nodes.decoder.sam.protocol import LOW_RES, SamAnswer
from stream.crops import crop_mask

SIZE = (128, 256)  # 1 low-res px is 1 px


class Things(DiscSam):
    """A SAM whose three masks of a point are the discs of the picture that it lies on, rated as given, or nothing."""

    def __init__(self, *things, slope: float = 5.0) -> None:
        super().__init__()
        self.things = things  # (x, y, radius, iou)
        self.slope = slope  # of the logits at the edge
        self.upscaled = []  # masks at once

    def predict(self, embedding, prompts) -> SamAnswer:
        self.calls.append(prompts)
        rows, columns = np.mgrid[:LOW_RES, :LOW_RES]
        logits = np.full((len(prompts.labels), 3, LOW_RES, LOW_RES), -20.0, np.float32)
        iou = np.zeros((len(logits), 3), np.float32)
        for i, (px, py) in enumerate(prompts.xy[:, 0]):
            here = [thing for thing in self.things if np.hypot(px - thing[0], py - thing[1]) < thing[2]]
            for k, (x, y, radius, score) in enumerate(here):
                logits[i, k] = self.slope * (radius - np.hypot(columns - x, rows - y))
                iou[i, k] = score
        return SamAnswer(torch.from_numpy(logits).flatten(0, 1), iou.ravel())

    def upscale(self, low_res, embedding) -> torch.Tensor:
        self.upscaled.append(len(low_res))
        return super().upscale(low_res, embedding)


def search(backend, most=10, covered=None, **rules):
    embedding = backend.encode(np.zeros((*SIZE, 3), np.uint8))
    return propose(backend, embedding, covered, most, GeneratorRules(**{"side": 16, **rules}))


def places(found):
    return [tuple(round(v) for v in o.inside) for o in found]


def test_the_grid_has_a_point_in_the_middle_of_each_cell():
    np.testing.assert_allclose(grid(2, (40, 80)), [[20, 10], [60, 10], [20, 30], [60, 30]])
    assert grid(32, (360, 640)).shape == (1024, 2)


def test_each_object_is_found_once_and_the_best_comes_first():
    backend = Things((60, 60, 20, 0.9), (180, 70, 25, 0.95))
    found = search(backend)
    assert places(found) == [(180, 70), (60, 60)]
    assert [o.score for o in found] == pytest.approx([0.95, 0.9])
    mask = found[1].whole(SIZE)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = np.hypot(columns - 60, rows - 60) < 20
    assert np.count_nonzero((mask != 0) != disc) < 0.05 * disc.sum()


def test_points_are_prompted_alone_over_one_embedding():
    backend = Things((60, 60, 20, 0.9))
    search(backend)
    assert backend.encoded == 1
    assert sum(len(call.labels) for call in backend.calls) == 16 * 16
    assert {call.labels.shape[1] for call in backend.calls} == {1}


WHOLE, PART, PART_OF_IT = (128, 64, 50), (128, 64, 32), (128, 64, 18)  # about the middle of the frame


def radii(found):
    return [o.bbox[2] // 2 for o in found]


def test_a_point_gives_a_whole_a_part_and_a_part_of_it():
    backend = Things((*PART_OF_IT, 0.95), (*PART, 0.9), (*WHOLE, 0.97))
    found = search(backend, side=1, max_covered=1.0)
    assert [len(call.labels) for call in backend.calls if call.multimask] == [1]
    assert radii(found) == pytest.approx([50, 18, 32], abs=1)
    assert [o.score for o in found] == pytest.approx([0.97, 0.95, 0.9])


def test_of_a_whole_and_its_parts_the_best_is_an_object_and_what_it_covers_is_none():
    found = search(Things((*PART_OF_IT, 0.9), (*PART, 0.95), (*WHOLE, 0.97)))
    assert radii(found) == pytest.approx([50], abs=1)
    found = search(Things((*PART_OF_IT, 0.95), (*PART, 0.9), (*WHOLE, 0.89)))
    assert radii(found) == pytest.approx([18, 32, 50], abs=1)  # each has most of its pixels beside the better ones


def test_masks_that_sam_rates_above_one_are_ranked_and_reported_as_one():
    found = search(Things((60, 60, 20, 1.01), (180, 70, 25, 1.03)))
    assert places(found) == [(180, 70), (60, 60)]
    assert [o.score for o in found] == [1.0, 1.0]


def test_no_more_masks_are_held_at_frame_size_than_fit(monkeypatch):
    monkeypatch.setattr(prompting, "UPSCALED_PX", 10 * SIZE[0] * SIZE[1])
    backend = Things((*PART_OF_IT, 0.95), (*PART, 0.9), (*WHOLE, 0.97))
    found = search(backend, max_covered=1.0)
    assert len(found) == 3
    assert max(backend.upscaled) == 10
    assert sum(backend.upscaled) > 20
    assert len(backend.calls) == 26  # 256 points, 10 in a slice


def test_no_more_are_given_than_are_wanted():
    backend = Things((40, 60, 18, 0.9), (100, 60, 18, 0.99), (200, 60, 18, 0.95))
    assert places(search(backend, most=2)) == [(100, 60), (200, 60)]


def test_a_mask_that_sam_rates_low_is_none():
    backend = Things((60, 60, 20, 0.87), (180, 70, 25, 0.89))
    assert places(search(backend)) == [(180, 70)]
    assert len(search(backend, iou=0.8)) == 2


@pytest.mark.parametrize(("slope", "count"), [(5.0, 1), (0.5, 0)])
def test_a_mask_that_changes_with_the_threshold_is_none(slope, count):
    # radius 20: at logit 1 it is 20 - 1/slope, at -1 20 + 1/slope
    assert len(search(Things((60, 60, 20, 0.9), slope=slope))) == count


@pytest.mark.parametrize("thing", [(100, 60, 2.0, 0.9), (128, 64, 300.0, 0.9)])
def test_a_mask_of_a_few_pixels_or_of_the_whole_frame_is_none(thing):
    assert search(Things(thing), side=64) == ()


def test_what_is_followed_already_is_not_found_again():
    backend = Things((60, 60, 20, 0.9), (180, 70, 25, 0.95))
    covered = np.zeros(SIZE, bool)
    covered[:, 175:] = True  # more than half of the second
    assert places(search(backend, covered=covered)) == [(60, 60)]
    covered[:, :200] = False  # a fifth of it
    assert places(search(backend, covered=covered)) == [(180, 70), (60, 60)]


def test_a_mask_inside_a_better_one_is_left_out_for_objects_never_overlap():
    whole, part = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    whole[20:100, 20:100] = 1
    part[30:50, 30:50] = 1
    candidates = [
        Candidate(*packed, int(mask.sum()), score)
        for mask, score in ((part, 0.9), (whole, 0.95))
        for packed in [pack(mask)]
    ]
    assert [c.score for c in choose(candidates, SIZE, None, 10, GeneratorRules())] == [0.95]
    candidates = [candidates[0], Candidate(candidates[1].bbox, candidates[1].bits, candidates[1].area, 0.89)]
    assert [c.score for c in choose(candidates, SIZE, None, 10, GeneratorRules())] == [0.9, 0.89]


def pack(mask):
    bbox, crop = crop_mask(mask)
    return bbox, np.packbits(crop)


def test_suppression_agrees_with_the_pairwise_rule():
    rng = np.random.default_rng(3)
    boxes = np.concatenate([rng.integers(0, 20, (60, 2)), rng.integers(10, 40, (60, 2))], axis=1).astype(float)

    def iou(a, b):
        w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
        h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
        shared = max(w, 0) * max(h, 0)
        return shared / (a[2] * a[3] + b[2] * b[3] - shared)

    pairwise = []
    for i in range(len(boxes)):
        if all(iou(boxes[i], boxes[j]) <= 0.5 for j in pairwise):
            pairwise.append(i)
    assert suppress(boxes, 0.5) == pairwise
    assert 5 < len(pairwise) < 60
    assert suppress(np.zeros((0, 4)), 0.5) == []


def test_the_deepest_pixel_lies_on_the_object_even_where_its_middle_does_not():
    ring = np.ones((21, 21), np.uint8)
    ring[2:-8, 2:-8] = 0  # thin at the left and above, thick below and at the right
    x, y = deepest((100, 50, 21, 21), ring)
    assert ring[int(y) - 50, int(x) - 100] == 1
    assert x - 100 > 10
    assert y - 50 > 10


def test_a_search_goes_in_slices_and_says_what_it_has():
    backend = Things((60, 60, 20, 0.9), (180, 70, 25, 0.95))
    generator = MaskGenerator(
        backend, lambda: backend.encode(np.zeros((*SIZE, 3), np.uint8)), None, 10, GeneratorRules(side=16)
    )
    assert generator.found() == ()
    steps = [generator.step()]
    while not steps[-1]:
        steps.append(generator.step())
    assert len(steps) == 1 + 16 * 16 // 64
    assert len(generator.found()) == 2
