"""Functions of tensors that a GPU repeats as one launch: captured once for each arrangement of shapes (CUDA graphs).

A pass of SAM's mask decoder is two hundred small kernels, a window of PIPS a thousand: Python takes longer to launch
them than a GPU to compute them. A recording launches all of them at once. It reads and writes memory of its own, so its
inputs are copied in, and what it gives is overwritten by the next replay of any recording of the same owner.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)
WARM_UPS = 2  # runs before the capture: kernels are chosen and libraries take their memory
Function = Callable[..., tuple[Tensor, ...]]  # of tensors; nothing in it may wait for the device


class Recording:
    """A function captured with inputs of one arrangement of shapes."""

    def __init__(self, function: Function, inputs: Sequence[Tensor], pool: Any) -> None:
        device = inputs[0].device
        self.inputs = [torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=device) for t in inputs]
        aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                self.fill(inputs)  # a function may write to its inputs
                function(*self.inputs)
            self.fill(inputs)
        torch.cuda.current_stream(device).wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads of the process use the device as well: they must not end the capture.
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self.outputs = function(*self.inputs)

    def fill(self, inputs: Sequence[Tensor]) -> None:
        """Copy the inputs in."""
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given, non_blocking=True)

    def replay(self) -> tuple[Tensor, ...]:
        """Compute the outputs of what the inputs hold now; valid until the owner's next replay."""
        self._graph.replay()
        return self.outputs


class Recordings:
    """The recordings of one owner, who replays one at a time. The most recently used are kept."""

    def __init__(self, name: str, most: int = 16) -> None:
        self.name, self.most = name, most
        self._recordings: OrderedDict[Hashable, Recording] = OrderedDict()
        self._pool: Any = None  # memory that all of them compute in

    def recording(self, key: Hashable, function: Function, inputs: Sequence[Tensor]) -> Recording:
        """The recording of `function` for inputs of these shapes, with these inputs in it; captured where it is new.

        `key`: what the function computes with beside them.
        """
        whole = (key, *((t.shape, t.dtype) for t in inputs))
        found = self._recordings.get(whole)
        if found is None:
            began = time.monotonic()
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            found = self._recordings[whole] = Recording(function, inputs, self._pool)
            log.debug("%s: captured %s in %.0f ms", self.name, key, 1e3 * (time.monotonic() - began))
            if len(self._recordings) > self.most:
                self._recordings.popitem(last=False)
        self._recordings.move_to_end(whole)
        found.fill(inputs)
        return found

    def run(self, key: Hashable, function: Function, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What `function` gives for these inputs, in memory of its own."""
        return tuple(output.clone() for output in self.recording(key, function, inputs).replay())


def recordings_for(device: torch.device, name: str) -> Recordings | None:
    """Those of a model on a GPU; None where there is nothing to record with."""
    return Recordings(name) if device.type == "cuda" else None
