"""Objects that are worked on at once get what they get one after the other."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from nodes.decoder.lite.backend import Lite
from nodes.decoder.lite.object_threads import LIMIT
from nodes.decoder.object_threads import ObjectThreads
from nodes.decoder.segmentation import Segmenter
from stream.messages import Masks
from tools.bench.crowd import Crowd, draw_crowd
from tools.bench.lite import decoder_inputs


def masks_with(threads: int, crowd: Crowd, patch: pytest.MonkeyPatch) -> list[Masks]:
    patch.setenv(LIMIT, str(threads))
    segmenter = Segmenter(Lite())
    return [segmenter.step(message)[0] for message in decoder_inputs(crowd, 5)]


def test_masks_do_not_depend_on_the_number_of_threads(monkeypatch):
    crowd = draw_crowd((120, 216), 8)
    for one, several in zip(masks_with(1, crowd, monkeypatch), masks_with(3, crowd, monkeypatch), strict=True):
        assert [o.object_id for o in one.objects] == [o.object_id for o in several.objects]
        for a, b in zip(one.objects, several.objects, strict=True):
            assert (a.bbox, a.score, a.state) == (b.bbox, b.score, b.state)
            assert np.array_equal(a.mask, b.mask)


def test_pieces_run_at_once_and_answer_in_their_order():
    meeting = threading.Barrier(2, timeout=60)  # breaks where one thread alone comes

    def work(piece: int) -> int:
        if piece < 2:
            meeting.wait()
        return 10 * piece

    assert ObjectThreads(4).each(work, [0, 1, 2, 3], 2) == [0, 10, 20, 30]


def test_one_thread_needs_no_other():
    threads = ObjectThreads(4).each(lambda _: threading.current_thread(), [0, 1], 1)
    assert threads == [threading.current_thread()] * 2


def test_a_failure_reaches_whoever_asked():

    def work(piece: int) -> int:
        raise ValueError(f"piece {piece}")

    with pytest.raises(ValueError, match="piece"):
        ObjectThreads(4).each(work, [1, 2, 3], 2)
