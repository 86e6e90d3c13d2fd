"""Drawn clips as a data set: the evaluator reads what the command writes."""

from __future__ import annotations

import numpy as np

from nodes.capture.folder import read_picture
from tools import draw_clips
from tools.evaluation.layout import find_sequences


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
