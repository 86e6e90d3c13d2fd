"""The drawn clips: the same for a seed, and what they say about themselves is true."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.capture.folder import read_picture
from tools import draw_clips
from tools.clips.body_types import turning_box
from tools.clips.camera_effects import blur_along, h264, inter_coded, jpeg
from tools.clips.clip import draw_clip
from tools.clips.layered_scene import LayeredScene, Variety
from tools.clips.textures import fractal, palette, surface
from tools.evaluation.layout import find_sequences

SIZE = (120, 160)


def test_a_seed_gives_one_clip_and_another_seed_another():
    one, same, other = draw_clip(5, SIZE, 4), draw_clip(5, SIZE, 4), draw_clip(6, SIZE, 4)
    assert all(np.array_equal(a, b) for a, b in zip(one.frames, same.frames, strict=True))
    assert np.array_equal(one.points, same.points)
    assert not np.array_equal(one.frames[0], other.frames[0])


@pytest.mark.parametrize("size", [(120, 160), (161, 91), (64, 64)])
def test_a_clip_has_pictures_labels_and_points_of_its_size(size):
    clip = draw_clip(1, size, 3)
    assert [f.shape for f in clip.frames] == [(*size, 3)] * 3
    assert {f.dtype for f in clip.frames} == {np.dtype(np.uint8)}
    assert [m.shape for m in clip.labels] == [size] * 3
    assert clip.points.shape == (3, len(clip.owners), 2)
    assert clip.visible.shape == (3, len(clip.owners))
    assert np.isfinite(clip.points).all()


def test_a_visible_point_lies_in_the_frame_on_its_own_object():
    for seed in range(4):
        clip = draw_clip(seed, SIZE, 5)
        for labels, points, visible in zip(clip.labels, clip.points, clip.visible, strict=True):
            column, row = np.rint(points[visible]).astype(int).T
            assert (labels[row, column] == clip.owners[visible]).all()


def test_points_move_with_what_is_drawn_at_them():
    errors = []
    for seed in range(6):
        scene = LayeredScene(seed, (240, 320), 6)
        scene.exposure, scene.light, scene.ripple = 0.0, None, 0.0
        clip = draw_clip(seed, (240, 320), 2)
        (one, _), (two, _) = scene.draw(0), scene.draw(1)
        both = clip.visible.all(axis=0) & (clip.owners == 0)
        for (x1, y1), (x2, y2) in zip(clip.points[0, both], clip.points[1, both], strict=True):
            a, b = one[round(y1), round(x1)].astype(int), two[round(y2), round(x2)].astype(int)
            errors.append(np.abs(a - b).mean())
    assert np.median(errors) < 12  # rounding to whole px; unrelated places differ by about 40


def test_noise_falls_with_frequency_as_given():
    def contrast(fall: float) -> float:
        """Mean amplitude of frequencies 1..4 against 13..19."""
        power = np.abs(np.fft.rfft2(fractal(np.random.default_rng(0), (256, 256), fall)))[1:20, 1:20]
        return float(power[:4, :4].mean() / power[12:, 12:].mean())

    assert contrast(1.0) > 2.5
    assert contrast(2.0) > 3 * contrast(1.0)


def test_surfaces_are_pictures_of_any_size():
    rng = np.random.default_rng(3)
    for size in ((8, 9), (40, 200), (131, 77)):
        for _ in range(6):
            picture = surface(rng, size, palette(rng))
            assert picture.shape == (*size, 3)
            assert picture.dtype == np.uint8


def test_motion_blur_keeps_brightness_and_spreads_along_the_motion():
    dot = np.zeros((41, 41), np.float32)
    dot[20, 20] = 1
    blurred = blur_along(dot, np.array([12.0, 0.0]))
    assert blurred.sum() == pytest.approx(1, rel=1e-4)
    assert np.count_nonzero(blurred[20] > 0.01) >= 9
    assert np.abs(np.delete(blurred, (19, 20, 21), axis=0)).max() < 1e-6


def test_h264_gives_the_same_pictures_whatever_lies_in_memory():
    frames, rng = draw_clip(5, (242, 426), 6).frames, np.random.default_rng(0)
    coded = []
    for fill in range(8):
        litter = [np.full(int(rng.integers(1_000, 2_000_000)), fill, np.uint8) for _ in range(8)]
        del litter[::2]  # the encoder's buffers come to lie where these were
        coded.append(np.stack(h264(frames, 25)))
    assert all(np.array_equal(coded[0], other) for other in coded)


def test_codecs_keep_size_and_content_and_leave_marks():
    frames = draw_clip(2, (91, 121), 3).frames
    for coded in (h264(frames, 30), [jpeg(f, 40) for f in frames]):
        assert [c.shape for c in coded] == [f.shape for f in frames]
        error = np.abs(coded[1].astype(int) - frames[1]).mean()
        assert 0 < error < 25


def test_drawn_clips_are_a_data_set_with_a_truth_for_every_frame(tmp_path, capsys):
    arguments = ["--clips", "2", "--frames", "3", "--size", "320x240", "--jobs", "1", "--seed", "100001"]
    assert draw_clips.main(["--out", str(tmp_path), *arguments]) == 0
    sequences = find_sequences(tmp_path)
    assert len(sequences) == capsys.readouterr().out.count("objects\n")
    for sequence in sequences:
        assert len(sequence.frames) == len(sequence.annotations) == 3
        first, last = (sequence.labels(t)[0] for t in (0, 2))
        assert first.any()
        assert set(np.unique(last)) <= set(np.unique(first))
        assert read_picture(sequence.frames[0]).rgb.shape == (240, 320, 3)


def test_a_number_that_makes_no_sense_is_refused_in_a_line(tmp_path, capsys):
    assert draw_clips.main(["--out", str(tmp_path), "--clips", "0"]) == 2
    assert capsys.readouterr().err.startswith("draw_clips: error: --clips")


@pytest.mark.parametrize("variety", [Variety.RICH, Variety.UNSEEN])
def test_a_clip_of_another_variety_is_another_clip_and_the_same_each_time(variety):
    one, same, plain = draw_clip(5, SIZE, 3, variety), draw_clip(5, SIZE, 3, variety), draw_clip(5, SIZE, 3)
    assert all(np.array_equal(a, b) for a, b in zip(one.frames, same.frames, strict=True))
    assert not np.array_equal(one.frames[0], plain.frames[0])


def test_a_box_that_turns_shows_one_face_after_another():
    rng = np.random.default_rng(0)
    box = turning_box(rng, 100, [palette(rng)] * 4, 1.0)
    box.yaw = lambda t: t * np.pi / 2
    front = [max(range(6), key=lambda k, t=t: box.parts[k].depth(t)) for t in range(4)]
    assert len(set(front)) == 4
    width = [abs(np.linalg.det(box.poses(t)[front[t]][:, :2])) for t in range(4)]
    assert min(width) > 0.3 * 100 * min(box.half)


def test_noise_stands_still_after_a_codec_that_writes_changes():
    rng = np.random.default_rng(0)
    frames = [np.clip(120 + rng.normal(0, 4, (64, 64, 3)), 0, 255).astype(np.uint8) for _ in range(4)]
    frames[3][16:32, 16:32] = 250
    coded = inter_coded(frames, 40, 10)
    assert np.abs(np.diff(np.stack(coded[:3]).astype(int), axis=0)).mean() < 0.3
    assert np.abs(np.diff(np.stack(frames[:3]).astype(int), axis=0)).mean() > 3
    assert abs(coded[3][18:30, 18:30].mean() - 250) < 12
