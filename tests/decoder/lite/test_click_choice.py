"""Which of several masks a click most likely means."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.lite.prompts import click_choice
from nodes.decoder.lite.prompts.click_choice import (
    MEASURES,
    ChoiceWeights,
    ClickedMask,
    choose_mask,
    edge_share,
    measure_masks,
)

CLICK = np.array([74, 60], np.float32)  # the middle of the square


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A striped square on a plain ground, its mask, and that of one stripe."""
    rgb = np.full((120, 160, 3), (60, 70, 60), np.uint8)
    whole, stripe = np.zeros((120, 160), np.uint8), np.zeros((120, 160), np.uint8)
    whole[30:90, 40:110] = 1
    stripe[50:70, 40:110] = 1
    rgb[whole == 1] = (200, 120, 60)
    rgb[stripe == 1] = (190, 110, 55)
    return rgb, whole, stripe


def clicked(mask: np.ndarray) -> ClickedMask:
    """A mask cut out of the whole frame."""
    return ClickedMask(mask, (0, 0, mask.shape[1], mask.shape[0]))


def measured(rgb: np.ndarray, *masks: ClickedMask) -> list[dict[str, float]]:
    rows = measure_masks(rgb, CLICK, masks)
    assert rows is not None
    assert rows.shape == (len(masks), len(MEASURES))
    return [dict(zip(MEASURES, row.tolist(), strict=True)) for row in rows]


def test_what_speaks_for_the_whole_object_is_measured():
    rgb, whole, stripe = scene()
    leak = whole.copy()
    leak[60:115, 20:150] = 1
    square, part, spilt = measured(rgb, *(clicked(m) for m in (whole, stripe, leak)))
    assert square["edge"] > 0.9 > max(part["edge"], spilt["edge"])
    assert square["off_centre"] < 0.02 < spilt["off_centre"]
    assert square["relative_depth"] == pytest.approx(1, abs=0.05)
    assert part["size"] < square["size"] < spilt["size"]


def test_measures_of_shapes_do_not_depend_on_the_size_of_the_picture():
    small, large = (np.kron(a, np.ones((n, n, 1), np.uint8)) for a, n in ((scene()[0], 1), (scene()[0], 4)))
    whole = scene()[1]
    rows = measure_masks(small, CLICK, [clicked(whole), clicked(scene()[2])])
    grown = [clicked(np.kron(m, np.ones((4, 4), np.uint8))) for m in (whole, scene()[2])]
    again = measure_masks(large, 4 * CLICK + 1.5, grown)
    assert again == pytest.approx(rows, abs=0.06)


def test_a_mask_that_others_agree_with_is_known_by_that():
    rgb, whole, stripe = scene()
    masks = [whole, np.roll(whole, 1, axis=1), np.roll(whole, 2, axis=1), np.roll(whole, -1, axis=0), stripe]
    *alike, alone = measured(rgb, *(clicked(m) for m in masks))
    assert min(row["closest"] for row in alike) > 0.9 > 0.5 > alone["closest"]


def test_the_mask_with_the_highest_score_is_chosen_whatever_their_order(monkeypatch):
    weights = np.zeros(2 * len(MEASURES), np.float32)
    weights[MEASURES.index("edge")] = 1
    likes_edges = ChoiceWeights(np.zeros(len(MEASURES)), np.ones(len(MEASURES)), weights)
    monkeypatch.setattr(click_choice, "load_weights", lambda: likes_edges)
    rgb, whole, stripe = scene()
    masks = [clicked(whole), clicked(stripe)]
    assert choose_mask(rgb, CLICK, masks) == 0
    assert choose_mask(rgb, CLICK, masks[::-1]) == 1


def test_the_weights_that_ship_are_of_these_measures():
    weights = click_choice.load_weights()
    assert weights.mean.shape == weights.spread.shape == (len(MEASURES),)
    assert weights.weights.shape == (2 * len(MEASURES),)
    assert (weights.spread > 0).all()


def test_masks_of_nothing_are_no_fault():
    rgb, whole, _ = scene()
    empty = clicked(np.zeros_like(whole))
    assert choose_mask(rgb, CLICK, [empty, empty]) == 0
    assert choose_mask(rgb, CLICK, [empty, clicked(whole)]) == 1


def test_an_outline_across_a_plain_surface_has_no_edge():
    rgb, whole, _ = scene()
    lab = rgb.astype(np.float32)
    assert edge_share(lab, whole) > 0.9
    inside = np.zeros_like(whole)
    inside[73:86, 45:105] = 1
    assert edge_share(lab, inside) < 0.1


def test_it_does_not_matter_of_which_part_of_the_frame_a_mask_was_cut_out():
    rgb, whole, stripe = scene()
    cut = ClickedMask(whole[20:100, 30:130], (30, 20, 100, 80))
    smaller = ClickedMask(whole[20:100:2, 30:130:2], (30, 20, 100, 80))
    in_frame, in_part, at_half_size, _ = measured(rgb, clicked(whole), cut, smaller, clicked(stripe))
    for name in MEASURES:
        assert in_part[name] == pytest.approx(in_frame[name], abs=0.02), name
        assert at_half_size[name] == pytest.approx(in_frame[name], abs=0.1), name
