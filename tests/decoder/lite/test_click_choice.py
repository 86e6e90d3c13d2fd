"""Which of several masks is most likely an object."""

from __future__ import annotations

import numpy as np

from nodes.decoder.lite.click_choice import choose_mask, edge_share, stable_masks


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A striped square on a plain ground, its mask, and that of one stripe."""
    rgb = np.full((120, 160, 3), (60, 70, 60), np.uint8)
    whole, stripe = np.zeros((120, 160), np.uint8), np.zeros((120, 160), np.uint8)
    whole[30:90, 40:110] = 1
    stripe[30:50, 40:110] = 1
    rgb[whole == 1] = (200, 120, 60)
    rgb[stripe == 1] = (190, 110, 55)
    return rgb, whole, stripe


def test_the_whole_object_wins_over_a_stripe_of_it_and_over_what_leaks():
    rgb, whole, stripe = scene()
    leak = whole.copy()
    leak[60:115, 20:150] = 1
    assert choose_mask(rgb, [stripe, whole, leak]) == 1
    assert choose_mask(rgb, [leak, stripe, whole]) == 2


def test_masks_of_nothing_are_no_fault():
    rgb, whole, _ = scene()
    empty = np.zeros_like(whole)
    assert choose_mask(rgb, [empty, empty]) == 0
    assert choose_mask(rgb, [empty, whole]) == 1


def test_an_outline_across_a_plain_surface_has_no_edge():
    rgb, whole, _ = scene()
    lab = rgb.astype(np.float32)
    assert edge_share(lab, whole) > 0.9
    inside = np.zeros_like(whole)
    inside[58:82, 55:95] = 1
    assert edge_share(lab, inside) < 0.1


def test_what_is_found_at_many_sizes_is_taken_before_a_part_with_a_sharper_outline():
    part, whole = np.zeros((60, 80), np.uint8), np.zeros((60, 80), np.uint8)
    part[20:40, 30:45] = 1
    whole[10:50, 20:60] = 1
    rgb = np.full((60, 80, 3), 90, np.uint8)
    rgb[whole == 1] = (110, 90, 90)
    rgb[part == 1] = (0, 250, 0)  # the part stands out most
    assert choose_mask(rgb, [part, part]) == 0
    grown = [np.roll(whole, shift, axis=1) for shift in (0, 1, 2)]
    assert stable_masks([part, *grown]) == [1, 2, 3]
    assert choose_mask(rgb, [part, *grown]) in (1, 2, 3)
