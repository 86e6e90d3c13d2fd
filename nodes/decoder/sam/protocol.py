"""What a SAM-family network answers to: a frame in, its embedding out; a batch of prompts in, masks of each out.

`network.py` implements it; the prompting code knows no more than this, so a small fake stands in for the network.
Importing this module loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stream.arrays import Array
from stream.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from stream.weights.cuda_graphs import Recordings

LOW_RES = 256  # side of the low-resolution logits, which are also what a mask input has to be
POSITIVE, NEGATIVE, PADDING = 1, 0, -1  # labels of points


@dataclass(frozen=True)
class SamEmbedding:
    """One frame as the network keeps it, on its device."""

    frame_size: tuple[int, int]  # (H, W) of the frame, px
    input_size: tuple[int, int]  # (h, w) of the frame inside the square input, px; the rest is padding
    side: int  # of that square, px; 1024 as trained
    features: Any  # opaque: (1, 256, side / 16, side / 16), and what else the network keeps of a frame


@dataclass(frozen=True)
class SamPrompts:
    """The prompts of B objects on one frame. Points are padded to the longest list of them."""

    xy: Array  # (B, N, 2) float32, frame px
    labels: Array  # (B, N) int: POSITIVE, NEGATIVE or PADDING
    boxes: Array  # (B, 4) float32, frame px: x_min, y_min, x_max, y_max; a row of NaN: none
    low_res: torch.Tensor | None  # (B, 256, 256) float32: logits of the pass before, as mask input
    has_low_res: Array  # (B,) bool: which of them count
    multimask: bool = False  # SAM's three masks of a prompt that may mean a whole, a part or a part of it

    def __post_init__(self) -> None:
        b, n = self.labels.shape
        assert self.xy.shape == (b, n, 2), f"xy {self.xy.shape} beside labels {self.labels.shape}"
        assert self.boxes.shape == (b, 4), f"boxes {self.boxes.shape} for {b} objects"
        assert self.has_low_res.shape == (b,), f"has_low_res {self.has_low_res.shape} for {b} objects"
        assert self.low_res is None or tuple(self.low_res.shape) == (b, LOW_RES, LOW_RES), self.low_res.shape
        assert self.low_res is not None or not self.has_low_res.any(), "has_low_res without low_res"

    @property
    def has_box(self) -> Array:
        """(B,) bool."""
        return np.asarray(~np.isnan(self.boxes).any(axis=1))


@dataclass(frozen=True)
class DevicePrompts:
    """The prompts of B objects on one frame as they are on the device: nobody on the host knows their values."""

    xy: torch.Tensor  # (B, N, 2) float32, frame px
    labels: torch.Tensor  # (B, N) int64: POSITIVE, NEGATIVE or PADDING
    boxes: torch.Tensor  # (B, 4) float32, frame px; a row of NaN: none
    low_res: torch.Tensor | None  # (B, 256, 256) float32
    has_low_res: torch.Tensor  # (B,) bool: which of them count
    multimask: bool = False
    padded: bool = True  # False: every point counts, and every object has a box


@dataclass(frozen=True)
class SamAnswer:
    """The mask of each object, as logits (mask: above 0), and the network's own guess of its quality.

    With `multimask` the three masks of the first object, then those of the next. HQ-SAM has one mask an object all the
    same: the best rated of the three, made finer.
    """

    low_res: torch.Tensor  # (B, 256, 256) float32 on the device, over the square input; B or 3 B
    iou: Array  # (B,) float32, predicted IoU; B or 3 B


class SamNetwork(Protocol):
    """A network of the SAM family. `ModelError` where it ran out of memory or gave no numbers."""

    device: torch.device
    side: int  # of the square input, px
    is_asynchronous: bool  # it computes while Python goes on: it is an `AsynchronousSamNetwork`

    def encode(self, rgb: Array) -> SamEmbedding:
        """The embedding of a frame, (H, W, 3) uint8 of any size; it stays on the device."""

    def predict(self, embedding: SamEmbedding, prompts: SamPrompts) -> SamAnswer:
        """All prompts in one pass of the mask decoder; each has the masks that it would have alone."""

    def upscale(self, low_res: torch.Tensor, embedding: SamEmbedding) -> torch.Tensor:
        """Logits (B, H, W) float32 at frame size of logits (B, 256, 256), bilinear, the padding cut off."""


class AsynchronousSamNetwork(SamNetwork, Protocol):
    """A network on a device of its own: what is read back from it costs a wait."""

    recordings: Recordings | None  # that passes are replayed by; None: they are launched kernel by kernel

    def shared_tensors(self, embedding: SamEmbedding) -> tuple[torch.Tensor, ...]:
        """What all passes on a frame read of it, on the device."""

    def predict_unread(
        self, shared: Sequence[torch.Tensor], embedding: SamEmbedding, prompts: DevicePrompts
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `predict`: logits (B, 256, 256) and predicted IoU (B,), both on the device and not checked.

        `shared`: of `shared_tensors`; of the embedding, only the sizes are read.
        """


def check_numbers(finite: bool) -> None:
    """ModelError unless all numbers of the network were finite."""
    if not finite:
        raise ModelError(
            "the network gave numbers that are NaN or infinite; weights of another model, or half precision"
        )
