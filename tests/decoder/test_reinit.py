"""Which frame of a window the points are drawn anew on."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.reinit import choose

BIG = 1000


def areas(*rows):
    return np.array(rows)


def at(variant, later, start, **more):
    return choose(variant, areas(*later), np.array(start), **more).tolist()


def test_a_takes_the_last_frame_or_the_one_on_which_another_object_begins():
    later = [[BIG] * 7]
    assert at("A", later, [BIG]) == [6]
    assert at("A", later, [BIG], next_start=5) == [4]
    assert at("A", later, [BIG], next_start=8) == [6]  # beyond this window


def test_b_takes_the_lower_median_of_the_areas_that_count():
    assert at("B", [[9000, 9000, 300, 500, 100, 400, 200], [0, 0, 0, 60, 50, 25, 40]], [BIG, BIG]) == [2, 4]
    assert at("B", [[900, 900, 300, 500, 100, 20, 200]], [BIG]) == [6]  # of 100, 200, 300, 500


def test_c_takes_for_each_object_the_area_nearest_to_that_of_the_first_frame():
    assert at("C", [[500, 500, 300, 480, 100, 490, 200], [500, 500, 300, 480, 100, 490, 200]], [500, 120]) == [5, 4]


def test_d_takes_one_frame_for_all_and_gains_by_merging_groups():
    later = [[500, 500, 300, 480, 100, 490, 200], [50, 50, 100, 60, 90, 80, 30]]
    assert at("D", later, [500, 60]) == [3, 3]
    assert at("D", later, [500, 60], next_start=7) == [6, 6]


def test_d_does_not_merge_where_a_mask_is_missing():
    later = [[500, 500, 300, 480, 100, 490, 25]]
    assert at("D", later, [500], next_start=7) == [5]


@pytest.mark.parametrize("variant", ["C", "D"])
def test_the_first_quarter_of_the_horizon_never_counts_and_ties_go_to_the_first(variant):
    assert at(variant, [[500, 500, 400, 400, 400, 400, 400]], [500]) == [2]


@pytest.mark.parametrize("variant", ["B", "C", "D"])
def test_where_all_masks_are_missing_a_frame_without_one_is_named(variant):
    later = [[0, 25, 10, 0, 0, 0, 3]]
    (k,) = at(variant, later, [0])
    assert later[0][k] <= 25


def test_an_object_that_begins_empty_does_not_break_the_choice_of_its_group():
    assert at("D", [[500] * 7, [0, 0, 0, 0, 90, 90, 90]], [500, 0]) == [2, 2]
