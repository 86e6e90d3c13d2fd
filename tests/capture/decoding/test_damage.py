"""Which pictures count as damaged: the one whose data is, and those that are predicted from it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from nodes.capture.decoding.damage import MOST, REORDERED, DamageWatch
from nodes.capture.decoding.video import VideoSource

KEY_INTERVAL = 10


def verdicts(watch: DamageWatch, pictures: list[tuple[int, bool, bool]]) -> list[int]:
    """The presentation times of the damaged ones among pictures of (time, key frame, corrupt)."""
    return [pts for pts, key, corrupt in pictures if watch.damages(pts, key_frame=key, corrupt=corrupt)]


def test_pictures_after_a_corrupt_one_are_damaged_until_the_next_key_frame():
    pictures = [(i, i % 5 == 0, i == 2) for i in range(12)]
    assert verdicts(DamageWatch(), pictures) == [2, 3, 4]


def test_where_each_picture_is_a_key_frame_only_the_corrupt_one_is_damaged():
    assert verdicts(DamageWatch(), [(i, True, i == 2) for i in range(6)]) == [2]


def test_a_key_frame_that_is_corrupt_itself_mends_nothing():
    assert verdicts(DamageWatch(), [(i, i % 3 == 0, i in (1, 3)) for i in range(8)]) == [1, 2, 3, 4, 5]


def test_a_damaged_packet_damages_what_is_shown_from_then_on():
    watch = DamageWatch()
    assert verdicts(watch, [(0, True, False), (1, False, False)]) == []
    watch.packet_damaged(2)
    assert verdicts(watch, [(3, False, False), (4, False, False), (5, True, False), (6, False, False)]) == [3, 4]


def test_a_key_frame_that_was_decoded_before_the_damage_and_is_shown_after_it_mends_nothing():
    watch = DamageWatch()
    watch.packet_damaged(4)  # 4 is decoded before 1 to 3, and the key frame 0 still waits to be shown
    assert verdicts(watch, [(0, True, False), (1, False, False), (8, True, False), (9, False, False)]) == [0, 1]


def test_times_that_begin_again_do_not_hide_the_key_frame_for_ever():
    watch = DamageWatch()
    watch.packet_damaged(90_000)
    pictures = [(i, i % 10 == 0, False) for i in range(REORDERED + 20)]
    assert len(verdicts(watch, pictures)) <= REORDERED + 10


def test_without_times_the_next_key_frame_counts():
    watch = DamageWatch()
    watch.packet_damaged(None)
    assert watch.damages(None, key_frame=False, corrupt=False)
    assert not watch.damages(None, key_frame=True, corrupt=False)


def test_a_stream_without_key_frames_is_believed_again_after_a_while():
    watch = DamageWatch()
    found = [watch.damages(i, key_frame=False, corrupt=i == 0) for i in range(MOST + 2)]
    assert found[MOST]
    assert not found[MOST + 1]


class Stream(VideoSource):
    """A file that is read as a camera's stream is."""

    live = True


def write_damaged(path: Path, damaged: int, frames: int = 30) -> Path:
    """A raw H.264 stream with a key frame every KEY_INTERVAL pictures, and damage in the data of one."""
    rng = np.random.default_rng(0)
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 96, 64, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"g": str(KEY_INTERVAL), "bf": "0", "preset": "ultrafast", "tune": "zerolatency", "threads": "1"}
    noise = rng.integers(0, 255, (64, 96, 3), np.uint8)
    pictures = [av.VideoFrame.from_ndarray(np.roll(noise, i, axis=1), format="rgb24") for i in range(frames)]
    packets = [bytearray(bytes(p)) for picture in [*pictures, None] for p in encoder.encode(picture)]
    middle = len(packets[damaged]) // 2
    packets[damaged][middle : middle + 40] = rng.integers(1, 255, 40, np.uint8).tobytes()
    path.write_bytes(b"".join(packets))
    return path


@pytest.mark.parametrize(("damaged", "expected"), [(13, list(range(13, 20))), (20, list(range(20, 29)))])
def test_a_live_picture_with_damaged_data_and_those_after_it_are_reported(tmp_path, damaged, expected):
    source = Stream("camera", str(write_damaged(tmp_path / "s.h264", damaged)))
    source.open()
    found = [i for i in range(29) if (picture := source.read()) is not None and picture.corrupt]
    source.close()
    assert found == expected
