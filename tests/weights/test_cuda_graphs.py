"""Recordings: one for each arrangement of shapes, the newest ones kept, answers that nobody overwrites."""

from __future__ import annotations

import torch
from weights.repeated_recordings import repeated_recordings

from stream.weights.devices import download, upload

CPU = torch.device("cpu")


def test_a_function_is_recorded_once_for_each_shape_and_key(monkeypatch):
    recordings = repeated_recordings(monkeypatch)
    calls = []

    def double(x):
        calls.append(x.shape)
        return (2 * x,)

    three = recordings.recording("double", double, [torch.ones(3)])
    assert recordings.recording("double", double, [torch.zeros(3)]) is three
    assert recordings.recording("double", double, [torch.ones(4)]) is not three
    assert recordings.recording("other", double, [torch.ones(3)]) is not three
    assert len(calls) == 3


def test_an_answer_outlives_the_next_replay(monkeypatch):
    recordings = repeated_recordings(monkeypatch)
    [first] = recordings.run("double", lambda x: (2 * x,), [torch.ones(3)])
    [second] = recordings.run("double", lambda x: (2 * x,), [torch.full((3,), 5.0)])
    assert first.tolist() == [2, 2, 2]
    assert second.tolist() == [10, 10, 10]


def test_the_recording_that_was_not_used_for_longest_goes(monkeypatch):
    recordings = repeated_recordings(monkeypatch, most=2)
    inputs = {n: [torch.ones(n)] for n in (1, 2, 3)}
    one, two = (recordings.recording("", lambda x: (x,), inputs[n]) for n in (1, 2))
    assert recordings.recording("", lambda x: (x,), inputs[1]) is one
    recordings.recording("", lambda x: (x,), inputs[3])
    assert recordings.recording("", lambda x: (x,), inputs[1]) is one
    assert recordings.recording("", lambda x: (x,), inputs[2]) is not two


def test_a_function_may_write_to_its_inputs_from_replay_to_replay(monkeypatch):
    recordings = repeated_recordings(monkeypatch)

    def count(total):
        total.add_(1)
        return ()

    total = torch.zeros(())
    recording = recordings.recording("", count, [total])
    for _ in range(3):
        recording.replay()
    assert float(recording.inputs[0]) == 3
    assert float(total) == 0


def test_what_is_uploaded_is_a_copy_and_comes_back():
    values = torch.arange(6, dtype=torch.float32).view(2, 3).numpy()
    values.flags.writeable = False  # as a picture that came over a socket
    there = upload(values, CPU)
    there[0, 0] = 9
    assert values[0, 0] == 0
    assert download(there).tolist() == [[9, 1, 2], [3, 4, 5]]
