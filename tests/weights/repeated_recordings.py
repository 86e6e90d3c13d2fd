"""Recordings that a CPU can make: the function is called again with the recording's own memory, as a GPU replays it."""

from __future__ import annotations

import torch

from stream.weights.cuda_graphs import Recordings


class Repeated:
    """A `Recording`: inputs in memory of its own, outputs written over by each replay."""

    def __init__(self, function, inputs, pool):
        self.inputs = [torch.empty_like(t) for t in inputs]
        self.fill(inputs)
        self._function = function
        self.outputs = tuple(torch.empty_like(t) for t in function(*(t.clone() for t in inputs)))

    def fill(self, inputs):
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)

    def replay(self):
        with torch.inference_mode():
            for own, made in zip(self.outputs, self._function(*self.inputs), strict=True):
                own.copy_(made)
        return self.outputs


def repeated_recordings(monkeypatch, most=16):
    """A `Recordings` of these."""
    monkeypatch.setattr("stream.weights.cuda_graphs.Recording", Repeated)
    monkeypatch.setattr("torch.cuda.graph_pool_handle", lambda: None)
    return Recordings("test", most)
