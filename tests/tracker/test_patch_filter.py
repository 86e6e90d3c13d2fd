"""Points are given up when they come to lie on something else."""

from __future__ import annotations

import cv2
import numpy as np

from nodes.tracker.patch_filter import PatchFilter, lab, patches, similarity


def scene(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)


def test_lab_is_that_of_the_formula_with_red_and_blue_exchanged():
    rgb = scene()
    theirs = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    assert np.abs(lab(rgb) - theirs).max() < 0.6  # OpenCV's tables are that coarse
    assert np.abs(lab(np.full((1, 3), 255)) - [100, 0, 0]).max() < 0.01


def test_a_patch_between_pixels_is_their_bilinear_mixture_and_nothing_lies_outside():
    rgb = scene()
    whole, half = patches(rgb, np.array([[10.0, 12], [11, 12]])), patches(rgb, np.array([[10.5, 12.0]]))
    assert np.allclose(half, whole.mean(axis=0), atol=1e-4)
    corner = patches(rgb, np.array([[0.0, 0.0]])).reshape(3, 3, 3)
    assert not corner[0].any()
    assert not corner[:, 0].any()
    assert np.allclose(corner[1:, 1:], lab(rgb[:2, :2]), atol=1e-4)
    assert not patches(rgb, np.array([[-50.0, 7.0]])).any()


def test_a_patch_is_like_itself_and_unlike_another():
    here, there = patches(scene(), np.array([[20.0, 20.0]])), patches(scene(), np.array([[40.0, 10.0]]))
    assert similarity(here, here).tolist() == [1]
    assert similarity(here, there)[0] < 0.01


def test_a_point_that_has_slid_off_is_given_up_for_good():
    rgb = scene()
    home, away = np.array([[20.0, 20], [30, 10]]), np.array([[20.0, 20], [50, 30]])
    points = PatchFilter(patches(rgb, home))
    seen = np.array([True, True])
    assert points.step(rgb, home, seen).tolist() == [True, True]
    assert points.step(rgb, away, seen).tolist() == [True, False]
    assert points.step(rgb, home, seen).tolist() == [True, False]


def test_a_hidden_point_is_not_judged():
    rgb = scene()
    home, away = np.array([[20.0, 20]]), np.array([[50.0, 30]])
    points = PatchFilter(patches(rgb, home))
    assert points.step(rgb, away, np.array([False])).tolist() == [False]
    assert points.step(rgb, home, np.array([True])).tolist() == [True]
