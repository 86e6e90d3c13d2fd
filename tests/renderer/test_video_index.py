"""An index is put behind the pictures of a fragmented file, which stay what they are."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from nodes.renderer.encoding import PictureConverter, add_h264_stream
from nodes.renderer.video_file import FRAGMENTS
from nodes.renderer.video_index import make_ordinary


def write_fragments(path: Path, ticks: list[int], key_every: int = 5) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": FRAGMENTS}) as container:
        stream = add_h264_stream(container, (32, 48), Fraction(1), 3600)
        converter = PictureConverter()
        for i, tick in enumerate(ticks):
            frame = converter.to_frame(np.full((32, 48, 3), 10 * i % 256, np.uint8), tick)
            if i % key_every == 0:
                frame.pict_type = PictureType.I
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def pictures(path: Path) -> list[tuple[int, bool, bytes]]:
    with av.open(str(path)) as container:
        return [(f.pts, f.key_frame, f.to_ndarray().tobytes()) for f in container.decode(video=0)]


def index(path: Path) -> tuple[int, int, float]:
    """Pictures in the index, duration in ticks, duration of the whole in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.frames, stream.duration, container.duration / av.time_base


@pytest.mark.parametrize(
    "ticks",
    [
        [3600 * i for i in range(23)],
        [0],
        [0, 10, 5000, 5001, 90_000, 95_000, 300_000],
    ],
    ids=["even", "one", "uneven"],
)
def test_pictures_times_and_keys_stay_and_the_index_has_them_all(tmp_path, ticks):
    path = tmp_path / "a.mp4"
    write_fragments(path, ticks)
    before = pictures(path)
    assert [p[0] for p in before] == ticks
    assert index(path)[0] == 0, "a fragmented file says of none"
    assert make_ordinary(path)
    assert pictures(path) == before
    assert index(path)[0] == len(ticks)
    assert index(path)[1] >= ticks[-1]


def test_a_file_of_more_than_the_thirteen_hours_of_32_bits_has_its_whole_length(tmp_path):
    path = tmp_path / "a.mp4"
    hour = 90_000 * 3600
    write_fragments(path, [i * hour for i in range(20)])
    before = pictures(path)
    assert make_ordinary(path)
    assert pictures(path) == before
    frames, ticks, seconds = index(path)
    assert frames == 20
    assert ticks >= 19 * hour
    assert seconds >= 19 * 3600


def test_a_file_that_is_ordinary_torn_or_something_else_is_left_as_it_is(tmp_path):
    path = tmp_path / "a.mp4"
    write_fragments(path, [3600 * i for i in range(23)])
    whole = path.read_bytes()
    assert not make_ordinary(path, patience_s=-1.0), "there is no time"
    assert path.read_bytes() == whole
    for other in (whole[: len(whole) // 2], b"", b"something else, of more than sixteen bytes", bytes(64)):
        path.write_bytes(other)
        assert not make_ordinary(path)
        assert path.read_bytes() == other
    path.write_bytes(whole)
    assert make_ordinary(path)
    ordinary = path.read_bytes()
    assert not make_ordinary(path), "it has an index already"
    assert path.read_bytes() == ordinary
